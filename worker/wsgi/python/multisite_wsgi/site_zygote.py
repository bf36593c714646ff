"""The zygote of one site: it loads the application once, and forks workers on command."""

import gc
import os
import sys
import time

from . import clean, hazards, lifecycle, load, memory, nativethreads, offspring
from .control import Control
from .forked_worker import ForkedWorker
from .inherited import ExitWork
from .report import error_line
from .status import Status
from .threads import Starts
from .warmup import Warmup


class SiteZygote:
    """It has no thread and no event loop: it blocks on its control socket."""

    def __init__(self, config, fds):
        """fds are those that came with the command: control, status, output."""
        self._config = config
        control, status, self._output = fds
        self._control = Control(control)
        self._status = Status(status)
        self._own = {0, 1, 2, control, status}
        self._exit_work = ExitWork()
        self._site = None
        self._safe_when_loaded = False  # before the warm-up
        self._ended_by_fork = 0  # threads, see nativethreads.py
        self._known = set()  # descriptors that the application left open, harmless ones

    def run(self):
        """Load, then obey; return what a forked worker does from here."""
        offspring.set_name("zyg " + self._config.site)
        offspring.enter_surroundings(self._config, self._output)
        started = time.monotonic()
        with Starts():
            warmed = self._load()
            reasons = self._check()
        if reasons:
            self._status.send({"event": "unsafe", "reasons": reasons, "warmup": warmed,
                               "safe_when_loaded": self._safe_when_loaded})
            lifecycle.leave(0, self._config.thread_join_seconds)
        loaded = time.monotonic()
        self._exit_work.hold()
        applied = memory.apply(self._config.tricks)
        self._status.ready(
            self._site, warmup=warmed, modules=len(sys.modules), tricks=applied, ended_by_fork=self._ended_by_fork,
            load_seconds=round(loaded - started, 3), tricks_seconds=round(time.monotonic() - loaded, 3))
        self._known = hazards.descriptors()
        return self._obey()

    def _load(self):
        try:
            self._site = load.load(self._config)
            self._safe_when_loaded = bool(self._config.warmup) and not self._check()
            outcomes = Warmup(self._site.application, self._config).run()
            failed = ["%s: %s" % (o.path, o.problem) for o in outcomes if o.failed]
            if failed and self._config.warmup_strict:
                raise load.SiteError("warm-up failed: " + "; ".join(failed))
            return [vars(outcome) for outcome in outcomes]
        except BaseException as error:  # SystemExit and KeyboardInterrupt of a settings file too
            self._status.failed(error)
            lifecycle.leave(1, self._config.thread_join_seconds)

    def _check(self):
        gc.disable()  # what the application imported may have enabled it
        try:
            clean.close_everything()
            gc.collect()
            self._ended_by_fork = max(nativethreads.end_by_fork(), self._ended_by_fork)
            return hazards.find(self._own)
        except Exception as error:  # of a database backend or a cache
            return ["something cannot be closed: " + error_line(error)]

    def _obey(self):
        while True:
            message, fds = self._control.receive()
            if message is None:
                os._exit(0)
            if message["cmd"] == "exit":
                self._exit_work.release()
                lifecycle.leave(0, self._config.thread_join_seconds)
            life = self._fork(message, fds)
            if life is not None:
                return life

    def _fork(self, message, fds):
        """Answer a fork command; return the worker's life in the worker."""
        answer = self._refusal(fds)
        if answer is None:
            try:
                pid = offspring.beget(self._config.supervisor)
            except OSError as error:
                pid = None
                answer = {"error": "fork: %s" % error}
            if pid == 0:
                self._control.close()
                worker = ForkedWorker(self._config, message["worker"], fds, self._exit_work.files)
                return lambda: worker.run(self._site)
            answer = answer or {"pid": pid}
        for fd in fds:
            os.close(fd)
        self._control.send(answer)
        return None

    def _refusal(self, fds):
        """Look again before every fork, cheaply; return why not, or None."""
        if hazards.is_alone() and hazards.descriptors() == self._known | set(fds):
            return None
        nativethreads.end_by_fork()
        reasons = hazards.find(self._own | set(fds))
        return {"unsafe": reasons} if reasons else None
