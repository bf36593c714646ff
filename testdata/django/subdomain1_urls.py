"""The pages of subdomain1.example.com."""

from django.contrib import admin
from django.urls import include, path

from articles import views
from probe.views import hello, whoami

urlpatterns = [
    path("", views.index),
    path("hello/", hello),
    path("whoami/", whoami),
    path("probe/", include("probe.urls")),
    path("admin/", admin.site.urls),
]
