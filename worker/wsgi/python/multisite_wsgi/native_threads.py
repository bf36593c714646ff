"""Find out whether threads of C libraries are a hazard.

A child process has only the thread that has forked. A library that needs its other
threads is broken in the child, unless it ends them before each fork (pthread_atfork)
and starts them again when it needs them, as OpenBLAS does. Names do not tell which
libraries do so, so this process makes a test fork. A thread that is still there
afterwards is a hazard.
"""

import os
import signal
import sys
import time
import warnings

from . import hazards

_SECONDS = 5  # limit for a child that only exits


def end_by_fork():
    """Make a test fork if there are other threads and none is Python's; return how many threads that has ended."""
    before = len(hazards.other_threads())
    if not before or len(sys._current_frames()) > 1 or len(sys.modules["threading"].enumerate()) > 1:
        return 0
    return before - len(hazards.other_threads()) if _fork() else 0


def _fork():
    """Fork a child that exits at once; return whether it did, as handlers of libraries run in it first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of a fork with threads
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
    """Return the exit status of the child; None: it has not exited yet.

    os.pidfd_open() is missing in an interpreter that was built on an old system.
    """
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0  # the application ignores SIGCHLD
    return status if ended else None
