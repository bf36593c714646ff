"""Close what a process must not share with its children and can open again."""

import sys
from collections import Counter

from . import closers
from .log import error_line, log_line


class Disconnector:
    """Closes connections before a fork. An error never ends the process: what stays open is a hazard."""

    def __init__(self):
        self._closed = Counter()  # how many of each kind of a library were closed at once
        self._to_reopen = []  # (closer, object)...
        self.problems = []  # errors of the last close_django() and close_libraries()

    def close_django(self):
        """Close the database connections, their pools and the caches that Django has opened."""
        self.problems = []
        for name, close in ("database connection", _close_databases), ("cache", _close_caches):
            self._try("a %s" % name, close)

    def close_libraries(self):
        """Close the idle connections of libraries, if no other thread may use them; return whether there were any."""
        if closers.foreign_threads():
            return False
        closed = Counter()
        for closer, thing in closers.find():
            number = self._try("a %s" % closer.what, lambda: closer.close(thing)) or 0
            closed[closer.what] += number
            if number and closer.reopen:
                self._to_reopen.append((closer, thing))
        self._closed |= closed  # the warm-up may open again what was closed before it
        return sum(closed.values()) > 0

    def closed(self):
        """Return what libraries had open, like ["2 redis connections"]."""
        return ["%d %s%s" % (number, what, "s" * (number > 1)) for what, number in self._closed.items() if number]

    def reopen(self):
        """Open again what does not do so by itself: in a forked worker, and before more code of the site runs."""
        things, self._to_reopen = self._to_reopen, []
        for closer, thing in things:
            try:
                closer.reopen(thing)
            except Exception as error:
                log_line("a %s cannot be opened again: %s" % (closer.what, error_line(error)))

    def _try(self, what, close):
        try:
            return close()
        except Exception as error:  # of a database backend, a cache or another version of a library
            self.problems.append("%s cannot be closed: %s" % (what, error_line(error)))
            return None


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
