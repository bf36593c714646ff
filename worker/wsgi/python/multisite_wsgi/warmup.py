"""Warm-up: requests that a site zygote answers before it forks, so that workers share what first requests load."""

import contextlib
import io
import sys
import time

from .handler import Handler
from .log import error_line, traceback_text
from .server import base_environ

ROUNDS = 30  # how often each path is requested
LEARNED_ROUNDS = 4  # the same, if visitors have decided which paths they are
SECONDS = 0.5  # limit for all paths together, except that each is requested once


class _Answer:
    """Receives the response, as exchange.Exchange does in a worker; keeps only its beginning."""

    def __init__(self):
        self._data = b""

    def send(self, *parts):
        if parts and not self._data:
            self._data = parts[0][:64]

    finish = send

    def check_client(self):
        pass  # this client never goes away

    def status(self):
        return self._data.partition(b"\r\n")[0].decode("latin-1").replace("Status: ", "", 1)


class _Handler(Handler):
    error = None

    def _failed(self, error):
        self.error = error
        return super()._failed(error)


class Result:
    """The result of the first request to a path. Its attributes are keys of the start report."""

    def __init__(self, path, status="", error=None, learned=False):
        self.path = path
        self.failed = error is not None or status.startswith("5")
        self.problem = self.traceback = ""
        if error is not None:
            self.problem, self.traceback = error_line(error), traceback_text(error)
        elif self.failed:
            self.problem = "answered " + status
        elif status.startswith(("3", "400")):  # most often by a middleware, before any view has run
            self.problem = "answered %s, so the page itself was not run" % status
        elif learned and not status.startswith("200"):  # not what visitors got
            self.problem = "answered " + status


class Warmup:
    """GET requests by https to the configured paths. Their environ has the key "multisite.warmup"."""

    def __init__(self, application, config):
        self._application = application
        self._config = config
        self._paths = config.warmup  # from the second round on without those that are dropped
        self._raised = []  # exceptions of the current request that Django has turned into a response

    def run(self, rounds=None, seconds=SECONDS, is_unsafe=lambda path: False, limit=lambda path: contextlib.nullcontext()):
        """Request every path several times; return the result of each path's first request.

        A path that fails is not requested again: one traceback is enough. Nor is one that was
        learned from visitors and not answered as they were. is_unsafe is called after each first
        request; if one returned True this process is of no use, and there is no second round.
        limit returns the context manager in which a path's first request is made.
        """
        if rounds is None:
            rounds = LEARNED_ROUNDS if self._config.warmup_learned else ROUNDS
        disconnect = self._watch_django()
        try:
            return self._run(rounds, time.monotonic() + seconds, is_unsafe, limit)
        finally:
            disconnect()

    def _run(self, rounds, deadline, is_unsafe, limit):
        results, unsafe, learned = [], False, self._config.warmup_learned
        for path in self._paths:
            with limit(path):
                results.append(self._request(path))
            began = time.monotonic()
            unsafe = is_unsafe(path) or unsafe
            deadline += time.monotonic() - began  # the look is no part of the warm-up
        if unsafe:
            return results
        self._paths = [result.path for result in results if not (result.problem if learned else result.failed)]
        for _ in range(rounds - 1):
            for path in self._paths:
                if time.monotonic() > deadline:
                    return results
                self._request(path)
        return results

    def _request(self, path):
        """Make one request; return its result."""
        del self._raised[:]
        answer = _Answer()
        handler = _Handler(self._environ(path), answer)
        handler.run(self._application)
        error = handler.error or (self._raised[0] if self._raised else None)
        return Result(path, answer.status(), error, self._config.warmup_learned)

    def _environ(self, path):
        path, _, query = path.partition("?")
        mount = self._config.mount.rstrip("/")
        environ = base_environ(self._config)
        environ.update({
            "multisite.warmup": True,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_URI": mount + path + ("?" + query if query else ""),
            "HTTPS": "on",  # otherwise SECURE_SSL_REDIRECT would answer, and no view would run
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
        """Collect exceptions of views, which Django turns into responses; return a function that stops it."""
        if "django.core.signals" not in sys.modules:
            return lambda: None
        from django.core.signals import got_request_exception

        def collect(**_):
            self._raised.append(sys.exc_info()[1])

        got_request_exception.connect(collect, weak=False)
        return lambda: got_request_exception.disconnect(collect)
