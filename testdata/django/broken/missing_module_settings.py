"""Settings that import what is not installed."""

from settings import *

import no_such_module

ROOT_URLCONF = "subdomain1_urls"
