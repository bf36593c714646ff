"""A real Django project, where the interpreter that runs the tests has Django."""

import importlib.util
import os
import signal
import unittest

from process import WorkerCase

SETTINGS = """
    import os

    SECRET_KEY = "for this test"
    ALLOWED_HOSTS = ["*"]
    ROOT_URLCONF = "project.urls"
    INSTALLED_APPS = ["django.contrib.staticfiles", "project"]
    MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
    STATIC_URL = "static/"
    STATIC_ROOT = os.path.join(os.path.dirname(__file__), "collected")
    STATICFILES_DIRS = [os.path.join(os.path.dirname(__file__), "own")]
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
"""

URLS = """
    import io, sys

    from django.core.signals import request_finished
    from django.db import connection
    from django.http import FileResponse, HttpResponse, StreamingHttpResponse
    from django.urls import path, reverse

    request_finished.connect(lambda **_: print("request finished", file=sys.stderr), weak=False)

    def hello(request):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 6 * 7")
            answer = cursor.fetchone()[0]
        return HttpResponse("%s %s %s" % (request.method, reverse("hello"), answer))

    def upload(request):
        file = request.FILES["file"]
        return HttpResponse("%s %s %d" % (request.POST["name"], file.name, len(file.read())))

    def stream(request):
        return StreamingHttpResponse("chunk %d," % n for n in range(3))

    def file(request):
        return FileResponse(io.BytesIO(b"z" * 100000), filename="z.txt")

    def fails(request):
        raise LookupError("of the view")

    urlpatterns = [path("", hello, name="hello"), path("upload", upload), path("stream", stream),
                   path("file", file), path("fails", fails)]
"""


