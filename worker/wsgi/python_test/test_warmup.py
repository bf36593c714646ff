"""Requests before the first fork."""

import importlib.util
import unittest

from zygotes import Zygotes

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
        start_response("503 Busy" if environ["PATH_INFO"] == "/busy" else "200 OK", [])
        return [b"x" * 200000]
"""


class Warmup(Zygotes):
    def setUp(self):
        super().setUp()
        self.write("site_app.py", APP)

    def seen(self, zygote):
        return eval(self.get(self.serving(zygote), "/seen").body)

    def test_requests(self):
        zygote = self.ready(wsgi="site_app", warmup=["/", "/a/?b=c"], hosts="site.example", mount="/sub")
        seen = self.seen(zygote)
        same = ("site.example", "multisite warm-up", b"")
        self.assertEqual(seen[:2], [(True, "GET", "/sub", "/", "") + same, (True, "GET", "/sub", "/a/", "b=c") + same])
        self.assertEqual(len(seen), 60)
        self.assertEqual(zygote.ready["warmup_errors"], [])

    def test_none(self):
        self.assertEqual(self.seen(self.ready(wsgi="site_app", warmup=[])), [])

    def test_errors_are_reported_and_not_repeated(self):
        zygote = self.ready(wsgi="site_app", warmup=["/raises", "/busy", "/"])
        self.assertEqual(zygote.ready["warmup_errors"], ["/raises: LookupError: of this path", "/busy: 503 Busy"])
        self.assertEqual([s[3] for s in self.seen(zygote)], ["/raises", "/busy"] + 30 * ["/"])
        self.assertEqual(zygote.out.text.count("LookupError: of this path"), 1)

    def test_strict(self):
        zygote = self.site(wsgi="site_app", warmup=["/raises"], warmup_strict=True)
        event = zygote.event()
        self.assertEqual(event["event"], "failed")
        self.assertEqual(event["error"], "warm-up failed: /raises: LookupError: of this path")
        self.assertEqual(zygote.wait(), 1)

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
        """Django makes an answer of the exception; the zygote still names it."""
        self.write("settings.py", "SECRET_KEY = 'x'\nROOT_URLCONF = 'urls'\nALLOWED_HOSTS = ['*']\n")
        self.write("urls.py", """
            from django.urls import path
            def fails(request):
                raise LookupError("of the view")
            urlpatterns = [path("", fails)]
        """)
        zygote = self.ready(settings="settings")
        self.assertEqual(zygote.ready["warmup_errors"], ["/: LookupError: of the view"])


if __name__ == "__main__":
    unittest.main()
