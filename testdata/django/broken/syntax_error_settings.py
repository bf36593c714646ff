"""Settings with a bracket that is never closed."""

from settings import *

ROOT_URLCONF = "subdomain1_urls"
INSTALLED_APPS = ["articles"
SITE_ID = 1
