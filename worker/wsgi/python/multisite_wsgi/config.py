"""The configuration that the supervisor passes to an interpreter: three descriptors and one JSON object."""

import json
import os

REPORT_FD = 3  # report pipe, see start_report.py
LISTEN_FD = 4  # listening unix stream socket
CONFIG_FD = 5  # socket from which one JSON object can be read, then end of file


class Config:
    """The keys of the JSON object that a worker uses; it ignores the others."""

    def __init__(self, values):
        self.settings = values.get("settings") or ""  # DJANGO_SETTINGS_MODULE; "": the application sets it, or none
        self.wsgi = values.get("wsgi") or ""  # script path or "module:callable"; "": Django's, from the settings
        self.python_path = values.get("python_path") or []
        self.home = values.get("home") or ""  # working directory; "": unchanged
        self.mount = values.get("mount") or "/"
        self.locale = values.get("locale") or ""  # for setlocale(); "": as Python does
        self.tricks = values.get("tricks") or []  # names, see memory.py; a worker itself does only "merge"
        self.threads = int(values.get("threads") or 1)
        self.stack_size = int(values.get("stack_size") or 0)  # of threads, in bytes; 0: the system's default
        self.thread_join_seconds = float(values.get("thread_join_seconds") or 3)  # limit at exit; set by tests only


def read():
    """Read the configuration; make sure that no child process inherits the descriptors."""
    for fd in (REPORT_FD, LISTEN_FD, CONFIG_FD):
        os.set_inheritable(fd, False)
    with open(CONFIG_FD, encoding="utf-8") as pipe:
        return Config(json.load(pipe))
