"""Tell the supervisor how the start went: one JSON object per line."""

import json
import os
import sys

from .config import STATUS_FD
from .report import error_line, traceback_text


class Status:
    """The status pipe. It closes after the one event that it carries."""

    def __init__(self, fd=STATUS_FD):
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

    def send(self, event):
        line = json.dumps(event).encode() + b"\n"
        with open(self._fd, "wb") as pipe:
            pipe.write(line)
