"""Events in the admin of every site that installs this app."""

from django.contrib import admin

from events.models import Event


@admin.register(Event)
class EventAdmin(admin.ModelAdmin):
    list_display = ["name", "place", "day"]
    search_fields = ["name", "place"]
