"""The project zygote: a bare interpreter that forks site zygotes and workers on command."""

import gc
import os
import sys

from . import lifecycle, offspring, streams
from .control import Control
from .forked_worker import ForkedWorker
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
        os.closerange(CONTROL_FD + 1, os.sysconf("SC_OPEN_MAX"))
        self._control = Control(CONTROL_FD)
        sys.argv = ["multisite"]
        streams.line_by_line()
        lifecycle.dump_stacks_on_request()
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
        try:
            if message["cmd"] == "prepare":
                answer = {"ready": True, "modules": 0, "left_out": [], "seconds": 0}
            else:
                config = SiteConfig(message["config"])
                pid = offspring.beget(config.supervisor)
                if pid == 0:
                    self._control.close()
                    life = self._life(message["cmd"], config, fds)
                answer = {"pid": pid}
        except OSError as error:
            answer = {"error": "fork: %s" % error}
        if life is None:
            for fd in fds:
                os.close(fd)
            self._control.send(answer)
        return life

    @staticmethod
    def _life(command, config, fds):
        if command == "site":
            return SiteZygote(config, fds).run
        return ForkedWorker(config, config.worker, fds).run
