"""A worker that was forked from a zygote: its site is loaded already, or it loads it itself."""

import gc
import socket

from . import fork, lifecycle, load, log, server
from .exit_work import WorkerExit
from .start_report import StartReport


class ForkedWorker:
    """One worker; run() does not return."""

    def __init__(self, config, name, fds, files=(), reopen=lambda: None):
        """fds came with the command: listener, report, output; files are those of ExitWork, reopen is Disconnector's."""
        self._config = config
        self._name = name
        self._listener, self._report, self._output = fds
        self._exit = WorkerExit(files)
        self._reopen = reopen

    def run(self, site=None):
        """Serve site; without one, load it first."""
        self._exit.prepare()
        fork.set_name(self._name)
        gc.enable()
        report = StartReport(self._report)
        if site is None:
            fork.enter_site(self._config, self._output)
            log.keep_stderr()
            site = self._load(report)
        else:
            fork.enter_output(self._output)
            log.keep_stderr()
            self._reopen()
        listener = socket.socket(fileno=self._listener)
        server.serve(site.application, self._config, listener, lambda: report.ready(site))
        self._exit_process(0)

    def _load(self, report):
        try:
            return load.load(self._config)
        except BaseException as error:  # also SystemExit and KeyboardInterrupt, raised by a settings file
            report.failed(error)
            self._exit_process(1)

    def _exit_process(self, code):
        self._exit.code = code
        lifecycle.exit_process(code, self._config.thread_join_seconds)
