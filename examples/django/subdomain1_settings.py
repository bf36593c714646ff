"""subdomain1.example.com"""

from settings import *

SITE_ID = 1
ROOT_URLCONF = "subdomain1_urls"
TITLE = "Subdomain One"
