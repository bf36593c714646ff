"""Make the database: a tree of pages, and an administrator."""

import django

django.setup()

from django.contrib.auth import get_user_model
from django.core.management import call_command
from wagtail.models import Page, Site

call_command("migrate", verbosity=0)

from home.models import ArticlePage

get_user_model().objects.create_superuser("admin", "admin@example.com", "admin")
root = Page.objects.get(depth=1)
home = root.add_child(instance=ArticlePage(title="Welcome", slug="welcome", body=[("paragraph", "<p>Hello</p>")]))
for n in range(20):
    home.add_child(instance=ArticlePage(title="Article %d" % n, slug="article-%d" % n, body=[
        ("heading", "Heading %d" % n), ("paragraph", "<p>Some <b>text</b> of article %d.</p>" % n)]))
site = Site.objects.get()
site.root_page = home
site.hostname = "site1.example.com"
site.save()
call_command("rebuild_references_index", verbosity=0)
call_command("update_index", verbosity=0)
