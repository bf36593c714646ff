"""The project by itself, without multisite: manage.py test, once per site."""

import hashlib
import json
import os

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import TestCase

FIRST = settings.SITE_ID == 1


class SiteTest(TestCase):
    def setUp(self):
        self.name = "Subdomain One" if FIRST else "Subdomain Two"
        self.host = "subdomain1.example.com" if FIRST else "subdomain2.example.com"

    def get(self, path, **kwargs):
        return self.client.get(path, HTTP_HOST=self.host, **kwargs)

    def test_front_page_lists_its_own_rows(self):
        page = self.get("/").content.decode()
        masthead = "Articles of " if FIRST else "Events of "
        self.assertIn(masthead + self.name, page)
        self.assertEqual("Crème brûlée &amp; other &lt;tags&gt;" in page, FIRST)
        self.assertEqual("2026-07-04 Summer fair, Zürich" in page, not FIRST)

    def test_hello_and_whoami_name_the_site(self):
        hello = "Hello from %s (SITE_ID %d)\n" % (self.name, settings.SITE_ID)
        self.assertEqual(self.get("/hello/").content.decode(), hello)
        who = self.get("/whoami/").json()
        self.assertEqual(who["pid"], os.getpid())
        self.assertEqual(who["site_id"], 1 if FIRST else 2)
        self.assertEqual(who["urlconf"], "subdomain1_urls" if FIRST else "subdomain2_urls")

    def test_own_static_files_win(self):
        app = apps.get_app_config("articles" if FIRST else "events")
        self.assertEqual(finders.find("site.css"), os.path.join(app.path, "static", "site.css"))

    def test_admin_shows_both_apps(self):
        self.assertEqual(self.get("/admin/").status_code, 302)
        user = get_user_model().objects.create_superuser("admin", "admin@example.com", "admin")
        self.client.force_login(user)
        for path, row in (
            ("/admin/articles/article/", "One code base, two sites"),
            ("/admin/events/event/", "Opening night"),
        ):
            self.assertContains(self.get(path), row)

    def test_migrations_say_what_the_models_say(self):
        call_command("makemigrations", check=True, dry_run=True, verbosity=0)

    def test_echo_digests_the_body(self):
        body = b"0123456789abcdef" * 20000
        answer = self.client.post(
            "/probe/echo/", body, content_type="application/octet-stream", HTTP_HOST=self.host
        )
        want = {"method": "POST", "length": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        self.assertEqual(json.loads(answer.content), want)

    def test_probe_sizes(self):
        pieces = list(self.get("/probe/stream/?n=3&bytes=5").streaming_content)
        self.assertEqual(pieces, [b"xxxxx"] * 3)
        self.assertEqual(len(self.get("/probe/big/?mb=2").content), 2 << 20)
        with self.assertRaisesMessage(RuntimeError, "raised on purpose"):
            self.get("/probe/error/")
