"""Views that both sites use; what they show comes from the settings."""

from django.conf import settings
from django.http import HttpResponse


def home(request):
    return HttpResponse(f"{settings.TITLE} (SITE_ID {settings.SITE_ID})\n", content_type="text/plain")
