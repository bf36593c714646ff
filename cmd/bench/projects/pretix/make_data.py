"""Make the database: an organizer with a shop that sells tickets, and an administrator."""

import os

import django

os.environ["PRETIX_REDIS_LOCATION"] = ""
django.setup()

from datetime import datetime, timezone

from django.core.management import call_command

call_command("migrate", verbosity=0)

from django_scopes import scopes_disabled
from pretix.base.models import Event, Organizer, Quota, User

with scopes_disabled():
    User.objects.create_superuser("admin@example.com", "admin")
    organizer = Organizer.objects.create(name="Bench", slug="bench")
    event = Event.objects.create(
        organizer=organizer, name="Conference", slug="conf", currency="EUR", live=True, is_public=True,
        date_from=datetime(2030, 1, 1, 9, tzinfo=timezone.utc), plugins="pretix.plugins.banktransfer")
    quota = Quota.objects.create(event=event, name="All", size=None)
    for n in range(10):
        quota.items.add(event.items.create(name="Ticket %d" % n, default_price=10 + n, active=True))
    organizer.cache.clear()
