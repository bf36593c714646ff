"""subdomain2.example.com: the events."""

from settings import *

SITE_ID = 2
ROOT_URLCONF = "subdomain2_urls"

# Both apps are installed, so one admin shows everything. The site's own app
# comes first: its templates and static files win.
INSTALLED_APPS = ["events", "articles"] + INSTALLED_APPS
