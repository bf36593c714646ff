"""Learn what sites import: from the cache while it is valid, else with a learner.

A learner is a process that loads the site as a worker would, answers its warm-up
requests, writes down what recorder.py has recorded, and exits. One more process,
the finder, starts the learners and makes the plan from their results: if the
project zygote processed so much data itself, it would leave holes in its heap.
"""

import importlib.util
import json
import os
import signal
import sys
import time
import traceback

from . import fork, lifecycle, load, recorder
from .log import error_line
from .sharing_plan import SharingPlan
from .warmup import Warmup

_AT_ONCE = 2  # learners
_POLL_SECONDS = 0.005
_IDLE_SECONDS = 2  # a learner that uses no processor time for so long may wait for ever, and all sites wait for it


class Findings:
    """What the sites with these configurations can share."""

    def __init__(self, configs, without, deadline_seconds):
        self._file = open(os.memfd_create("findings"), "r+b")
        zygote, pid = os.getpid(), os.fork()
        if pid == 0:
            fork.die_with(zygote)
            _find_and_exit(configs, without, deadline_seconds, self._file)
        os.waitpid(pid, 0)
        found = self._read(0) or {"modules": [], "members": [], "left_out": [
            "%s: the process that plans what to share died" % config.site for config in configs]}
        self.modules = found["modules"]  # [name, origin] of each shared module
        self.members = found["members"]  # names of the sites that share them
        self.left_out = found["left_out"]  # "site: why it cannot share"
        self.unkept = found.get("unkept", [])  # "site: why its result could not be saved"

    def hot(self):
        """Return the keys of the code that requests call; read anew for each call, to keep the heap small."""
        return self._read(1)["hot"]

    def close(self):
        self._file.close()

    def _read(self, line):
        self._file.seek(0)
        lines = self._file.read().decode().splitlines()
        return json.loads(lines[line]) if lines else None


def _find_and_exit(configs, without, deadline_seconds, file):
    """Run as the finder: write the findings to file and exit."""
    code = 1
    try:
        learned, left_out, unkept = _learn_all(configs, deadline_seconds)
        configs = [config for config in configs if config.site in learned]
        found = {"modules": [], "members": [config.site for config in configs], "left_out": left_out, "unkept": unkept}
        hot = []
        if configs:
            plan = SharingPlan(configs, learned, without)
            found["modules"] = plan.modules()
            hot = plan.hot({origin for _, origin in found["modules"]})
        file.write(json.dumps(found).encode() + b"\n" + json.dumps({"hot": hot}).encode())
        file.flush()
        code = 0
    except SystemExit:
        raise  # this is a learner, and it exits
    except BaseException:
        traceback.print_exc()
    os._exit(code)


def _learn_all(configs, deadline_seconds):
    """Return ({site: result}, ["site: why there is no result"...], ["site: why it could not be saved"...])."""
    learned = {config.site: _cached(config) for config in configs}
    waiting = [config for config in configs if learned[config.site] is None]
    if len(configs) == 1 and not configs[0].learn:
        waiting = []  # a single site has nobody to share with
    failed, unkept = _run_learners(waiting, time.monotonic() + deadline_seconds, learned)
    return {site: found for site, found in learned.items() if found is not None}, failed, unkept


def _run_learners(waiting, deadline, learned):
    """Put the results into learned; return the failures, and the results that could not be saved."""
    failed, unkept, running = [], [], []
    while waiting or running:
        while waiting and len(running) < _AT_ONCE:
            running.append(_Learner(waiting.pop(0)))
        for learner in list(running):
            if not learner.has_exited(time.monotonic() > deadline or learner.idles()):
                continue
            running.remove(learner)
            site, result = learner.config.site, learner.result()
            if "error" in result:
                failed.append("%s: %s" % (site, result["error"]))
                continue
            learned[site] = result
            problem = learner.save(result)
            if problem:
                unkept.append("%s: %s" % (site, problem))
        time.sleep(_POLL_SECONDS)
    return failed, unkept


