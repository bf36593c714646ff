"""Django sites with very different settings under one project zygote: each behaves as it does alone."""

import contextlib
import importlib.util
import json
import os
import re
import signal
import sqlite3
import textwrap
import unittest
from unittest import mock

from zygotes import Zygotes

BASE = """
    import os
    SECRET_KEY = "for this test"
    ALLOWED_HOSTS = ["*"]
    ROOT_URLCONF = "urls"
    INSTALLED_APPS = [
        "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
        "django.contrib.messages"]
    MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.common.CommonMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware"]
    TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {
        "context_processors": ["django.template.context_processors.request",
                               "django.contrib.auth.context_processors.auth",
                               "django.contrib.messages.context_processors.messages"]}}]
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DB"]}}
    DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
    USE_TZ = True
"""

SITES = {
    "plain": "from base_settings import *",
    "german": """
        from base_settings import *
        LANGUAGE_CODE = "de"
        TIME_ZONE = "Europe/Berlin"
        AUTH_USER_MODEL = "accounts.Account"
        INSTALLED_APPS = ["accounts"] + INSTALLED_APPS + ["django.contrib.humanize"]
        PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]
        SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
        MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.locale.LocaleMiddleware",
                      "django.middleware.gzip.GZipMiddleware"] + MIDDLEWARE
        DEFAULT_TABLESPACE = "elsewhere"
    """,
    "tokyo": """
        from base_settings import *
        DEBUG = True
        LANGUAGE_CODE = "ja"
        TIME_ZONE = "Asia/Tokyo"
        FORMAT_MODULE_PATH = "formats"
        ROOT_URLCONF = "other_urls"
        INSTALLED_APPS = INSTALLED_APPS + ["django.contrib.sites", "django.contrib.staticfiles"]
        SITE_ID = 7
        STATIC_URL = "/s/"
        MESSAGE_TAGS = {10: "few"}
        CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
        MIDDLEWARE = MIDDLEWARE + ["django.middleware.clickjacking.XFrameOptionsMiddleware"]
    """,
}

FACTS = """
    import json, os, sys, time, weakref
    from datetime import datetime, timezone as zone

    from django.apps import apps
    from django.conf import settings
    from django.contrib import admin
    from django.contrib.auth import forms, get_user_model, hashers
    from django.contrib.messages import utils as messages
    from django.core import checks, signals
    from django.db import connection
    from django.db.models import signals as models
    from django.dispatch import Signal
    from django.http import HttpResponse
    from django.template import engines
    from django.urls import get_resolver
    from django.utils import formats, timezone, translation

    MOMENT = datetime(2024, 1, 31, 23, 30, tzinfo=zone.utc)

    def label(thing):
        return "%s.%s" % (thing.__module__, getattr(thing, "__qualname__", thing.__class__.__qualname__))

    def receivers(signal):
        found = [entry[1]() if isinstance(entry[1], weakref.ReferenceType) else entry[1] for entry in signal.receivers]
        return sorted(label(receiver) for receiver in found if receiver is not None)

    def patterns(resolver, prefix=""):
        for pattern in resolver.url_patterns:
            text = prefix + str(pattern.pattern)
            yield text
            if hasattr(pattern, "url_patterns"):
                yield from patterns(pattern, text)

    def facts(request):
        found = {
            "settings": {name: repr(getattr(settings, name)) for name in dir(settings) if name.isupper()},
            "models": {model._meta.label: [[field.name, type(field).__name__, str(field.verbose_name),
                       getattr(field, "db_tablespace", "")] for field in model._meta.fields]
                       for model in apps.get_models()},
            "user": get_user_model()._meta.label,
            "relations": sorted(str(relation) for relation in get_user_model()._meta.related_objects),
            "forms": [forms.UserCreationForm._meta.model._meta.label,
                      [str(field.label) for field in forms.AuthenticationForm().fields.values()]],
            "hashers": [hasher.algorithm for hasher in hashers.get_hashers()],
            "urls": list(patterns(get_resolver())),
            "checks": [str(problem) for problem in checks.run_checks()],
            "registered checks": sorted(label(check) for check in checks.registry.registry.registered_checks),
            "libraries": sorted(engines["django"].engine.libraries),
            "admin": sorted([model._meta.label, label(type(ours))] for model, ours in admin.site._registry.items()),
            "signals": {name: receivers(signal) for name, signal in
                        list(vars(models).items()) + list(vars(signals).items()) if isinstance(signal, Signal)},
            "language": [translation.get_language(), str(forms.AuthenticationForm().fields["username"].label),
                         formats.date_format(MOMENT), formats.number_format("1234.5")],
            "time": [str(timezone.localtime(MOMENT)), time.tzname, os.environ.get("TZ"),
                     timezone.get_default_timezone_name(), datetime.fromtimestamp(0).isoformat()],
            "messages": {str(level): tag for level, tag in messages.get_level_tags().items()},
            "database": [connection.settings_dict["NAME"], connection.vendor],
            "environment": dict(os.environ),
            "path": sys.path,
            "modules": sorted(sys.modules),
        }
        return HttpResponse(json.dumps(found), content_type="application/json")
"""

