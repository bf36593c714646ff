"""Prepare the process for a site and load its WSGI application."""

import importlib
import os
import site
import sys
import threading
import types

from . import bytecode, django_site
from .log import SiteError, log_line

SCRIPT_MODULE = "multisite_site_script"


class Site:
    """A loaded application, and what is reported about it to the supervisor."""

    def __init__(self, application, mount):
        self.application = application
        self.django = django_site.version()
        self.static = django_site.static_dirs(application, mount)


def load(config):
    """Prepare the process and import the application; of a Django site also what its first request would import."""
    prepare(config)
    application = _application(config)
    django_site.load_urls()
    django_site.log_exceptions()
    return Site(application, config.mount)


def prepare(config):
    """Set locale, working directory, sys.path and DJANGO_SETTINGS_MODULE."""
    if config.locale:
        _set_locale(config.locale)
    bytecode.distrust_old()
    if config.home:
        os.chdir(config.home)
    threading.stack_size(config.stack_size)
    _set_path(config.python_path, config.home)
    if config.settings:
        os.environ["DJANGO_SETTINGS_MODULE"] = config.settings


def _set_locale(name):
    """Set all categories, as numbers, dates and sorting; Python itself sets only LC_CTYPE from the environment."""
    import _locale

    try:
        _locale.setlocale(_locale.LC_ALL, name)
    except _locale.Error:
        log_line('the locale "%s" is not installed: the default locale is used' % name)


def _set_path(python_path, home):
    """Put python_path first, then home, before everything else on sys.path.

    Each entry of python_path is a site directory, as in mod_wsgi: its .pth files
    are read, and the directories that they add follow the entry.
    """
    first = []
    before = list(sys.path)
    for entry in python_path:
        known = set(sys.path)
        site.addsitedir(entry)
        first += [entry] + [p for p in sys.path if p not in known and p != entry]
    if home:
        first.append(home)
    first = list(dict.fromkeys(first))
    sys.path[:] = first + [p for p in before if p not in first]
    importlib.invalidate_caches()


def _application(config):
    if not config.wsgi:
        return _django_application(config)
    if "/" in config.wsgi or os.path.isfile(config.wsgi):
        return _script_application(config.wsgi)
    return _module_application(config.wsgi)


def _django_application(config):
    if not config.settings:
        raise SiteError("the site names no application: set settings or wsgi")
    try:
        import django.core.wsgi
    except ModuleNotFoundError as error:
        if error.name != "django":
            raise
        raise SiteError("Django is not installed for %s: install it there, or set python_home"
                        % sys.executable) from None
    return django.core.wsgi.get_wsgi_application()


def _script_application(path):
    """Execute a WSGI script, whatever its extension, as a module."""
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        raise SiteError("cannot read the WSGI script %s: %s" % (path, error.strerror)) from None
    module = types.ModuleType(SCRIPT_MODULE)
    module.__file__ = path
    sys.modules[SCRIPT_MODULE] = module
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
    if not hasattr(module, "application"):
        raise SiteError(
            "the WSGI script %s defines no 'application': write `application = ...` in it%s"
            % (path, _hint(module)))
    return _callable(module.application, "'application' in %s" % path)


def _module_application(name):
    """Import "pkg.mod:callable", where the callable may have dots, or "pkg.mod"."""
    module_name, _, attribute = name.partition(":")
    attribute = attribute or "application"
    target = module = importlib.import_module(module_name)
    for part in attribute.split("."):
        if not hasattr(target, part):
            raise SiteError("module '%s' has no '%s': write wsgi = \"%s:CALLABLE\"%s"
                            % (module_name, attribute, module_name, _hint(module)))
        target = getattr(target, part)
    return _callable(target, "'%s' of module '%s'" % (attribute, module_name))


def _hint(module):
    """Return which name the author may have meant, or ""."""
    likely = [n for n in ("application", "app", "wsgi_app", "wsgi", "api")
              if callable(getattr(module, n, None))]
    return " (it does define '%s')" % likely[0] if likely else ""


def _callable(target, where):
    if callable(target):
        return target
    raise SiteError("%s is not callable but %s: name a WSGI application, a callable(environ, start_response)"
                    % (where, type(target).__name__))
