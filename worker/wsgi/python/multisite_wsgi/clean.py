"""Close what must not be shared with a child, as far as somebody wrote how to."""

import gc
import io
import sys

_BUFFERED = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)


def close_everything():
    """Close what Django opened while it was loaded and warmed up."""
    _close_databases()
    _close_caches()


def _close_databases():
    connections = _loaded("django.db", "connections")
    if connections is None:
        return
    connections.close_all()
    for connection in connections.all(initialized_only=True) if _has_pools() else ():
        if getattr(connection, "pool", None):
            connection.close_pool()


def _has_pools():
    django = sys.modules["django"]
    return django.VERSION >= (5, 1)


def _close_caches():
    close = _loaded("django.core.cache", "close_caches")
    if close is not None:
        close()


def _loaded(module, name):
    """Return an attribute of a module that the application imported, if Django is set up for use."""
    conf = sys.modules.get("django.conf")
    if module not in sys.modules or conf is None or not conf.settings.configured:
        return None
    return getattr(sys.modules[module], name)


def buffered_files():
    """Return the files of Python that hold back what is written to them.

    Those that were frozen (gc.freeze) are not seen.
    """
    # never isinstance: a lazy proxy would load what it stands for
    return [thing for thing in gc.get_objects() if issubclass(type(thing), _BUFFERED)]


def flush(files):
    for file in files:
        try:
            file.flush()
        except (OSError, ValueError):
            pass  # it is closed, or broken
