"""A site that answers which user it runs as, and what it may do to other processes and files."""

import json
import os
import socket
import sys
import urllib.parse


def application(environ, start_response):
    query = urllib.parse.parse_qs(environ["QUERY_STRING"])
    tried = {text: attempt(*text.split(" ", 1)) for text in query.get("try", [])}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(dict(whoami(), tried=tried)).encode()]


def whoami():
    with open("/proc/self/status") as status:
        umask = [line.split()[1] for line in status if line.startswith("Umask:")][0]
    return {
        "pid": os.getpid(), "uids": os.getresuid(), "gids": os.getresgid(), "groups": sorted(os.getgroups()), "umask": umask,
        "home": os.path.expanduser("~"), "cwd": os.getcwd(), "env": dict(os.environ), "encoding": sys.getfilesystemencoding(),
    }


def attempt(what, target):
    """Return "done", or the name of the error."""
    try:
        {"read": read, "list": os.listdir, "connect": connect, "kill": kill, "write": write}[what](target)
    except OSError as error:
        return type(error).__name__
    return "done"


def read(path):
    with open(path, "rb") as file:
        file.read()


def write(path):
    with open(path, "a"):
        pass


def connect(path):
    os.stat(path)  # a path of its own, however long: a socket that it sees, it could reach
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)


def kill(pid):
    os.kill(int(pid), 0)
