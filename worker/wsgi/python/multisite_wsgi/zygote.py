"""The project zygote: it imports what several sites share, and forks site zygotes and workers on command."""

import gc
import os
import sys
import time

from . import fork, hazards, import_shared, lifecycle, memory, streams
from .control import Control
from .forked_worker import ForkedWorker
from .finder import Findings, Limits
from .import_shared import FailedImport
from .site_config import SiteConfig
from .site_zygote import SiteZygote

CONTROL_FD = 3


def main():
    """Run the project zygote. In a forked process, go on with what that process is for."""
    role = ProjectZygote().run
    while True:
        role = role()


class ProjectZygote:
    """It has no thread and no event loop: it blocks on its control socket."""

    def __init__(self):
        gc.disable()
        for fd in hazards.descriptors() - {0, 1, 2, CONTROL_FD}:
            os.close(fd)  # inherited from the program that started the supervisor
        self._control = Control(CONTROL_FD)
        sys.argv = ["multisite"]
        streams.line_by_line()
        lifecycle.dump_stacks_on_request()
        self._members = None  # names of the sites that may be forked from here; None: any, as nothing is loaded yet
        fork.set_name("zygote")
        fork.disable_huge_pages()

    def run(self):
        """Obey commands; return what a forked process does from here on."""
        while True:
            message, fds = self._control.receive()
            if message is None or message["cmd"] == "exit":
                os._exit(0)
            role = self._obey(message, fds)
            if role is not None:
                return role

    def _obey(self, message, fds):
        """Answer a command and return None; in a forked process return what it does."""
        role = None
        if message["cmd"] == "prepare":
            answer = self._prepare(message)
        else:
            answer, role = self._fork(message["cmd"], SiteConfig(message["config"]), fds)
        if role is None:
            for fd in fds:
                os.close(fd)
            self._control.send(answer)
        return role

    def _prepare(self, message):
        """Import what these sites share; return the answer."""
        started = time.monotonic()
        configs = [SiteConfig(values) for values in message["sites"]]
        findings = Findings(configs, message["without"], Limits(message))
        tricks = []
        try:
            if findings.modules:
                tricks = self._load([config for config in configs if config.site in findings.members], findings)
        except FailedImport as error:
            return {"failed_import": error.module, "error": error.problem}
        finally:
            findings.close()
        return {"ready": True, "modules": len(findings.modules), "left_out": findings.left_out,
                "others": findings.others, "unkept": findings.unkept, "tricks": tricks,
                "seconds": round(time.monotonic() - started, 3)}

    def _load(self, configs, findings):
        """Return the names of the tricks that were applied."""
        self._members = findings.members
        import_shared.import_modules(findings.modules, configs, hazards.descriptors())
        return memory.apply(set.intersection(*[set(config.tricks) for config in configs]), findings.hot)

    def _fork(self, command, config, fds):
        """Return (answer, None), or in the new process (None, what it does)."""
        if self._members is not None and config.site not in self._members:
            return {"error": "site %s is none of those for which this zygote was prepared" % config.site}, None
        try:
            pid = fork.fork_for_supervisor(config.supervisor)
        except OSError as error:
            return {"error": "fork: %s" % error}, None
        if pid:
            return {"pid": pid}, None
        self._control.close()
        if command == "site":
            return None, SiteZygote(config, fds).run
        return None, ForkedWorker(config, config.worker, fds).run
