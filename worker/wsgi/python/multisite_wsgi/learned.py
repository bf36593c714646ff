"""The cache of what was learned about sites: a result, or why there is none.

A record is valid as long as no file and no configuration of the site has changed.
One that says why there is no result saves the time of finding that out again. If
the reason may pass by itself, the record is valid for a day.
"""

import importlib.util
import json
import os
import sys
import time

_DAY = 24 * 60 * 60


def load(config, deadline_seconds):
    """Return the record of a site; None: there is none, or it is not valid any more."""
    try:
        with open(config.learned, encoding="utf-8") as file:
            record = json.load(file)
        is_valid = (record["of"] == _identity(config) and all(_times(f[0]) == f[1:] for f in record["files"])
                    and ("failed" not in record or _still_fails(record, deadline_seconds)))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if is_valid else None


def save(config, record):
    """Write the record of a site to the cache; return why that failed, or None."""
    if not config.learned:
        return None
    try:
        with open(config.learned + ".new", "w", encoding="utf-8") as file:
            json.dump(record, file)
        os.replace(config.learned + ".new", config.learned)
    except OSError as error:
        return "%s cannot be written: %s" % (config.learned, error.strerror)
    return None


def result(config, modules, hot):
    """Return the record of a site that is loaded in this process."""
    return {"of": _identity(config), "files": _files(()), "modules": modules, "hot": hot}


def failure(config, failed, began, deadline_seconds, lasts):
    """Return the record of a site about which nothing could be learned.

    began are the files that it had begun to load. lasts is whether the reason depends
    on nothing but the site's code.
    """
    return {"of": _identity(config), "files": _files(began), "failed": failed, "deadline": deadline_seconds,
            "until": None if lasts else time.time() + _DAY}


def _still_fails(record, deadline_seconds):
    until = record["until"]
    return until is None or (time.time() < until <= time.time() + _DAY and deadline_seconds <= record["deadline"])


def _identity(config):
    """Return what has to be equal for a record to be valid: as a hash, since an environment has secrets."""
    names = ("env", "home", "hosts", "locale", "mount", "python_path", "settings", "warmup", "wsgi")
    values = json.dumps({name: config.values.get(name) for name in names}, sort_keys=True).encode()
    return [sys.version, sys.executable, importlib.util.source_hash(values).hex()]


def _files(more):
    """Return [path, times and size...] of every file with imported code, this package included, and of more."""
    paths = {getattr(module, "__file__", None) for module in list(sys.modules.values())}.union(more)
    return [[path] + _times(path) for path in sorted(filter(None, paths)) if os.path.isabs(path)]


def _times(path):
    try:
        status = os.stat(path)
    except OSError:
        return [0, 0, 0, 0]
    return [status.st_mtime_ns, status.st_size, status.st_ctime_ns, status.st_ino]
