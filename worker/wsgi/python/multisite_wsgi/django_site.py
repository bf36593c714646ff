"""The work that a worker does for a Django site beyond serving it.

Nothing here is the first to import Django: a site that did not import it is no Django site.
"""

import logging
import os
import sys

from .log import error_line, log_error, log_line


def version():
    """Return Django's version, or "" when the application did not import Django."""
    return getattr(sys.modules.get("django"), "__version__", "")


def load_urls():
    """Import ROOT_URLCONF with all that it includes, and so the views, as the first request would.

    An exception there would make every page a 500 although the site seems to have started. Reading
    reverse_dict makes Django walk through all URL patterns, which it does once for a process. The
    views for errors (handler500 and the like) are not among them and are resolved one by one.
    """
    settings, apps = _settings(), sys.modules.get("django.apps")
    serves = "django.core.handlers.wsgi" in sys.modules  # else another application only uses Django's models
    if settings is None or not serves or not apps.apps.ready or not getattr(settings, "ROOT_URLCONF", None):
        return
    from django.urls import get_resolver

    resolver = get_resolver()
    resolver.reverse_dict
    for status in (400, 403, 404, 500):
        resolver.resolve_error_handler(status)


def static_dirs(application, mount):
    """Return [{"url": prefix, "dirs": [...]}] for the static files of a configured Django.

    The target of collectstatic comes first, then the directories in which staticfiles looks. If the
    site uses WhiteNoise the list is empty, since that has its own compression, caching and headers.
    """
    settings = _settings()
    if settings is None:
        return []
    try:
        if _has_whitenoise(application, settings):
            return []
        url = _static_url(settings, mount)
        dirs = _root(settings) + _finder_dirs(settings)
    except Exception as error:  # a mistake in the settings of static files must not keep the site from starting
        log_line("static files are not served by the front door: " + error_line(error))
        return []
    return [{"url": url, "dirs": list(dict.fromkeys(dirs))}] if url and dirs else []


def log_exceptions():
    """Log exceptions of views if Django's own logging does not: without DEBUG it only mails them to ADMINS."""
    if _settings() is None:
        return
    from django.core.signals import got_request_exception

    got_request_exception.connect(_log_exception, weak=False)


def _log_exception(request=None, **_):
    if not _is_logged(logging.getLogger("django.request")):
        log_error("uncaught exception in %s %s" % (request.method, request.get_full_path()), sys.exc_info()[1])


def _is_logged(logger):
    """Return whether an error given to this logger reaches a handler that writes it somewhere."""
    if logger.disabled:  # as by dictConfig without disable_existing_loggers = False
        return False
    handlers = list(logger.handlers)
    while logger.propagate and logger.parent:
        logger = logger.parent
        handlers += logger.handlers
    return not handlers or any(_writes(handler) for handler in handlers)  # without handlers logging.lastResort writes


def _writes(handler):
    from django.utils.log import AdminEmailHandler, RequireDebugTrue

    if isinstance(handler, (AdminEmailHandler, logging.NullHandler)):
        return False
    return _settings().DEBUG or not any(isinstance(f, RequireDebugTrue) for f in handler.filters)


def _settings():
    conf = sys.modules.get("django.conf")
    return conf.settings if conf is not None and conf.settings.configured else None


def _has_whitenoise(application, settings):
    """Return whether WhiteNoise, or a class derived from it, is in MIDDLEWARE or wraps the application."""
    whitenoise = sys.modules.get("whitenoise.base")
    if whitenoise is None:  # Django has imported all of MIDDLEWARE by now
        return False
    from django.utils.module_loading import import_string

    return isinstance(application, whitenoise.WhiteNoise) or any(
        isinstance(middleware, type) and issubclass(middleware, whitenoise.WhiteNoise)
        for middleware in map(import_string, settings.MIDDLEWARE))


def _static_url(settings, mount):
    # Reading settings.STATIC_URL would cache it with the current script prefix,
    # which is not the one that requests will have.
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
