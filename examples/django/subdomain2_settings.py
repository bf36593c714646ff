"""subdomain2.example.com"""

from settings import *

SITE_ID = 2
ROOT_URLCONF = "subdomain2_urls"
TITLE = "Subdomain Two"
