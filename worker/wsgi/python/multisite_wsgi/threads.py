"""Remember where threads are started, to be able to name the line."""

import functools
import os
import sys
import threading

_MACHINERY = (threading.__file__, os.sep + os.path.join("concurrent", "futures") + os.sep, __file__)


class Starts:
    """While it is entered, every started thread keeps the place of its start."""

    def __enter__(self):
        self._start = start = threading.Thread.start

        @functools.wraps(start)
        def remember(thread):
            thread._multisite_started = _caller()
            return start(thread)

        threading.Thread.start = self._remember = remember
        return self

    def __exit__(self, *_):
        if threading.Thread.start is self._remember:  # else the application has wrapped it, as Sentry does
            threading.Thread.start = self._start


def describe(thread):
    place = getattr(thread, "_multisite_started", None)
    return 'thread "%s"%s' % (thread.name, " started in " + place if place else "")


def _caller():
    """Return file:line of the code that wanted the thread."""
    frame = sys._getframe(2)
    while frame.f_back is not None and any(part in frame.f_code.co_filename for part in _MACHINERY):
        frame = frame.f_back
    return "%s:%d" % (_short(frame.f_code.co_filename), frame.f_lineno)


def _short(path):
    """Return path as seen from sys.path."""
    roots = [root for root in sys.path if path.startswith(root.rstrip(os.sep) + os.sep)]
    return os.path.relpath(path, max(roots, key=len)) if roots else path
