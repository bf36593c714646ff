"""The settings that both subdomains share: the database, the admin, the middleware.

subdomain1_settings.py and subdomain2_settings.py start with
"from settings import *" and say only what differs. Written for Django 3.2
and everything newer.
"""

import os
from pathlib import Path

import django

BASE_DIR = Path(__file__).resolve().parent

# This project runs in tests and on a developer's machine: the key is no secret.
SECRET_KEY = "only-for-tests-and-demos-this-key-is-in-the-public-repository"
DEBUG = os.environ.get("MULTISITE_DEBUG") == "1"
ALLOWED_HOSTS = [".example.com", ".localhost", "127.0.0.1"]

# The apps of the subdomains are added by their own settings.
INSTALLED_APPS = [
    "probe",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.sites",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("MULTISITE_DB") or str(BASE_DIR / "db.sqlite3"),
        "OPTIONS": {"timeout": 20},
    },
}
if django.VERSION >= (5, 1):
    # Ten processes write to one file: a transaction that reads first and
    # writes later would fail at once with "database is locked".
    DATABASES["default"]["OPTIONS"]["transaction_mode"] = "IMMEDIATE"

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = str(BASE_DIR / "static_root")

# With DEBUG off Django only mails errors to ADMINS. Naming "django" here takes
# that handler away, so everything goes to stderr once: the site's log.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {"django": {"level": "WARNING"}},
}
