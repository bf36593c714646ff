"""Remember where threads are started, so that a hazard can name the line."""

import functools
import os
import sys
import threading

_MACHINERY = (threading.__file__, os.sep + os.path.join("concurrent", "futures") + os.sep, __file__)


class ThreadStarts:
    """While it is entered, every started thread remembers the line that started it."""

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
    """Return the hazard of a thread: its name, and where it was started if that is known."""
    place = getattr(thread, "_multisite_started", None)
    return 'thread "%s"%s' % (thread.name, " started in " + place if place else "")


def _caller():
    """Return file:line of the code that started the thread, outside of the standard library's machinery."""
    frame = sys._getframe(2)
    while frame.f_back is not None and any(part in frame.f_code.co_filename for part in _MACHINERY):
        frame = frame.f_back
    return "%s:%d" % (_short(frame.f_code.co_filename), frame.f_lineno)


def _short(path):
    """Return path relative to the entry of sys.path that it is below."""
    roots = [root for root in sys.path if path.startswith(root.rstrip(os.sep) + os.sep)]
    return os.path.relpath(path, max(roots, key=len)) if roots else path
