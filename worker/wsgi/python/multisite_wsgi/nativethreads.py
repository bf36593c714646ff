"""Threads of C libraries that a fork ends.

A fork has no thread but the one that forks: a library that another one works for is
broken in the child, unless it ends its threads before each fork (pthread_atfork) and
starts them again when it needs them, as OpenBLAS does. Which one does is not known by
name: it is found out by a fork. A thread that is still there afterwards is a hazard.
"""

import os
import select
import signal
import sys
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
    pidfd = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    ended = bool(poll.poll(_SECONDS * 1000))
    os.close(pidfd)
    if not ended:
        os.kill(pid, signal.SIGKILL)
    try:
        return os.waitpid(pid, 0)[1] == 0
    except ChildProcessError:
        return ended  # the application ignores SIGCHLD
