"""Settings that load; the first request finds that the URLconf does not."""

from settings import *

SITE_ID = 1
ROOT_URLCONF = "no_such_urls"
