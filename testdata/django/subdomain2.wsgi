# The script that "WSGIScriptAlias /" named in Apache, unchanged.
import os

os.environ["DJANGO_SETTINGS_MODULE"] = "subdomain2_settings"

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
