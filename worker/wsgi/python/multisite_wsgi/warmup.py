"""Requests that a site answers before it is forked, so that its workers share what the first ones cost."""

import io
import sys
import time

from .handler import Handler
from .report import error_line, traceback_text
from .server import base_environ

ROUNDS = 30
SECONDS = 0.5  # for all paths together, however slow they are


class _Answer:
    """Stands in for the front door."""

    def __init__(self):
        self._data = b""

    def send(self, data):
        self._data = self._data or data[:64]

    finish = send

    def look(self):
        pass  # it stays

    def status(self):
        return self._data.partition(b"\r\n")[0].decode("latin-1").replace("Status: ", "", 1)


class _Handler(Handler):
    error = None

    def _failed(self, error):
        self.error = error
        return super()._failed(error)


class Outcome:
    """What became of the first request to a path."""

    def __init__(self, path, status="", error=None):
        self.path = path
        self.failed = error is not None or status.startswith("5")
        self.problem = self.traceback = ""
        if error is not None:
            self.problem, self.traceback = error_line(error), traceback_text(error)
        elif self.failed:
            self.problem = "answered " + status
        elif status.startswith(("3", "400")):  # by a middleware, most often
            self.problem = "answered %s: nothing is warm" % status


class Warmup:
    """GET requests to the configured paths, by https; the environ says so under "multisite.warmup"."""

    def __init__(self, application, config):
        self._application = application
        self._config = config
        self._paths = config.warmup
        self._raised = []

    def run(self, rounds=ROUNDS, seconds=SECONDS):
        """Request every path, then again and again; return the outcome of each path's first request.

        A path that fails is not asked again: one traceback is enough.
        """
        disconnect = self._watch_django()
        try:
            return self._run(rounds, time.monotonic() + seconds)
        finally:
            disconnect()

    def _run(self, rounds, deadline):
        outcomes = [self._request(path) for path in self._paths]
        self._paths = [outcome.path for outcome in outcomes if not outcome.failed]
        for _ in range(rounds - 1):
            for path in self._paths:
                if time.monotonic() > deadline:
                    return outcomes
                self._request(path)
        return outcomes

    def _request(self, path):
        """Answer one request; return what became of it."""
        del self._raised[:]
        answer = _Answer()
        handler = _Handler(self._environ(path), answer)
        handler.run(self._application)
        error = handler.error or (self._raised[0] if self._raised else None)
        return Outcome(path, answer.status(), error)

    def _environ(self, path):
        path, _, query = path.partition("?")
        mount = self._config.mount.rstrip("/")
        environ = base_environ(self._config)
        environ.update({
            "multisite.warmup": True,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_URI": mount + path + ("?" + query if query else ""),
            "HTTPS": "on",  # or SECURE_SSL_REDIRECT would answer, and nothing else be run
            "REQUEST_SCHEME": "https",
            "wsgi.url_scheme": "https",
            "SERVER_PORT": "443",
            "SERVER_NAME": self._config.hosts.partition(":")[0],
            "HTTP_HOST": self._config.hosts,
            "HTTP_USER_AGENT": "multisite warm-up",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.input": io.BytesIO(),
        })
        return environ

    def _watch_django(self):
        """Collect what views raise, which Django turns into answers; return how to stop that."""
        if "django.core.signals" not in sys.modules:
            return lambda: None
        from django.core.signals import got_request_exception

        def collect(**_):
            self._raised.append(sys.exc_info()[1])

        got_request_exception.connect(collect, weak=False)
        return lambda: got_request_exception.disconnect(collect)