URLS = """
    from django.contrib import admin
    from django.urls import path
    from facts import facts
    urlpatterns = [path("facts/", facts), path("admin/", admin.site.urls)]
"""

ACCOUNT = """
    from django.contrib.auth.models import AbstractUser
    from django.db import models
    class Account(AbstractUser):
        nickname = models.CharField(max_length=20)
"""


@unittest.skipUnless(importlib.util.find_spec("django"), "this interpreter has no Django")
class DjangoSites(Zygotes):
    def setUp(self):
        super().setUp()
        self.write("base_settings.py", BASE)
        for name, source in SITES.items():
            self.write(name + "_settings.py", source)
        self.write("facts.py", FACTS)
        self.write("urls.py", URLS)
        self.write("other_urls.py", URLS.replace('"admin/"', '"verwaltung/"'))
        self.write("accounts/__init__.py", "")
        self.write("accounts/models.py", ACCOUNT)
        with contextlib.closing(sqlite3.connect(os.path.join(self.dir, "tokyo.sqlite3"))) as database:
            database.execute("CREATE TABLE django_site (id integer PRIMARY KEY, domain text, name text)")
            database.execute("INSERT INTO django_site VALUES (7, 'tokyo.example', 'Tokyo')")
            database.commit()
        self.write("formats/__init__.py", "")
        self.write("formats/ja/__init__.py", "")
        self.write("formats/ja/formats.py", "DATE_FORMAT = 'Y|m|d'")

    def django(self, name):
        env = {"PATH": os.environ["PATH"], "HOME": self.dir, "PYTHONDONTWRITEBYTECODE": "1",
               "DB": os.path.join(self.dir, name + ".sqlite3"), "LC_CTYPE": "C.UTF-8"}
        warmup = ["/facts/", "/admin/login/", "/verwaltung/login/"]
        return self.config(site=name, home=self.dir, settings=name + "_settings", env=env, warmup=warmup)

    def prepare(self, configs):
        return self.zygote.ask({"cmd": "prepare", "sites": configs, "without": [], "deadline_seconds": 60,
                                "processor_seconds": 60})

    def answers(self, worker):
        """Return the facts about a site, and some of its pages."""
        pages = {}
        with worker.front() as front:
            for language in "", "fr":
                for path in "/admin/login/", "/verwaltung/login/", "/admin/", "/nowhere", "/s/admin/css/base.css":
                    response = front.request(path=path, HTTP_ACCEPT_LANGUAGE=language)
                    pages[path + " " + language] = [response.status, _headers(response), _masked(response.body)]
            response = front.request(path="/facts/")
            self.assertEqual(response.status, "200 OK", worker.out.text + getattr(worker, "err", worker.out).text)
            facts = dict(json.loads(response.body), **pages)
        self.modules = set(facts.pop("modules"))
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0)
        return facts

    def alone(self, config):
        values = {name: config[name] for name in ("home", "settings", "python_path")}
        with mock.patch.dict(os.environ, config["env"], clear=True):
            worker = self.start(**values)
        event = worker.event()
        self.assertEqual(event["event"], "ready", event)
        return self.answers(worker)

    def machinery(self):
        """Return the modules that are imported in a worker of an empty site that was forked from a zygote."""
        self.write("empty.py", "import sys\ndef application(environ, start_response):\n"
                               "    start_response('200 OK', [])\n    return [' '.join(sys.modules).encode()]")
        worker = self.worker(wsgi="empty")
        worker.event()
        return set(self.get(worker).body.decode().split())

    def test_each_is_as_if_alone(self):
        configs = {name: self.django(name) for name in SITES}
        alone = {name: self.alone(config) for name, config in configs.items()}
        self.assertEqual({facts["user"] for facts in alone.values()}, {"auth.User", "accounts.Account"})
        answer = self.prepare(list(configs.values()))
        self.assertEqual((answer.get("ready"), answer.get("left_out")), (True, []), answer)
        self.assertGreater(answer["modules"], 250)
        for name, config in configs.items():
            zygote = self.site(**config)
            event = zygote.event()
            self.assertEqual(event["event"], "ready", event)
            for worker in self.serving(zygote), self.worker(**config):
                with self.subTest(name):
                    facts = self.answers(worker)
                    for fact, value in alone[name].items():
                        self.assertEqual(facts[fact], value, fact)

    def test_tiny_site_beside_them(self):
        """It takes no shared modules from them, and gets none that it does not import."""
        self.write("tiny.py", "import sys\ndef application(environ, start_response):\n"
                              "    start_response('200 OK', [])\n    return [' '.join(sys.modules).encode()]")
        configs = [self.django("plain"), self.config(site="tiny", wsgi="tiny", home=self.dir), self.django("german")]
        answer = self.prepare(configs)
        self.assertEqual((answer["left_out"], answer["others"]), ([], ["tiny"]), answer)
        self.assertGreater(answer["modules"], 250)
        self.zygote = self.start_project()
        self.assertEqual(self.prepare(configs[1:2])["others"], [])
        worker = self.worker(**configs[1])
        worker.event()
        self.assertNotIn("django", self.get(worker).body.decode().split())

    def test_no_module_more(self):
        configs = [self.django(name) for name in SITES]
        machinery = self.machinery()
        self.prepare(configs)
        for config in configs:
            self.alone(config)
            alone = self.modules
            worker = self.worker(**config)
            worker.event()
            self.answers(worker)
            self.assertEqual(self.modules - alone - machinery, set())
            self.assertEqual(alone - self.modules, set())


    def test_settings_cannot_be_read_while_modules_are_shared(self):
        """No learner records it: the module reads a setting only when it is imported for the third time."""
        packages = os.path.join(self.dir, "site-packages")
        self.write("site-packages/reader.py", """
            import os
            path = os.path.join(os.path.dirname(__file__), "count")
            with open(path, "a") as file:
                file.write("x")
            if os.path.getsize(path) == 3:
                from django.conf import settings
                try:
                    settings.DEBUG
                except Exception:
                    pass
        """)
        configs = []
        for name in "plain", "german":
            self.write(name + "_settings.py", "import reader\n" + textwrap.dedent(SITES[name]))
            config = self.django(name)
            configs.append(dict(config, python_path=[packages] + config["python_path"]))
        answer = self.prepare(configs)
        self.assertEqual(answer, {"failed_import": "reader", "error": "it reads settings.DEBUG"})


def _headers(response):
    return sorted((name, re.sub("(csrftoken|sessionid)=[^;]*|expires=[^;]*", "", value))
                  for name, value in response.headers if name not in ("Content-Length", "Last-Modified", "Expires"))


def _masked(body):
    """Return a page without its CSRF token, and without what DEBUG pages show about the process."""
    text = body.decode("utf-8", "replace")
    return re.sub('value="[A-Za-z0-9]{64}"', "", text)


if __name__ == "__main__":
    unittest.main()
