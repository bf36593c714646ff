"""Report to the supervisor once how the start went, as one line of JSON."""

import json
import os
import sys

from .config import REPORT_FD
from .log import error_line, traceback_text


class StartReport:
    """The report pipe. send() closes it, so there is exactly one report."""

    def __init__(self, fd=REPORT_FD):
        self._fd = fd

    def ready(self, site, **more):
        self.send({
            "event": "ready",
            "python": sys.version.split()[0],
            "django": site.django,
            "static": site.static,
            **more,
        })

    def failed(self, error):
        self.send({
            "event": "failed",
            "error": error_line(error),
            "traceback": traceback_text(error),
        })

    def send(self, report):
        line = json.dumps(report).encode() + b"\n"
        with open(self._fd, "wb") as pipe:
            pipe.write(line)
