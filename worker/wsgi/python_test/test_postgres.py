"""A site with psycopg and a real PostgreSQL: connections and pools are closed before the fork."""

import glob
import importlib.util
import os
import shutil
import subprocess
import unittest

from zygotes import Zygotes

SETTINGS = """
    SECRET_KEY = "for this test"
    ALLOWED_HOSTS = ["*"]
    ROOT_URLCONF = "urls"
    DATABASES = {"default": {
        "ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres", "HOST": %r,
        "CONN_MAX_AGE": %r, "OPTIONS": %r}}
"""

URLS = """
    import os
    from django.db import connection, transaction
    from django.http import HttpResponse
    from django.urls import path
    %s

    def query(request):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid(), 6 * 7")
            return HttpResponse("%%d %%d" %% cursor.fetchone())

    urlpatterns = [path("", query)]
"""


def _server():
    """Return the folder of PostgreSQL's programs, if they are installed."""
    initdb = shutil.which("initdb")
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb")) + ([initdb] if initdb else [])
    return os.path.dirname(found[-1]) if found else None


@unittest.skipUnless(importlib.util.find_spec("django") and importlib.util.find_spec("psycopg") and _server(),
                     "this test needs Django, psycopg and the programs of PostgreSQL")
class Postgres(Zygotes):
    @classmethod
    def setUpClass(cls):
        """PostgreSQL refuses to run as root."""
        cls.home = subprocess.check_output(["mktemp", "-d"], text=True).strip()
        cls.addClassCleanup(shutil.rmtree, cls.home)
        cls.user = {}
        if os.geteuid() == 0:
            shutil.chown(cls.home, "postgres", "postgres")
            cls.user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        data = os.path.join(cls.home, "data")
        cls.run_program("initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync")
        options = "-k %s -h '' -c fsync=off" % cls.home
        cls.run_program("pg_ctl", "-D", data, "-w", "-o", options, "-l", os.path.join(cls.home, "log"), "start")
        with open(os.path.join(data, "postmaster.pid")) as file:
            cls.addClassCleanup(os.waitpid, int(file.readline()), 0)  # ours, as we are a subreaper
        cls.addClassCleanup(cls.run_program, "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")

    @classmethod
    def run_program(cls, name, *args):
        subprocess.run([os.path.join(_server(), name), *args], check=True, cwd=cls.home,
                       stdout=subprocess.DEVNULL, **cls.user)

    def serve_three(self, code="", options=None):
        """Return for each of three workers which processes of PostgreSQL answered it."""
        self.write("settings.py", SETTINGS % (self.home, 0 if options else None, options or {}))
        self.write("urls.py", URLS % code)
        zygote = self.ready(settings="settings")
        self.assertEqual([w["problem"] for w in zygote.ready["warmup"]], [""])
        workers = [self.serving(zygote) for _ in range(3)]
        backends = [set() for _ in workers]
        for number, worker in 3 * list(enumerate(workers)):
            backend, answer = self.get(worker).body.split()
            self.assertEqual(answer, b"42")
            backends[number].add(backend)
        self.assertEqual(sum(map(len, backends)), len(set().union(*backends)), "no worker uses another's connection")
        return backends

    def test_connections(self):
        backends = self.serve_three("connection.ensure_connection()")
        self.assertEqual([len(used) for used in backends], [1, 1, 1])

    def test_pool(self):
        import django

        if django.VERSION < (5, 1) or not importlib.util.find_spec("psycopg_pool"):
            self.skipTest("needs Django 5.1 and psycopg_pool")
        self.serve_three(options={"pool": {"min_size": 1, "max_size": 2}})

    def test_connection_beside_django(self):
        self.write("site_app.py", """
            import psycopg
            connection = psycopg.connect("host=%s user=postgres")

            def application(environ, start_response):
                start_response("200 OK", [])
                return [str(connection.execute("SELECT 42").fetchone()[0]).encode()]
        """ % self.home)
        event = self.site(wsgi="site_app").event()
        self.assertEqual(event["event"], "unsafe", event)
        self.assertRegex("\n".join(event["reasons"]), r"^socket connected to %s/\.s\.PGSQL\.5432" % self.home)
        worker = self.worker(wsgi="site_app")
        self.assertEqual(worker.event()["event"], "ready")
        self.assertEqual(self.get(worker).body, b"42")

    @unittest.skipUnless(importlib.util.find_spec("psycopg_pool"), "this test needs psycopg_pool")
    def test_pool_beside_django(self):
        """A closed pool does not open itself: the zygote does so before the warm-up, and each worker."""
        self.write("site_app.py", """
            import psycopg_pool
            pool = psycopg_pool.ConnectionPool("host=%s user=postgres", min_size=1, max_size=2, open=True)
            pool.wait()

            def application(environ, start_response):
                with pool.connection() as connection:
                    body = str(connection.execute("SELECT pg_backend_pid()").fetchone()[0]).encode()
                start_response("200 OK", [])
                return [body]
        """ % self.home)
        zygote = self.ready(wsgi="site_app")
        self.assertEqual([w["problem"] for w in zygote.ready["warmup"]], [""])
        self.assertEqual(zygote.ready["closed"], ["1 psycopg pool"])
        workers = [self.serving(zygote) for _ in range(3)]
        self.assertEqual(len({self.get(worker).body for worker in workers}), 3)


if __name__ == "__main__":
    unittest.main()
