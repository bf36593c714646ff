"""Signals, and how the process exits. Nothing here raises into application code."""

import atexit
import faulthandler
import os
import select
import signal
import sys
import threading

from .descriptor import Descriptor
from .log import log_line

_STDERR_FD = 2
_FIRST_WAIT_MILLISECONDS = 1000


class Stop:
    """Makes a descriptor readable at SIGTERM. It is looked at between requests only."""

    def __init__(self):
        self.requested = False
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        self._reader, self._writer = Descriptor(reader), Descriptor(writer)
        self._forking = threading.local()  # its signal mask before the fork that a thread is in
        self._before = {}  # the original handlers by signal, which processes of the application get
        self._in_child = False  # whether the application has forked this process from the worker

    def listen_to_signals(self):
        """Handle SIGTERM; ignore Ctrl-C and hangups, which the terminal sends to the supervisor too."""
        for number, handler in ((signal.SIGTERM, self.request), (signal.SIGINT, _nothing), (signal.SIGHUP, _nothing)):
            self._before[number] = signal.signal(number, handler) or signal.SIG_DFL
            signal.siginterrupt(number, False)  # C libraries do not expect EINTR; poll() returns it nevertheless
        os.register_at_fork(before=self._before_fork, after_in_parent=self._after_fork, after_in_child=self._forget)

    def waiter(self, sock, other=None):
        """Return a function that waits until sock, the stop or other is readable, and returns whether sock is.

        After the stop one more request that has arrived is answered: a front door that
        never pauses must not keep the worker alive.
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
            # The handler of a signal that arrives just before poll() only runs after it. Most signals
            # arrive soon after a response, so the first wait has a limit.
            ready = [readable for readable, _ in poll.poll(_FIRST_WAIT_MILLISECONDS) or poll.poll()]
            last = fd in ready and stop in ready
            return fd in ready

        return wait

    def request(self, *_signal):
        """End every wait; safe in a signal handler."""
        self.requested = True
        try:
            os.write(self._writer.number, b"x")
        except BlockingIOError:
            pass  # the pipe is full, so the descriptor is readable

    # A SIGTERM to a child of the application must not stop the worker. Python drops signals that reach
    # the child before its fork is finished, so they are blocked until the child has the handlers that
    # it would have without this worker. Processes that the child forks itself need nothing of this.

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
    """Do nothing: a handler, since programs that the application executes would inherit SIG_IGN."""


def run_in_batches():
    """Use SCHED_BATCH (sched(7)), so that a request that arrives does not preempt the front door, which wrote it.

    The front door goes on to the next request, and the worker runs a few microseconds later: a fifth
    more requests on busy processors. The worker's share of them is still what cpu_priority says.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except OSError:
        pass  # a container may forbid it


def dump_stacks_on_request():
    """Write the stack of every thread to stderr at SIGUSR1 and at a crash."""
    faulthandler.enable(_STDERR_FD)
    faulthandler.register(signal.SIGUSR1, file=_STDERR_FD, all_threads=True, chain=False)


def exit_process(code, join_seconds):
    """Exit as Python does (join threads, run exit handlers, flush); wait for threads at most join_seconds."""
    signal.signal(signal.SIGALRM, _threads_overdue)
    signal.setitimer(signal.ITIMER_REAL, join_seconds)
    atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)  # registered last, so it is the first exit handler to run
    sys.exit(code)


class _ThreadsOverdue(Exception):
    """Ends the interpreter's wait for threads; it then runs the exit handlers."""


def _threads_overdue(_number, _frame):
    names = [t.name for t in threading.enumerate() if not t.daemon and t is not threading.main_thread()]
    log_line("exiting without waiting for threads that do not end: " + ", ".join(names))
    original = sys.unraisablehook

    def silent_once(_unraisable):
        sys.unraisablehook = original

    sys.unraisablehook = silent_once
    raise _ThreadsOverdue
