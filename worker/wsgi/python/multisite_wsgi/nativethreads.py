"""Threads of C libraries that a fork ends.

A fork has no thread but the one that forks: a library that another one works for is
broken in the child, unless it ends its threads before each fork (pthread_atfork) and
starts them again when it needs them, as OpenBLAS does. Which one does is not known by
name: it is found out by a fork. A thread that is still there afterwards is a hazard.
"""

import os
import signal
import sys
import time
import warnings

from . import hazards

_SECONDS = 5  # for a child that does nothing but end


def end_by_fork():
    """Fork once, if there are threads and Python knows of none of them; return how many that has ended."""
    before = len(hazards.other_threads())
    if not before or len(sys._current_frames()) > 1 or len(sys.modules["threading"].enumerate()) > 1:
        return 0
    return before - len(hazards.other_threads()) if _fork() else 0


def _fork():
    """Return whether the child came to its end: it runs what libraries do in a child."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: that there are threads
        pid = os.fork()
    if pid == 0:
        os._exit(0)
    deadline = time.monotonic() + _SECONDS
    status, killed = _status(pid), False
    while status is None:
        if time.monotonic() > deadline and not killed:
            os.kill(pid, signal.SIGKILL)
            killed = True
        time.sleep(0.001)
        status = _status(pid)
    return status == 0 and not killed


def _status(pid):
    """Return how the child has ended; None: not yet.

    Not by os.pidfd_open(), which an interpreter that was built on an old system does not have.
    """
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0  # the application ignores SIGCHLD
    return status if ended else None
