"""A worker that was forked from a zygote: loaded already, or about to load its site."""

import gc
import socket

from . import lifecycle, load, offspring, report, server
from .inherited import Departure
from .status import Status


class ForkedWorker:
    """The life of one worker; run() does not return."""

    def __init__(self, config, name, fds, files=()):
        """fds are those that came with the command: listener, status, output; files are of ExitWork."""
        self._config = config
        self._name = name
        self._listener, self._status, self._output = fds
        self._departure = Departure(files)

    def run(self, site=None):
        """Serve site, or load it here first."""
        self._departure.prepare()
        offspring.set_name(self._name)
        gc.enable()
        supervisor = Status(self._status)
        if site is None:
            offspring.enter_surroundings(self._config, self._output)
            report.keep_stderr()
            site = self._load(supervisor)
        else:
            offspring.enter_output(self._output)
            report.keep_stderr()
        listener = socket.socket(fileno=self._listener)
        server.serve(site.application, self._config, listener, lambda: supervisor.ready(site))
        self._leave(0)

    def _load(self, supervisor):
        try:
            return load.load(self._config)
        except BaseException as error:
            supervisor.failed(error)
            self._leave(1)

    def _leave(self, code):
        self._departure.code = code
        lifecycle.leave(code, self._config.thread_join_seconds)
