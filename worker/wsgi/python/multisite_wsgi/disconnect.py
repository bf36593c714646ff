"""Close what Django has open and what a process must not share with its children."""

import sys


def close_all():
    """Close the database connections, their pools and the caches that Django has opened."""
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
    """Return an attribute of a module; None if the application did not import it or has no settings."""
    conf = sys.modules.get("django.conf")
    if module not in sys.modules or conf is None or not conf.settings.configured:
        return None
    return getattr(sys.modules[module], name)