@unittest.skipUnless(importlib.util.find_spec("django"), "this interpreter has no Django")
class Django(WorkerCase):
    def setUp(self):
        super().setUp()
        self.write("project/__init__.py", "")
        self.write("project/settings.py", SETTINGS)
        self.write("project/urls.py", URLS)
        self.write("project/static/x.css", "")
        self.write("project/own/y.css", "")
        self.write("project/collected/z.css", "")

    def django(self, **config):
        import django

        worker = self.start(**config)
        event = worker.event()
        self.assertEqual((event["event"], event.get("django")), ("ready", django.__version__), event)
        return worker, event["static"]

    def test_settings_alone(self):
        worker, static = self.django(settings="project.settings")
        root = os.path.join(self.dir, "project")
        self.assertEqual(static, [{"url": "/static/", "dirs": [
            os.path.join(root, part) for part in ("collected", "own", "static")]}])
        boundary = "b0undary"
        form = ('--{0}\r\nContent-Disposition: form-data; name="name"\r\n\r\ncaf\xe9\r\n'
                '--{0}\r\nContent-Disposition: form-data; name="file"; filename="f.bin"\r\n\r\n{1}\r\n--{0}--\r\n'
                ).format(boundary, "d" * 200000).encode("latin-1")
        with worker.front() as front:
            response = front.request()
            self.assertEqual((response.status, response.body), ("200 OK", b"GET / 42"))
            self.assertEqual(response["Content-Length"], ["8"])
            self.assertEqual(front.request(SCRIPT_NAME="/sub").body, b"GET /sub/ 42")
            self.assertEqual(front.request("HEAD").body, b"")
            response = front.request("POST", path="/upload", data=form,
                                     CONTENT_TYPE="multipart/form-data; boundary=" + boundary)
            self.assertEqual(response.body, b"caf\xef\xbf\xbd f.bin 200000")
            self.assertEqual(front.request(path="/stream").body, b"chunk 0,chunk 1,chunk 2,")
            self.assertEqual(front.request(path="/file").body, b"z" * 100000)
            self.assertEqual(front.request(path="/none").status, "404 Not Found")
            self.assertEqual(front.request(path="/fails").status, "500 Internal Server Error")
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0)
        errors = worker.err.all()
        self.assertIn("uncaught exception in GET /fails\nTraceback (most recent call last):\n", errors)
        self.assertEqual(errors.count("\nLookupError: of the view\n"), 1)
        self.assertEqual(errors.count("request finished\n"), 8)

    def test_script_with_its_own_settings(self):
        script = self.write("site.wsgi", """
            import os

            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
            from django.core.wsgi import get_wsgi_application

            application = get_wsgi_application()
        """)
        worker, static = self.django(wsgi=script, mount="/sub")
        self.assertEqual(static[0]["url"], "/sub/static/")
        with worker.front() as front:
            self.assertEqual(front.request(SCRIPT_NAME="/sub").body, b"GET /sub/ 42")

    @unittest.skipUnless(importlib.util.find_spec("whitenoise"), "WhiteNoise is not installed: the package index was out of reach")
    def test_whitenoise_serves_its_files_itself(self):
        self.write("project/static_files.py", """
            from whitenoise.middleware import WhiteNoiseMiddleware

            class Own(WhiteNoiseMiddleware):
                pass

            def factory(get_response):
                return get_response
        """)
        wrapped = self.write("wrapped.wsgi", """
            from django.core.wsgi import get_wsgi_application
            from whitenoise import WhiteNoise

            application = WhiteNoise(get_wsgi_application(), root=%r, prefix="static/")
        """ % os.path.join(self.dir, "project", "collected"))
        for middleware, config, serves in (
                ("whitenoise.middleware.WhiteNoiseMiddleware", {}, True), ("project.static_files.Own", {}, True),
                ("project.static_files.factory", {}, False), ("project.static_files.factory", {"wsgi": wrapped}, True)):
            with self.subTest(middleware, **config):
                self.write("project/other.py", "from project.settings import *\nMIDDLEWARE = [%r]\n" % middleware)
                worker, static = self.django(settings="project.other", **config)
                self.assertEqual(static == [], serves, static)
                with worker.front() as front:
                    response = front.request(path="/static/z.css")
                self.assertEqual((response.status, bool(response["Cache-Control"])),
                                 ("200 OK", True) if serves else ("404 Not Found", False))
                worker.signal(signal.SIGTERM)
                worker.wait()

    def test_static_settings_that_give_no_directories(self):
        for line, told in (("STATIC_URL = 'https://cdn.example/s/'", ""), ("STATIC_URL = None", ""),
                           ("STATICFILES_FINDERS = ['no.such.Finder']", "static files are not served by the front door: ")):
            with self.subTest(line):
                self.write("project/other.py", "from project.settings import *\n%s\n" % line)
                worker, static = self.django(settings="project.other")
                self.assertEqual(static, [])
                if told:
                    worker.err.wait(told)

    def test_every_exception_is_logged_once(self):
        """By Django if its logging writes it somewhere, else by the worker."""
        console = ('LOGGING = {"version": 1, "handlers": {"console": {"class": "logging.StreamHandler"}},'
                   ' "root": {"handlers": ["console"]}')
        for name, line in (("by_root", console + ', "disable_existing_loggers": False}'), ("disabled", console + "}"),
                           ("debug", "DEBUG = True"), ("last_resort", "LOGGING_CONFIG = None"),
                           ("basic", "import logging; logging.basicConfig()")):
            with self.subTest(name):
                self.write("project/%s.py" % name, "from project.settings import *\n%s\n" % line)
                worker, _ = self.django(settings="project." + name)
                with worker.front() as front:
                    self.assertEqual(front.request(path="/fails").status, "500 Internal Server Error")
                worker.signal(signal.SIGTERM)
                self.assertEqual(worker.wait(), 0)
                self.assertEqual(worker.err.all().count("\nLookupError: of the view\n"), 1, worker.err.text)

    def test_urls_that_do_not_load(self):
        """They are part of loading, even if middleware would answer before they are needed."""
        self.write("project/secure.py", "from project.settings import *\n"
                   "MIDDLEWARE = ['django.middleware.security.SecurityMiddleware']\nSECURE_SSL_REDIRECT = True\n")
        include = "from django.urls import include, path\nurlpatterns = [path('shop/', include('project.%s'))]\n"
        self.write("project/inner.py", include % "views")
        self.write("project/views.py", "import no_such_package\n")
        for urls, error in (
                ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
                (include % "inner", "ModuleNotFoundError: No module named 'no_such_package'"),
                ("from django.urls import re_path\nurlpatterns = [re_path('(', str)]",
                 'ImproperlyConfigured: "(" is not a valid regular expression: missing ), unterminated subpattern at position 0'),
                ("handler500 = 'project.views.error'\nurlpatterns = []", "ModuleNotFoundError: No module named 'no_such_package'"),
                ("", "ImproperlyConfigured: The included URLconf 'project.urls' does not appear to have any patterns in it.")):
            with self.subTest(urls):
                self.write("project/urls.py", urls)
                found, trace = self.failure(settings="project.secure")
                self.assertEqual(found[:len(error)], error)
                self.assertIn("project.urls" if not urls else "Traceback", trace)

    def test_application_that_is_not_django(self):
        """An application that only uses Django's models needs no URLconf."""
        self.write("project/urls.py", "raise LookupError('of the URLconf')\n")
        self.write("project/other.py", """
            import django
            django.setup()
            def application(environ, start_response):
                start_response("200 OK", [])
                return [b"other"]
        """)
        worker, _ = self.django(settings="project.settings", wsgi="project.other")
        with worker.front() as front:
            self.assertEqual(front.request().body, b"other")

    def test_settings_that_do_not_load(self):
        self.write("project/broken.py", "from no_such_package import x\n")
        for name, error in (("project.broken", "ModuleNotFoundError: No module named 'no_such_package'"),
                            ("project.absent", "ModuleNotFoundError: No module named 'project.absent'")):
            with self.subTest(name):
                self.assertEqual(self.failure(settings=name)[0], error)