class _Learner:
    """A learner, seen from the finder."""

    def __init__(self, config):
        self.config = config
        self._overdue = False  # whether it was killed because it took too long
        self._used = b""  # its processor time at the last check
        self._since = self._looked = time.monotonic()  # when that last changed; when it was last checked
        self._file = open(os.memfd_create("learned"), "r+b")
        finder, self._pid = os.getpid(), os.fork()
        if self._pid == 0:
            os.setpgid(0, 0)
            fork.die_with(finder)
            _learn(config, self._file)

    def has_exited(self, overdue):
        """Kill it if it is overdue; when it has exited, kill what it may have started and return True."""
        if overdue:
            self._overdue = True
            self._kill()
        exited = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        if exited:
            self._kill()
            os.waitpid(self._pid, 0)
        return exited

    def idles(self):
        """Return whether it has neither used nor waited for a processor for a while."""
        now = time.monotonic()
        if now - self._looked > 0.1:
            self._looked = now
            with open("/proc/%d/stat" % self._pid, "rb") as file:
                fields = file.read().rpartition(b")")[2].split()  # the third field and those after it, proc(5)
            if fields[0] == b"R" or fields[11:15] != self._used:  # user and system time, of its children too
                self._used, self._since = fields[11:15], now
        return now - self._since > _IDLE_SECONDS

    def _kill(self):
        for kill in os.killpg, os.kill:  # it may not lead its group yet
            try:
                kill(self._pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def result(self):
        """Return the learning result, or {"error": ...}."""
        with self._file as file:
            file.seek(0)
            data = file.read()
        if not data:
            return {"error": "it takes too long to load" if self._overdue else "the process that loaded it died"}
        return json.loads(data.decode())

    def save(self, result):
        """Write the result to the cache; return why that failed, or None."""
        path = self.config.learned
        if not path:
            return None
        try:
            with open(path + ".new", "w", encoding="utf-8") as file:
                json.dump(result, file)
            os.replace(path + ".new", path)
        except OSError as error:
            return "%s cannot be written: %s" % (path, error.strerror)
        return None


def _learn(config, file):
    """Run as a learner: write the result to file and exit.

    Output is dropped: the site will print it again when it is loaded, into its own log.
    """
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for fd in 1, 2:
            os.dup2(nowhere, fd)
        os.close(nowhere)
        fork.set_umask(config.umask)
        fork.set_environment(config.env or {})
        recorded = recorder.Recorder()
        warmup = Warmup(load.load(config).application, config)
        warmup.run(1)
        hot = recorder.hot_code(lambda: warmup.run(2))
        result = {
            "of": _identity(config),
            "files": _files(),
            "modules": {name: module.record() for name, module in recorded.modules.items() if name in sys.modules},
            "hot": sorted(hot),
        }
    except BaseException as error:  # also SystemExit and KeyboardInterrupt, raised by a settings file
        result = {"error": error_line(error)}
    file.write(json.dumps(result).encode())
    file.flush()
    lifecycle.exit_process(0, 1)


def _identity(config):
    """Return what has to be equal for a cached result to be valid: as a hash, since an environment has secrets."""
    names = ("env", "home", "hosts", "locale", "mount", "python_path", "settings", "warmup", "wsgi")
    values = json.dumps({name: config.values.get(name) for name in names}, sort_keys=True).encode()
    return [sys.version, sys.executable, importlib.util.source_hash(values).hex()]


def _files():
    """Return [path, times and size...] of every file with imported code, this package included."""
    paths = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    return [[path] + _times(path) for path in sorted(filter(None, paths)) if os.path.isabs(path)]


def _times(path):
    try:
        status = os.stat(path)
    except OSError:
        return [0, 0, 0, 0]
    return [status.st_mtime_ns, status.st_size, status.st_ctime_ns, status.st_ino]


def _cached(config):
    """Return the cached result; None: there is none, or it is not valid any more."""
    try:
        with open(config.learned, encoding="utf-8") as file:
            learned = json.load(file)
        is_valid = learned["of"] == _identity(config) and all(_times(f[0]) == f[1:] for f in learned["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return learned if is_valid else None
