"""subdomain1.example.com: the articles."""

from settings import *

SITE_ID = 1
ROOT_URLCONF = "subdomain1_urls"

# Both apps are installed, so one admin shows everything. The site's own app
# comes first: its templates and static files win.
INSTALLED_APPS = ["articles", "events"] + INSTALLED_APPS
