"""Do not load bytecode that is older than its source.

Python only compares the source's size and its time in whole seconds (PEP 3147). If
a file is edited twice within a second, or a build sets its time (tar --mtime), and
its size stays the same, Python would run the old bytecode for ever.
"""

import importlib.machinery
import os

from .installed import is_installed

_Loader = importlib.machinery.SourceFileLoader


def distrust_old():
    """Make Python compile a source again that is newer than its bytecode, compared to the nanosecond."""
    read = _Loader.get_data

    def get_data(self, path):
        if path.endswith(".pyc") and _is_older(path, self.path):
            raise OSError("%s is older than its source" % path)  # the loader compiles the source then
        return read(self, path)

    _Loader.get_data = get_data


def _is_older(bytecode, source):
    """Return whether bytecode is older than its source, by mtime, or by ctime, which a build cannot set.

    ctime does not count for installed packages: source and bytecode were unpacked together, in any
    order, and compiling all of them again would take seconds.
    """
    made, edited = os.stat(bytecode), os.stat(source)
    return made.st_mtime_ns < edited.st_mtime_ns or (
        made.st_ctime_ns < edited.st_ctime_ns and not is_installed(source))
