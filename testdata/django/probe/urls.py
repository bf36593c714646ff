"""Paths under /probe/ on both sites."""

from django.urls import path

from probe import views

urlpatterns = [
    path("sleep/", views.sleep),
    path("stream/", views.stream),
    path("echo/", views.echo),
    path("crash/", views.crash),
    path("crash-mid/", views.crash_mid),
    path("error/", views.error),
    path("leak/", views.leak),
    path("headers/", views.headers),
    path("big/", views.big),
    path("file/", views.file),
    path("say/", views.say),
]
