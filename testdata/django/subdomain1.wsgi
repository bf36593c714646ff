# The script that "WSGIScriptAlias /" named in Apache, unchanged.
import os

os.environ["DJANGO_SETTINGS_MODULE"] = "subdomain1_settings"

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
