"""The entry of both sites; DJANGO_SETTINGS_MODULE decides which one it is."""

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
