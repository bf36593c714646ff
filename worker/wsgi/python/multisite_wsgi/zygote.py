"""The project zygote: it loads what several sites share, and forks site zygotes and workers on command."""

import gc
import os
import sys
import time

from . import hazards, lifecycle, memory, offspring, shared, streams
from .control import Control
from .forked_worker import ForkedWorker
from .learner import Findings
from .shared import FailedImport
from .site_config import SiteConfig
from .site_zygote import SiteZygote

CONTROL_FD = 3


def main():
    """Live as the project zygote, or as what was forked from it."""
    life = ProjectZygote().run
    while True:
        life = life()


class ProjectZygote:
    """It has no thread and no event loop: it blocks on its control socket."""

    def __init__(self):
        gc.disable()
        for fd in hazards.descriptors() - {0, 1, 2, CONTROL_FD}:
            os.close(fd)  # of whoever started the supervisor
        self._control = Control(CONTROL_FD)
        sys.argv = ["multisite"]
        streams.line_by_line()
        lifecycle.dump_stacks_on_request()
        self._members = None  # names of the sites that share what is loaded here; None: nothing is, anybody may come
        offspring.set_name("zygote")
        offspring.without_huge_pages()

    def run(self):
        """Obey; return what a forked process does from here."""
        while True:
            message, fds = self._control.receive()
            if message is None or message["cmd"] == "exit":
                os._exit(0)
            life = self._obey(message, fds)
            if life is not None:
                return life

    def _obey(self, message, fds):
        """Answer a command; return the life of the forked process in it."""
        life = None
        if message["cmd"] == "prepare":
            answer = self._prepare(message)
        else:
            answer, life = self._fork(message["cmd"], SiteConfig(message["config"]), fds)
        if life is None:
            for fd in fds:
                os.close(fd)
            self._control.send(answer)
        return life

    def _prepare(self, message):
        """Load what these sites share; nothing is shared before all of it is."""
        started = time.monotonic()
        configs = [SiteConfig(values) for values in message["sites"]]
        findings = Findings(configs, message["without"], message["deadline_seconds"])
        tricks = []
        try:
            if findings.modules:
                tricks = self._load([config for config in configs if config.site in findings.members], findings)
        except FailedImport as error:
            return {"failed_import": error.module, "error": error.problem}
        finally:
            findings.close()
        return {"ready": True, "modules": len(findings.modules), "left_out": findings.left_out,
                "unkept": findings.unkept, "tricks": tricks,
                "seconds": round(time.monotonic() - started, 3)}

    def _load(self, configs, findings):
        """Return the names of the tricks that were applied."""
        self._members = findings.members
        shared.load(findings.modules, configs, hazards.descriptors())
        return memory.apply(set.intersection(*[set(config.tricks) for config in configs]), findings.hot)

    def _fork(self, command, config, fds):
        """Return (answer, None), or in the new process (None, life)."""
        if self._members is not None and config.site not in self._members:
            return {"error": "site %s took no part in the preparation of this zygote" % config.site}, None
        try:
            pid = offspring.beget(config.supervisor)
        except OSError as error:
            return {"error": "fork: %s" % error}, None
        if pid:
            return {"pid": pid}, None
        self._control.close()
        if command == "site":
            return None, SiteZygote(config, fds).run
        return None, ForkedWorker(config, config.worker, fds).run
