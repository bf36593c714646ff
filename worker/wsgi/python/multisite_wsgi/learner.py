"""A learner: a process that finds out what a site imports, and exits.

It loads the site as a worker would, answers its warm-up requests and writes down
what recorder.py has recorded. What it may take is measured by its processor time:
on a busy machine the clock says little about the site.
"""

import contextlib
import json
import os
import signal
import sys
import time

from . import fork, learned, lifecycle, load, recorder
from .log import error_line
from .time_limit import TimeLimit
from .warmup import Warmup

_LEARNED_SECONDS = 1.5  # limit for the first request to a path that was learned from visitors; less than _IDLE_SECONDS
_LOOK_SECONDS = 0.1  # how often its processor time is read
_IDLE_SECONDS = 2  # a learner that uses no processor for so long may wait for ever, and all sites wait for it
_TICKS = os.sysconf("SC_CLK_TCK")


class Learner:
    """A learner, seen from the finder."""

    def __init__(self, config, limits):
        self.config = config
        self._limits = limits
        self._killed = ""  # why it was killed; "": it was not
        self._lasts = False  # whether it would be killed again, until the site's code changes
        self._used = 0  # its processor time at the last look, in ticks
        self._began = self._since = self._looked = time.monotonic()  # its start; when that last changed; the last look
        self._others_took = False  # whether it was killed since others before it had used most of the time
        self._file = open(os.memfd_create("learned"), "r+b")
        finder, self._pid = os.getpid(), os.fork()
        if self._pid == 0:
            os.setpgid(0, 0)
            fork.die_with(finder)
            _learn(config, self._file)

    def has_exited(self):
        """Kill it if it exceeds a limit; when it has exited, kill what it may have started and return True."""
        if not self._killed:
            self._look()
        if self._killed:
            self._kill()
        exited = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        if exited:
            self._kill()
            os.waitpid(self._pid, 0)
        return exited

    def _look(self):
        """Decide whether it is to be killed."""
        now = time.monotonic()
        if self._limits.is_over():
            self._killed = "it was not loaded after %g s (startup_timeout)" % self._limits.seconds
            self._others_took = now - self._began < self._limits.seconds / 2
        elif now - self._looked > _LOOK_SECONDS:
            self._looked = now
            state, used = _processor(self._pid)
            if state in b"RD" or used != self._used:  # it waits for a processor or a disk, or has used a processor
                self._used, self._since = used, now
            limit = self._limits.processor_seconds
            if used > limit * _TICKS:
                self._killed = "it used more than %g s of processor time while it loaded" % limit
                self._lasts = True
            elif now - self._since > _IDLE_SECONDS:
                self._killed = "it waited for %g s while it loaded" % _IDLE_SECONDS

    def _kill(self):
        for kill in os.killpg, os.kill:  # it may not lead its group yet
            try:
                kill(self._pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def record(self):
        """Return what was learned, or {"failed": why nothing was...}; without "of" it is not worth saving."""
        with self._file as file:
            file.seek(0)
            *lines, _ = file.read().split(b"\n")  # the last line may be incomplete
        if lines and lines[-1].startswith(b"{"):
            return json.loads(lines[-1].decode())
        if self._others_took:
            return {"failed": self._killed}
        began = [json.loads(line.decode()) for line in lines]
        return learned.failure(self.config, self._killed or "the process that loaded it died",
                               began + [self.config.wsgi], self._limits.seconds, self._lasts)


def _processor(pid):
    """Return the state of a process, and the processor time that it and its children used, in ticks."""
    with open("/proc/%d/stat" % pid, "rb") as file:
        fields = file.read().rpartition(b")")[2].split()  # the third field and those after it, proc(5)
    return fields[0], sum(map(int, fields[11:15]))


def _time_limit(path):
    """Return the context manager for the first request to this path."""
    def give_up():
        raise TimeoutError("no answer from %s within %g s" % (path, _LEARNED_SECONDS))
    return TimeLimit(_LEARNED_SECONDS, give_up)


def _learn(config, file):
    """Run as a learner: write a line for each file that it begins to import, then one with the result, and exit.

    Output is dropped: the site will print it again when it is loaded, into its own log.
    """
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for fd in 1, 2:
            os.dup2(nowhere, fd)
        os.close(nowhere)
        fork.set_umask(config.umask)
        fork.set_environment(config.env or {})
        fd, write = file.fileno(), os.write
        recorded = recorder.Recorder(lambda origin: write(fd, json.dumps(origin or "").encode() + b"\n"))
        warmup = Warmup(load.load(config).application, config)
        warmup.run(1, limit=_time_limit if config.warmup_learned else contextlib.nullcontext)
        hot = recorder.hot_code(lambda: warmup.run(2))
        modules = {name: module.record() for name, module in recorded.modules.items() if name in sys.modules}
        result = learned.result(config, modules, sorted(hot))
    except BaseException as error:  # also SystemExit and KeyboardInterrupt, raised by a settings file
        result = {"failed": error_line(error)[:1000]}  # status shows it
    file.write(json.dumps(result).encode() + b"\n")
    file.flush()
    lifecycle.exit_process(0, 1)
