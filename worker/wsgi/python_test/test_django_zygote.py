"""What Django opens while a site is loaded is closed before the fork; what cannot be closed is a hazard."""

import importlib.util
import os
import signal
import unittest

from zygotes import Zygotes

SETTINGS = """
    SECRET_KEY = "for this test"
    ALLOWED_HOSTS = ["*"]
    ROOT_URLCONF = "urls"
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": %r, "CONN_MAX_AGE": None}}
"""

URLS = """
    %s
    import os
    from django.core.cache import cache
    from django.db import connection
    from django.http import HttpResponse
    from django.urls import path

    def query(request):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 6 * 7")
            return HttpResponse("%%d %%s" %% (cursor.fetchone()[0], cache.get("key")))

    urlpatterns = [path("", query)]
"""


@unittest.skipUnless(importlib.util.find_spec("django"), "this interpreter has no Django")
class DjangoZygote(Zygotes):
    def site_with(self, code, database="db.sqlite3"):
        """Write a site whose urls.py begins with code."""
        name = database if database == ":memory:" else os.path.join(self.dir, database)
        self.write("settings.py", SETTINGS % name)
        self.write("urls.py", URLS % code.replace("\n", "\n    "))

    def shares(self, **config):
        worker = self.serving(self.ready(settings="settings", **config))
        return self.get(worker).body.decode(), worker

    def hazards(self):
        event = self.site(settings="settings").event()
        self.assertEqual(event["event"], "unsafe", event)
        worker = self.worker(settings="settings")
        self.assertEqual(worker.event()["event"], "ready")
        self.assertEqual(self.get(worker).body, b"42 None")
        return event["reasons"]

    def test_connection_of_the_warmup(self):
        """With CONN_MAX_AGE it stays open after the request."""
        self.site_with("")
        body, worker = self.shares()
        self.assertEqual(body, "42 None")
        files = [os.readlink("/proc/%d/fd/%s" % (worker.pid, fd)) for fd in os.listdir("/proc/%d/fd" % worker.pid)]
        self.assertEqual(files.count(os.path.join(self.dir, "db.sqlite3")), 1, "the worker's own, and no other")

    def test_connection_opened_while_loading(self):
        self.site_with("from django.db import connection\nconnection.ensure_connection()")
        self.assertEqual(self.shares()[0], "42 None")

    def test_connection_beside_django(self):
        self.site_with("import sqlite3\nfile = sqlite3.connect(%r)\nfile.execute('CREATE TABLE IF NOT EXISTS x (y)')"
                       % os.path.join(self.dir, "other.sqlite3"))
        reasons = self.hazards()
        self.assertEqual(len(reasons), 1)
        self.assertRegex(reasons[0], r"^file %s/other\.sqlite3 open for writing \(descriptor \d+\)$" % self.dir)

    def test_database_in_memory(self):
        """Django never closes it: every worker has a copy, as if it had loaded the site itself."""
        self.site_with("", database=":memory:")
        self.assertEqual(self.hazards(), ['database connection "default" is open'])

    def test_connection_that_cannot_be_closed(self):
        self.site_with("from django.db import connection\n"
                       "def close():\n    raise OSError('not now')\nconnection.close = close")
        self.assertEqual(self.hazards()[:2], ["a database connection cannot be closed: OSError: not now",
                                              'database connection "default" is open'])

    def test_cache(self):
        """What the warm-up put into a cache in memory is there in every worker."""
        self.site_with("from django.core.cache import cache\ncache.set('key', 'value')")
        self.assertEqual(self.shares()[0], "42 value")

    def test_cache_of_a_server(self):
        self.site_with("")
        self.write("server_cache.py", """
            import socket
            from django.core.cache.backends.locmem import LocMemCache

            class Cache(LocMemCache):
                def __init__(self, *args):
                    super().__init__(*args)
                    self.pair = socket.socketpair()
                def close(self, **kwargs):
                    for end in self.pair:
                        end.close()
        """)
        with open(os.path.join(self.dir, "settings.py"), "a") as file:
            file.write("CACHES = {'default': {'BACKEND': 'server_cache.Cache'}}\n")
        self.write("site_app.py", """
            from django.core.cache import cache
            from django.core.wsgi import get_wsgi_application
            application = get_wsgi_application()
            cache.get("key")
        """)
        self.assertEqual(self.shares(wsgi="site_app", warmup=[])[0], "42 None")

    def test_application_that_is_no_django_site(self):
        """Django is importable and imported, but nobody configured it."""
        self.write("site_app.py", """
            import django.conf, django.core.cache, django.db

            def application(environ, start_response):
                start_response("200 OK", [])
                return [str(django.conf.settings.configured).encode()]
        """)
        worker = self.serving(self.ready(wsgi="site_app"))
        self.assertEqual(self.get(worker).body, b"False")
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0)


if __name__ == "__main__":
    unittest.main()
