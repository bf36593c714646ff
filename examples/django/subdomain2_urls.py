"""The pages of subdomain2.example.com, with the admin interface that both sites have."""

from django.contrib import admin
from django.urls import path

import pages

urlpatterns = [
    path("", pages.home),
    path("admin/", admin.site.urls),
]
