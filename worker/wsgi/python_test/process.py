"""Starts the real worker as the supervisor does, and collects its output and its start report."""

import fcntl
import json
import os
import select
import signal
import socket
import sys
import tempfile
import textwrap
import threading
import time
import unittest

from front import Front

PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python", "multisite_wsgi")
TIMEOUT = 30


class Lines:
    """The lines of a pipe, read by a thread."""

    def __init__(self, fd):
        self.text = ""
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, args=(fd,), daemon=True)
        self._thread.start()

    def wait(self, part, times=1):
        """Wait until part is in the text that often; return the text."""
        with self._changed:
            found = self._changed.wait_for(lambda: self.text.count(part) >= times or self._ended, TIMEOUT)
            if not found or self.text.count(part) < times:
                raise AssertionError("no %r in %r" % (part, self.text))
            return self.text

    def all(self):
        """Return the whole text, after the end of the process."""
        self._thread.join(TIMEOUT)
        if self._thread.is_alive():
            raise AssertionError("the pipe stays open after %r" % self.text)
        return self.text

    def _read(self, fd):
        with open(fd, encoding="utf-8") as pipe:
            for line in pipe:
                with self._changed:
                    self.text += line
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class Worker:
    """One worker process."""

    def __init__(self, directory, config, env=None):
        self.path = os.path.join(directory, "socket")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen(16)
        pipes = [os.pipe() for _ in range(4)]
        (status, status_w), (config_r, config_w), (out, out_w), (err, err_w) = pipes
        null = os.open(os.devnull, os.O_RDONLY)
        given = [null, out_w, err_w, status_w, listener.fileno(), config_r]
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 50) for fd in given]
        self.pid = os.posix_spawn(
            sys.executable, [sys.executable, PACKAGE],
            dict(os.environ, PYTHONDONTWRITEBYTECODE="1", **(env or {})),
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(high)])
        self._pidfd = os.pidfd_open(self.pid)
        for fd in high + [null, out_w, err_w, status_w, config_r]:
            os.close(fd)
        listener.close()
        with open(config_w, "w") as pipe:
            json.dump(config, pipe)
        self.out, self.err = Lines(out), Lines(err)
        self._status = open(status)
        self._exit = None

    def event(self):
        """Return the start report; at the next call None, for the end of the report pipe."""
        line = self._status.readline()
        return json.loads(line) if line else None

    def front(self):
        return Front(self.path)

    def signal(self, number):
        os.kill(self.pid, number)

    def asleep_in(self, call=None):
        """Return the number of the system call that the worker sleeps in; wait until it is call."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            with open("/proc/%d/syscall" % self.pid) as file:
                now = file.read().split()[0]
            if now != "running" and call in (None, now):
                return now
            os.sched_yield()
        raise AssertionError("the worker does not come to sleep in %s" % call)

    def sleep_again(self):
        """Wait until the worker has woken up by itself and sleeps again."""
        deadline = time.monotonic() + TIMEOUT
        before = self._sleeps()
        while self._sleeps() < before + 2:
            if time.monotonic() > deadline:
                raise AssertionError("the worker sleeps on")
            os.sched_yield()

    def _sleeps(self):
        with open("/proc/%d/status" % self.pid) as file:
            return int(file.read().partition("\nvoluntary_ctxt_switches:")[2].split()[0])

    def wait(self):
        """Return the exit code, negative for a signal, as subprocess does."""
        if self._exit is None:
            if not select.select([self._pidfd], [], [], TIMEOUT)[0]:
                raise AssertionError("the worker does not exit")
            _, status = os.waitpid(self.pid, 0)
            os.close(self._pidfd)
            self._exit = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return self._exit

    def close(self):
        if self._exit is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()
        self._status.close()


class WorkerCase(unittest.TestCase):
    """Tests with a temporary site directory."""

    def setUp(self):
        self.dir = self.directory()

    def directory(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        return os.path.realpath(directory.name)

    def write(self, name, source):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(textwrap.dedent(source))
        return path

    def start(self, env=None, **config):
        """Start a worker, which may fail."""
        config.setdefault("python_path", [self.dir])
        worker = Worker(self.directory(), config, env)
        self.addCleanup(worker.close)
        return worker

    def serve(self, source, **config):
        """Start a worker for the module site_app made of source; return it when it is ready."""
        self.write("site_app.py", source)
        worker = self.start(wsgi="site_app", **config)
        event = worker.event()
        self.assertEqual(event.get("event"), "ready", event)
        return worker

    def failure(self, **config):
        """Start a worker that must fail; return (error line, traceback)."""
        worker = self.start(**config)
        event = worker.event()
        self.assertEqual(event.get("event"), "failed", event)
        self.assertEqual(worker.wait(), 1)
        return event["error"], event["traceback"]
