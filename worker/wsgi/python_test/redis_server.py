"""A real Redis for tests."""

import os
import shutil
import subprocess
import tempfile
import time


class RedisServer:
    """redis-server on a unix socket, until close()."""

    def __init__(self):
        self._home = tempfile.mkdtemp()
        self.path = os.path.join(self._home, "socket")
        self.url = "unix://" + self.path
        self._process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.path, "--save", "", "--dir", self._home],
            stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not os.path.exists(self.path) and self._process.poll() is None and time.monotonic() < deadline:
            os.sched_yield()

    @staticmethod
    def is_installed():
        return shutil.which("redis-server") is not None

    def close(self):
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._home)
