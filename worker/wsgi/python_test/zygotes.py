"""Drives zygotes as the supervisor does, over the real control protocol."""

import array
import ctypes
import json
import os
import select
import signal
import socket
import struct
import sys

from front import Front
from process import PACKAGE, TIMEOUT, Lines, WorkerCase

_PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Control:
    """The supervisor's end of a control socket."""

    def __init__(self):
        self.sock, self.theirs = socket.socketpair()
        self.sock.settimeout(TIMEOUT)

    def ask(self, message, fds=()):
        self.send(message, fds)
        return self.answer()

    def send(self, message, fds=()):
        data = json.dumps(message).encode()
        data = struct.pack(">I", len(data)) + data
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        data = data[self.sock.sendmsg([data], rights):]
        if data:
            self.sock.sendall(data)

    def answer(self):
        """Return the answer, or None when the zygote has exited."""
        head = self._read(4)
        return json.loads(self._read(struct.unpack(">I", head)[0])) if head else None

    def close(self):
        self.sock.close()

    def _read(self, size):
        data = b""
        while len(data) < size:
            part = self.sock.recv(size - len(data))
            if not part:
                return b""
            data += part
        return data


class Forked:
    """A process that a zygote forked; it is our child, as we are a subreaper."""

    def __init__(self, pid, status, output):
        self.pid = pid
        self.out = Lines(output)
        self._status = open(status)
        self._pidfd = os.pidfd_open(pid)
        self._exit = None

    def event(self):
        line = self._status.readline()
        return json.loads(line) if line else None

    def signal(self, number):
        os.kill(self.pid, number)

    def wait(self, timeout=TIMEOUT):
        if self._exit is None:
            if not select.select([self._pidfd], [], [], timeout)[0]:
                raise AssertionError("process %d does not exit" % self.pid)
            os.killpg(self.pid, signal.SIGKILL)  # and its group, as the supervisor does
            _, status = os.waitpid(self.pid, 0)
            os.close(self._pidfd)
            self._exit = os.waitstatus_to_exitcode(status)
        return self._exit

    def close(self):
        if self._exit is None:
            os.killpg(self.pid, signal.SIGKILL)
            self.wait()
        self._status.close()


class Zygotes(WorkerCase):
    """Tests with a project zygote and what it forks."""

    def setUp(self):
        super().setUp()
        self.zygote = self.start_project()

    def start_project(self, env=None):
        """Start a project zygote; return its control socket."""
        control = Control()
        errors, errors_w = os.pipe()
        high = os.dup2(control.theirs.fileno(), 50, inheritable=False)
        pid = os.posix_spawn(
            sys.executable, [sys.executable, PACKAGE, "zygote"], dict(env or os.environ, PYTHONDONTWRITEBYTECODE="1"),
            file_actions=[(os.POSIX_SPAWN_DUP2, high, 3), (os.POSIX_SPAWN_DUP2, errors_w, 1),
                          (os.POSIX_SPAWN_DUP2, errors_w, 2)], setpgroup=0)
        control.process = Forked(pid, os.open(os.devnull, os.O_RDONLY), errors)
        os.close(errors_w)
        os.close(high)
        control.theirs.close()
        self.addCleanup(control.close)
        self.addCleanup(control.process.close)
        return control

    def config(self, **config):
        config.setdefault("python_path", [self.dir])
        config.setdefault("env", dict(os.environ, PYTHONDONTWRITEBYTECODE="1"))
        config.setdefault("warmup", ["/"])
        config.setdefault("tricks", ["freeze", "gc", "seal", "relocate", "immortal"])
        return dict(config, supervisor_pid=os.getpid(), site=config.get("site", "site"))

    def site(self, control=None, **config):
        """Fork a site zygote; return it with its control socket."""
        mine = Control()
        config = self.config(**config)
        zygote = self._fork(control or self.zygote, {"cmd": "site", "config": config}, mine.theirs.fileno())
        mine.theirs.close()
        zygote.control = mine
        self.addCleanup(mine.close)
        return zygote

    def ready(self, **config):
        """Fork a site zygote that must be ready; return it with its event."""
        zygote = self.site(**config)
        zygote.ready = zygote.event()
        self.assertEqual(zygote.ready and zygote.ready["event"], "ready", zygote.ready or zygote.out.text)
        return zygote

    def fork(self, zygote, name="site/1"):
        return self._worker(zygote.control, {"cmd": "fork", "worker": name})

    def worker(self, control=None, **config):
        """Fork a worker that loads the site itself."""
        return self._worker(control or self.zygote, {"cmd": "worker", "config": self.config(**config)})

    def _worker(self, control, command):
        path = os.path.join(self.directory(), "socket")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(16)
        with listener:
            worker = self._fork(control, command, listener.fileno())
        worker.front = lambda: Front(path)
        return worker

    def _fork(self, control, command, first):
        status, status_w = os.pipe()
        output, output_w = os.pipe()
        answer = control.ask(command, [first, status_w, output_w])
        os.close(status_w)
        os.close(output_w)
        if not answer or "pid" not in answer:
            os.close(status)
            os.close(output)
            raise Refused(answer)
        forked = Forked(answer["pid"], status, output)
        self.addCleanup(forked.close)
        return forked

    def serving(self, zygote, name="site/1"):
        """Fork a worker that must be ready."""
        worker = self.fork(zygote, name)
        event = worker.event()
        self.assertEqual(event and event["event"], "ready", event or worker.out.text)
        return worker

    def get(self, worker, path="/", **more):
        with worker.front() as front:
            return front.request(path=path, **more)


class Refused(Exception):
    """The zygote answered with something else than a pid."""
