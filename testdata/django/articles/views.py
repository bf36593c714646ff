"""The front page of subdomain1."""

from django.contrib.sites.shortcuts import get_current_site
from django.shortcuts import render

from articles.models import Article


def index(request):
    """List every article."""
    context = {"site": get_current_site(request), "articles": Article.objects.all()}
    return render(request, "articles/index.html", context)
