"""The front page of subdomain2."""

from django.contrib.sites.shortcuts import get_current_site
from django.shortcuts import render

from events.models import Event


def index(request):
    """List every event."""
    context = {"site": get_current_site(request), "events": Event.objects.all()}
    return render(request, "events/index.html", context)
