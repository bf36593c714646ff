"""What the supervisor wants to know about a Django site.

Nothing here imports Django: a site that did not import it is not a Django site.
"""

import os
import sys


def version():
    """Return Django's version, or "" when the application did not import Django."""
    return getattr(sys.modules.get("django"), "__version__", "")


def static_dirs(mount):
    """Return [{"url": prefix, "dirs": [...]}] for the static files of a configured Django.

    collectstatic's target comes first, then where staticfiles would look.
    """
    conf = sys.modules.get("django.conf")
    if conf is None or not conf.settings.configured:
        return []
    try:
        url = _static_url(conf.settings, mount)
        dirs = _root(conf.settings) + _finder_dirs(conf.settings)
    except Exception as error:  # the site's own settings: a mistake in them must not stop the site
        print("static files are left to the application: %s: %s" % (type(error).__name__, error),
              file=sys.stderr)
        return []
    return [{"url": url, "dirs": list(dict.fromkeys(dirs))}] if url and dirs else []


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
