"""Signals, and how the process leaves. Nothing here raises into application code."""

import atexit
import faulthandler
import os
import select
import signal
import sys
import threading

from .descriptor import Descriptor
from .report import log_line

_STDERR_FD = 2
_SETTLE_MILLISECONDS = 1000


class Stop:
    """SIGTERM as a readable descriptor: it is looked at between requests only."""

    def __init__(self):
        self.requested = False
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        self._reader, self._writer = Descriptor(reader), Descriptor(writer)
        self._forking = threading.local()
        self._before = {}  # handlers by signal, which processes of the application have
        self._in_child = False

    def listen_to_signals(self):
        """Take over SIGTERM; leave Ctrl-C and hangups, sent to the whole terminal, to the supervisor."""
        for number, handler in ((signal.SIGTERM, self.request), (signal.SIGINT, _nothing), (signal.SIGHUP, _nothing)):
            self._before[number] = signal.signal(number, handler) or signal.SIG_DFL
            signal.siginterrupt(number, False)  # C libraries of the application do not expect EINTR; poll has it
        os.register_at_fork(before=self._before_fork, after_in_parent=self._after_fork, after_in_child=self._forget)

    def waiter(self, sock, other=None):
        """Return a function that waits until sock is readable, or is false at the stop, and when only other is readable.

        A request that has arrived is still answered, but only one: a front door
        that never pauses must not keep the worker alive.
        """
        fd, stop = sock.fileno(), self._reader.number
        poll = select.poll()
        for readable in (fd, stop) if other is None else (fd, stop, other.fileno()):
            poll.register(readable, select.POLLIN)

        last = False

        def wait():
            nonlocal last
            if last:
                return False
            # A signal that comes just before poll is handled only after it, and most come just after an
            # answer: the first wait ends by itself.
            ready = [readable for readable, _ in poll.poll(_SETTLE_MILLISECONDS) or poll.poll()]
            last = fd in ready and stop in ready
            return fd in ready

        return wait

    def request(self, *_signal):
        """Let every waiter know; safe in a signal handler."""
        self.requested = True
        try:
            os.write(self._writer.number, b"x")
        except BlockingIOError:
            pass  # 65,536 requests: one would have been enough

    # A SIGTERM to a child of the application is not one to the worker. Python drops signals that reach
    # the child while its fork is not finished: they have to wait until the child has the handlers that
    # it would have without us. What the child forks itself is no affair of ours.

    def _before_fork(self):
        if not self._in_child:
            self._forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, self._before)

    def _after_fork(self):
        if not self._in_child:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._forking.mask)

    def _forget(self):
        if self._in_child:
            return
        try:
            for number, handler in self._before.items():
                if signal.getsignal(number) in (self.request, _nothing):
                    signal.signal(number, handler)
            self._reader.close()
            self._writer.close()
        finally:
            self._after_fork()
            self._in_child = True


def _nothing(_number, _frame):
    """A handler, since SIG_IGN would be inherited by every program that the application executes."""


def run_in_batches():
    """Let a request that arrives not take the processor from the front door, which wrote it (sched(7)).

    That one goes on to the next request, and the worker runs a few microseconds later: a fifth more
    requests on busy processors. Its share of them stays what cpu_priority says.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except OSError:
        pass  # a container may forbid it


def dump_stacks_on_request():
    """Write the stack of every thread to stderr at SIGUSR1, and at a crash."""
    faulthandler.enable(_STDERR_FD)
    faulthandler.register(signal.SIGUSR1, file=_STDERR_FD, all_threads=True, chain=False)


def leave(code, join_seconds):
    """Exit as Python does: join threads, run atexit, flush. But never wait long for a thread."""
    signal.signal(signal.SIGALRM, _threads_overdue)
    signal.setitimer(signal.ITIMER_REAL, join_seconds)
    atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)  # the last registered, so the first to run
    sys.exit(code)


class _ThreadsOverdue(Exception):
    """Ends the interpreter's wait for threads, which then goes on with atexit."""


def _threads_overdue(_number, _frame):
    names = [t.name for t in threading.enumerate() if not t.daemon and t is not threading.main_thread()]
    log_line("leaving without the threads that do not end: " + ", ".join(names))
    report = sys.unraisablehook

    def silent_once(_unraisable):
        sys.unraisablehook = report

    sys.unraisablehook = silent_once
    raise _ThreadsOverdue
