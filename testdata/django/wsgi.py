"""The entry that Django's own startproject makes: "wsgi:application".

One module for both sites: whoever sets DJANGO_SETTINGS_MODULE first decides.
"""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "subdomain1_settings")

application = get_wsgi_application()
