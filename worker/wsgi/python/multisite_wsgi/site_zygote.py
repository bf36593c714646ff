"""The zygote of one site: it loads the application once, and forks workers on command."""

import contextlib
import gc
import os
import sys
import time

from . import fork, hazards, immortal, lifecycle, load, memory, native_threads
from .control import Control
from .disconnect import Disconnector
from .exit_work import ExitWork
from .forked_worker import ForkedWorker
from .log import error_line
from .origins import Origins
from .start_report import StartReport
from .time_limit import TimeLimit
from .warmup import Warmup

LEARNED_SECONDS = 3  # limit for the first request to a path that was learned from visitors


class SiteZygote:
    """It has no thread and no event loop: it blocks on its control socket."""

    def __init__(self, config, fds):
        """fds came with the command: control, report, output."""
        self._config = config
        control, report, self._output = fds
        self._control = Control(control)
        self._report = StartReport(report)
        self._own = {0, 1, 2, control, report}  # descriptors that are no hazard
        self._exit_work = ExitWork()
        self._disconnector = Disconnector()
        self._site = None
        self._safe_when_loaded = False  # whether there was no hazard before the warm-up
        self._resources = set()  # what was open after the load and earlier warm-up requests, see hazards.resources()
        self._opened_by = {}  # {path: hazards} of the paths whose first request has opened them
        self._ended_by_fork = 0  # how many threads a test fork has ended, see native_threads.py
        self._known = set()  # all descriptors after the load, found to be no hazard

    def run(self):
        """Load the site, then obey commands; return what a forked worker does from here on."""
        fork.set_name("zyg " + self._config.site)
        fork.enter_site(self._config, self._output)
        if immortal.is_free_threaded():
            self._report.send({"event": "unsafe", "reasons": ["free-threaded Python, with which sharing has not been tested"],
                               "warmup": [], "opened_by": {}, "safe_when_loaded": False})
            lifecycle.exit_process(0, self._config.thread_join_seconds)
        started = time.monotonic()
        with Origins():
            warmed = self._load()
            found = self._find_hazards()
        if found:
            self._report.send({"event": "unsafe", "reasons": self._disconnector.problems + found, "warmup": warmed,
                               "opened_by": self._opened_by, "safe_when_loaded": self._safe_when_loaded})
            lifecycle.exit_process(0, self._config.thread_join_seconds)
        loaded = time.monotonic()
        self._exit_work.disable()
        applied = memory.apply(self._config.tricks)
        self._report.ready(
            self._site, warmup=warmed, modules=len(sys.modules), tricks=applied,
            ended_by_fork=self._ended_by_fork, closed=self._disconnector.closed(),
            load_seconds=round(loaded - started, 3), tricks_seconds=round(time.monotonic() - loaded, 3))
        self._known = hazards.descriptors()
        return self._obey()

    def _load(self):
        """Load the site and warm it up; return the results of the warm-up."""
        try:
            self._site = load.load(self._config)
            self._safe_when_loaded = bool(self._config.warmup) and not self._find_hazards()
            self._disconnector.reopen()
            self._resources = hazards.resources()
            results = Warmup(self._site.application, self._config).run(is_unsafe=self._path_is_unsafe, limit=self._time_limit)
            failed = ["%s: %s" % (r.path, r.problem) for r in results if r.failed]
            if failed and self._config.warmup_strict and not self._config.warmup_learned:
                raise load.SiteError("warm-up failed: " + "; ".join(failed))
            return [vars(result) for result in results]
        except BaseException as error:  # also SystemExit and KeyboardInterrupt, raised by a settings file
            self._report.failed(error)
            lifecycle.exit_process(1, self._config.thread_join_seconds)

    def _time_limit(self, path):
        """Return the context manager for the first request to this path."""
        if not self._config.warmup_learned:
            return contextlib.nullcontext()
        return TimeLimit(LEARNED_SECONDS, lambda: self._give_up(path))

    def _give_up(self, path):
        """Report that this path is slow, and exit: after half a request this process is of no use."""
        slow = "no answer within %d s" % LEARNED_SECONDS
        self._report.send({"event": "unsafe", "reasons": [slow], "opened_by": {path: [slow]}, "safe_when_loaded": True})
        os._exit(0)

    def _find_hazards(self):
        """Remove the hazards that can be removed; return the others, one line each."""
        gc.disable()  # the application may have enabled it
        try:
            self._disconnector.close_django()
            found = self._look()
            if found and self._disconnector.close_libraries():
                found = self._look()
            return found
        except Exception as error:  # of what hazards.py asks Django
            return ["hazards cannot be listed: " + error_line(error)]

    def _look(self):
        gc.collect()
        self._ended_by_fork = max(native_threads.end_by_fork(), self._ended_by_fork)
        return hazards.find(self._own)

    def _path_is_unsafe(self, path):
        """Return whether the first request to this path has left something open that cannot be closed."""
        if not self._safe_when_loaded or len(self._config.warmup) == 1 or hazards.resources() <= self._resources:
            return False
        known = set().union(*self._opened_by.values())
        opened = [line for line in self._find_hazards() if line not in known]
        self._disconnector.reopen()
        self._resources |= hazards.resources()
        if opened:
            self._opened_by[path] = opened
        return bool(opened)

    def _obey(self):
        while True:
            message, fds = self._control.receive()
            if message is None:
                os._exit(0)
            if message["cmd"] == "exit":
                self._exit_work.enable()
                lifecycle.exit_process(0, self._config.thread_join_seconds)
            role = self._fork(message, fds)
            if role is not None:
                return role

    def _fork(self, message, fds):
        """Fork a worker and answer; return what the worker does in the worker, else None."""
        answer = self._refusal(fds)
        if answer is None:
            try:
                pid = fork.fork_for_supervisor(self._config.supervisor)
            except OSError as error:
                pid = None
                answer = {"error": "fork: %s" % error}
            if pid == 0:
                self._control.close()
                worker = ForkedWorker(self._config, message["worker"], fds, self._exit_work.files, self._disconnector.reopen)
                return lambda: worker.run(self._site)
            answer = answer or {"pid": pid}
        for fd in fds:
            os.close(fd)
        self._control.send(answer)
        return None

    def _refusal(self, fds):
        """Check again before every fork, cheaply if nothing has changed; return the refusal, or None."""
        if hazards.has_neither_threads_nor_children() and hazards.descriptors() == self._known | set(fds):
            return None
        native_threads.end_by_fork()
        found = hazards.find(self._own | set(fds))
        return {"unsafe": found} if found else None
