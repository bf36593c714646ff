"""New code is new code: bytecode that is older than its source is not loaded.

Python compares the source's time in whole seconds and its size (PEP 3147): of a
file that was edited twice in one second, or that a build gives a time of its own
(tar --mtime), without a change in size, it goes on running the first one, for ever.
"""

import importlib.machinery
import os

from .installed import is_installed

_Loader = importlib.machinery.SourceFileLoader


def distrust_old():
    """Make Python compile a source again that is newer than its bytecode, to the nanosecond."""
    read = _Loader.get_data

    def get_data(self, path):
        if path.endswith(".pyc") and _is_older(path, self.path):
            raise OSError("%s is older than its source" % path)  # the loader compiles the source then
        return read(self, path)

    _Loader.get_data = get_data


def _is_older(bytecode, source):
    """Also where the source's own time says nothing: when it was put there is known by the kernel.

    But not of what is installed: both came together, unpacked in any order, and to compile all of it
    takes seconds.
    """
    made, edited = os.stat(bytecode), os.stat(source)
    return made.st_mtime_ns < edited.st_mtime_ns or (
        made.st_ctime_ns < edited.st_ctime_ns and not is_installed(source))
