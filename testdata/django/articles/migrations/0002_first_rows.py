"""The row of this app's site, and something to read on it."""

from django.db import migrations


def create(apps, schema_editor):
    Site = apps.get_model("sites", "Site")
    Site.objects.update_or_create(
        pk=1, defaults={"domain": "subdomain1.example.com", "name": "Subdomain One"}
    )
    Article = apps.get_model("articles", "Article")
    Article.objects.create(title="One code base, two sites", body="Each with its own settings file.")
    Article.objects.create(title="Crème brûlée & other <tags>", body="To see that text arrives as written.")


class Migration(migrations.Migration):
    dependencies = [("articles", "0001_initial"), ("sites", "0002_alter_domain_unique")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
