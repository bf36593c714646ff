"""A time limit for a piece of code, such as a request that nobody has promised to be short."""

import signal


class TimeLimit:
    """A context manager that calls a function in the main thread, within the code, if that takes too long."""

    def __init__(self, seconds, exceeded):
        self._seconds = seconds
        self._exceeded = exceeded
        self._handler = self._timer = None  # those of the application

    def __enter__(self):
        self._handler = signal.signal(signal.SIGALRM, lambda *_: self._exceeded())
        self._timer = signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def __exit__(self, *_):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if self._handler is None else self._handler)
        if self._timer[0]:
            signal.setitimer(signal.ITIMER_REAL, *self._timer)
