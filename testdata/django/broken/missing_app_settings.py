"""Settings that name an app nobody wrote: django.setup() fails, not the import."""

from settings import *

ROOT_URLCONF = "subdomain1_urls"
INSTALLED_APPS = ["artciles"] + INSTALLED_APPS
