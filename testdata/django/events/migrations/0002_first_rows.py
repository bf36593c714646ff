"""The row of this app's site, and something to announce on it."""

import datetime

from django.db import migrations


def create(apps, schema_editor):
    Site = apps.get_model("sites", "Site")
    Site.objects.update_or_create(
        pk=2, defaults={"domain": "subdomain2.example.com", "name": "Subdomain Two"}
    )
    Event = apps.get_model("events", "Event")
    Event.objects.create(name="Opening night", place="Main hall", day=datetime.date(2026, 1, 31))
    Event.objects.create(name="Summer fair", place="Zürich", day=datetime.date(2026, 7, 4))


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial"), ("sites", "0002_alter_domain_unique")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
