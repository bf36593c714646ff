"""What the worker does for a Django site beyond serving it.

A site that did not import Django is not a Django site: nothing here imports it first.
"""

import logging
import os
import sys

from .report import error_line, log_error, log_line


def version():
    """Return Django's version, or "" when the application did not import Django."""
    return getattr(sys.modules.get("django"), "__version__", "")


def load_urls():
    """Import ROOT_URLCONF with all that it includes, and with it the views, as the first request would.

    What raises there would be a 500 for every page of a site that seems to have started. To ask for
    reverse_dict is how Django itself walks through all of it, once for the process. The views of errors
    (handler500 and the like) are not in it.
    """
    settings, apps = _settings(), sys.modules.get("django.apps")
    serves = "django.core.handlers.wsgi" in sys.modules  # else it is another application that uses Django's models
    if settings is None or not serves or not apps.apps.ready or not getattr(settings, "ROOT_URLCONF", None):
        return
    from django.urls import get_resolver

    resolver = get_resolver()
    resolver.reverse_dict
    for status in (400, 403, 404, 500):
        resolver.resolve_error_handler(status)


def static_dirs(application, mount):
    """Return [{"url": prefix, "dirs": [...]}] for the static files of a configured Django.

    collectstatic's target comes first, then where staticfiles would look. WhiteNoise keeps what it
    serves: it has its own compression, caching and headers.
    """
    settings = _settings()
    if settings is None:
        return []
    try:
        if _has_whitenoise(application, settings):
            return []
        url = _static_url(settings, mount)
        dirs = _root(settings) + _finder_dirs(settings)
    except Exception as error:  # the site's own settings: a mistake in them must not stop the site
        log_line("static files are left to the application: " + error_line(error))
        return []
    return [{"url": url, "dirs": list(dict.fromkeys(dirs))}] if url and dirs else []


def log_exceptions():
    """Log what views raise where Django's own logging does not: without DEBUG it only mails it to ADMINS."""
    if _settings() is None:
        return
    from django.core.signals import got_request_exception

    got_request_exception.connect(_log_exception, weak=False)


def _log_exception(request=None, **_):
    if not _is_logged(logging.getLogger("django.request")):
        log_error("uncaught exception in %s %s" % (request.method, request.get_full_path()), sys.exc_info()[1])


def _is_logged(logger):
    """Whether an error given to this logger reaches a handler that writes it down."""
    if logger.disabled:  # by a dictConfig that has not heard of disable_existing_loggers
        return False
    handlers = list(logger.handlers)
    while logger.propagate and logger.parent:
        logger = logger.parent
        handlers += logger.handlers
    return not handlers or any(_writes(handler) for handler in handlers)  # without any, logging has a last resort


def _writes(handler):
    from django.utils.log import AdminEmailHandler, RequireDebugTrue

    if isinstance(handler, (AdminEmailHandler, logging.NullHandler)):
        return False
    return _settings().DEBUG or not any(isinstance(f, RequireDebugTrue) for f in handler.filters)


def _settings():
    conf = sys.modules.get("django.conf")
    return conf.settings if conf is not None and conf.settings.configured else None


def _has_whitenoise(application, settings):
    """Whether WhiteNoise, or what is made from it, is in MIDDLEWARE or around the application."""
    whitenoise = sys.modules.get("whitenoise.base")
    if whitenoise is None:  # Django has imported all of MIDDLEWARE
        return False
    from django.utils.module_loading import import_string

    return isinstance(application, whitenoise.WhiteNoise) or any(
        isinstance(middleware, type) and issubclass(middleware, whitenoise.WhiteNoise)
        for middleware in map(import_string, settings.MIDDLEWARE))


def _static_url(settings, mount):
    # settings.STATIC_URL would cache the value with the script prefix of this
    # moment, which is not yet that of a request.
    url = getattr(settings._wrapped, "STATIC_URL", None) or ""
    if "://" in url or url.startswith("//"):
        return ""
    if not url.startswith("/") and url:
        url = mount.rstrip("/") + "/" + url
    return url if url != "/" else ""


def _root(settings):
    root = getattr(settings, "STATIC_ROOT", None)
    return [os.path.abspath(root)] if root and os.path.isdir(root) else []


def _finder_dirs(settings):
    if "django.contrib.staticfiles" not in settings.INSTALLED_APPS:
        return []
    from django.contrib.staticfiles import finders

    storages = []
    for finder in finders.get_finders():
        storages += getattr(finder, "storages", {}).values()
    return [os.path.abspath(s.location) for s in storages if not getattr(s, "prefix", None)]
