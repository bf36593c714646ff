"""Make the database: a tree of published pages with text, and an administrator."""

import django

django.setup()

from cms.api import add_plugin, create_page
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import transaction
from djangocms_versioning.models import Version

call_command("migrate", verbosity=0)
user = get_user_model().objects.create_superuser("admin", "admin@example.com", "admin")
for n in range(10):
    slug = "home" if n == 0 else "article-%d" % n
    page = create_page("Article %d" % n, "page.html", "en", slug=slug, in_navigation=True, created_by=user)
    content = page.pagecontent_set(manager="admin_manager").get()
    placeholder = content.get_placeholders()[0] if content.get_placeholders() else content.rescan_placeholders()["content"]
    add_plugin(placeholder, "TextPlugin", "en", body="<p>Some <b>text</b> of article %d.</p>" % n)
    Version.objects.get_for_content(content).publish(user)
    if n == 0:
        with transaction.atomic():
            page.set_as_homepage()
