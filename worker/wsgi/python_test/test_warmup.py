"""The warm-up: requests before the first fork."""

import importlib.util
import os
import signal
import sys
import textwrap
import time
import unittest

from process import PACKAGE
from zygotes import Zygotes

sys.path.append(os.path.dirname(PACKAGE))
from multisite_wsgi.time_limit import TimeLimit  # noqa: E402

APP = """
    import sys

    SEEN = []

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/seen":
            start_response("200 OK", [])
            return [repr(SEEN).encode()]
        SEEN.append((environ.get("multisite.warmup"), environ["REQUEST_METHOD"], environ["SCRIPT_NAME"],
                     environ["PATH_INFO"], environ["QUERY_STRING"], environ["HTTP_HOST"], environ["HTTP_USER_AGENT"],
                     environ["wsgi.input"].read()))
        if environ["PATH_INFO"] == "/raises":
            raise LookupError("of this path")
        status = {"/busy": "503 Busy", "/moved": "301 Moved Permanently", "/host": "400 Bad Request",
                  "/gone": "404 Not Found"}
        start_response(status.get(environ["PATH_INFO"], "200 OK"), [])
        return [b"x" * 200000]
"""


class Warmup(Zygotes):
    def setUp(self):
        super().setUp()
        self.write("site_app.py", APP)

    def seen(self, zygote):
        return eval(self.get(self.serving(zygote), "/seen").body)

    def problems(self, zygote):
        return ["%s: %s" % (w["path"], w["problem"]) for w in zygote.ready["warmup"] if w["problem"]]

    def test_requests(self):
        zygote = self.ready(wsgi="site_app", warmup=["/", "/a/?b=c"], hosts="site.example", mount="/sub")
        seen = self.seen(zygote)
        same = ("site.example", "multisite warm-up", b"")
        self.assertEqual(seen[:2], [(True, "GET", "/sub", "/", "") + same, (True, "GET", "/sub", "/a/", "b=c") + same])
        self.assertEqual(len(seen), 60)
        fine = {"failed": False, "problem": "", "traceback": ""}
        self.assertEqual(zygote.ready["warmup"], [dict(fine, path="/"), dict(fine, path="/a/?b=c")])

    def test_none(self):
        self.assertEqual(self.seen(self.ready(wsgi="site_app", warmup=[])), [])

    def test_errors_are_reported_and_not_repeated(self):
        zygote = self.ready(wsgi="site_app", warmup=["/raises", "/busy", "/"])
        self.assertEqual(self.problems(zygote), ["/raises: LookupError: of this path", "/busy: answered 503 Busy"])
        self.assertEqual([w["failed"] for w in zygote.ready["warmup"]], [True, True, False])
        self.assertIn("in application", zygote.ready["warmup"][0]["traceback"])
        self.assertEqual([s[3] for s in self.seen(zygote)], ["/raises", "/busy"] + 30 * ["/"])
        self.assertEqual(zygote.out.text.count("LookupError: of this path"), 1)

    def test_strict(self):
        zygote = self.site(wsgi="site_app", warmup=["/raises"], warmup_strict=True)
        event = zygote.event()
        self.assertEqual(event["event"], "failed")
        self.assertEqual(event["error"], "warm-up failed: /raises: LookupError: of this path")
        self.assertEqual(zygote.wait(), 1)

    def test_learned_paths_are_dropped_if_they_do_not_work(self):
        """Visitors' paths are requested a few times; the site starts whatever becomes of them, strict or not."""
        zygote = self.ready(wsgi="site_app", warmup=["/raises", "/gone", "/moved", "/"], warmup_learned=True, warmup_strict=True)
        self.assertEqual(self.problems(zygote), [
            "/raises: LookupError: of this path", "/gone: answered 404 Not Found",
            "/moved: answered 301 Moved Permanently, so the page itself was not run"])
        self.assertEqual([s[3] for s in self.seen(zygote)], ["/raises", "/gone", "/moved"] + 4 * ["/"])

    def test_learned_path_that_is_slow(self):
        """The zygote does not wait for it: it names the path, and exits."""
        self.write("site_app.py", """
            import time
            def application(environ, start_response):
                while environ["PATH_INFO"] == "/slow":
                    time.sleep(0.01)
                start_response("200 OK", [])
                return [b""]
        """)
        zygote = self.site(wsgi="site_app", warmup=["/", "/slow"], warmup_learned=True)
        event = zygote.event()
        slow = ["no answer within 3 s"]
        self.assertEqual((event["event"], event["reasons"], event["opened_by"]), ("unsafe", slow, {"/slow": slow}))
        self.assertTrue(event["safe_when_loaded"])
        self.assertEqual(zygote.wait(), 0)

    def test_time_limit_gives_back_what_the_application_had(self):
        """A site may have an alarm of its own."""
        self.addCleanup(signal.signal, signal.SIGALRM, signal.signal(signal.SIGALRM, signal.SIG_IGN))
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_REAL, 1000)
        exceeded = []
        with TimeLimit(0.01, lambda: exceeded.append(True)):
            while not exceeded:
                time.sleep(0.001)
        self.assertIs(signal.getsignal(signal.SIGALRM), signal.SIG_IGN)
        self.assertGreater(signal.getitimer(signal.ITIMER_REAL)[0], 900)

    def test_slow_paths_do_not_take_long(self):
        self.write("site_app.py", """
            import time
            count = 0
            def application(environ, start_response):
                global count
                count += 1
                if "multisite.warmup" in environ:
                    time.sleep(0.2)
                start_response("200 OK", [])
                return [b"%d" % count]
        """)
        zygote = self.ready(wsgi="site_app")
        self.assertLessEqual(int(self.get(self.serving(zygote)).body), 5)

    @unittest.skipUnless(importlib.util.find_spec("django"), "this interpreter has no Django")
    def test_django_view_that_raises(self):
        """Django turns the exception into a response; the result names it nevertheless."""
        self.write("settings.py", "SECRET_KEY = 'x'\nROOT_URLCONF = 'urls'\nALLOWED_HOSTS = ['*']\n")
        self.write("urls.py", """
            from django.urls import path
            def fails(request):
                raise LookupError("of the view")
            urlpatterns = [path("", fails)]
        """)
        zygote = self.ready(settings="settings")
        self.assertEqual(self.problems(zygote), ["/: LookupError: of the view"])

    def test_responses_without_a_view_are_reported(self):
        zygote = self.ready(wsgi="site_app", warmup=["/moved", "/host"], warmup_strict=True)
        self.assertEqual(self.problems(zygote), ["/moved: answered 301 Moved Permanently, so the page itself was not run",
                                                 "/host: answered 400 Bad Request, so the page itself was not run"])
        self.assertEqual([w["failed"] for w in zygote.ready["warmup"]], [False, False])

    def test_results_of_a_site_that_is_not_fork_safe(self):
        self.write("site_app.py", APP + "    import threading\n"
                   "    threading.Thread(target=threading.Event().wait, daemon=True).start()\n")
        event = self.site(wsgi="site_app", warmup=["/busy"]).event()
        self.assertEqual((event["event"], event["warmup"][0]["problem"]), ("unsafe", "answered 503 Busy"))

    @unittest.skipUnless(importlib.util.find_spec("django"), "this interpreter has no Django")
    def test_django_that_redirects_to_https(self):
        """SECURE_SSL_REDIRECT does not answer the request, with or without SECURE_PROXY_SSL_HEADER."""
        settings = """
            SECRET_KEY = 'x'
            ROOT_URLCONF = 'urls'
            ALLOWED_HOSTS = ['site.example']
            MIDDLEWARE = ['django.middleware.security.SecurityMiddleware']
            SECURE_SSL_REDIRECT = True
        """
        self.write("urls.py", "from django.http import HttpResponse\nfrom django.urls import path\n"
                   "urlpatterns = [path('', lambda request: HttpResponse(request.build_absolute_uri()))]\n")
        for name, more in ("plain", ""), ("proxied", "SECURE_PROXY_SSL_HEADER = ('HTTP_X_FORWARDED_PROTO', 'https')\n"):
            with self.subTest(name):
                self.write(name + ".py", textwrap.dedent(settings) + more)
                self.assertEqual(self.problems(self.ready(settings=name, hosts="site.example")), [])
        self.write("other.py", textwrap.dedent(settings))
        refused = ["/: answered 400 Bad Request, so the page itself was not run"]
        self.assertEqual(self.problems(self.ready(settings="other", hosts="other.example")), refused)


if __name__ == "__main__":
    unittest.main()
