"""New code is new code: bytecode that is older than its source is not loaded.

Python compares the source's time in whole seconds and its size (PEP 3147): of a
file that was edited twice in one second, without a change in size, it goes on
running the first edit, for ever.
"""

import importlib.machinery
import os

_Loader = importlib.machinery.SourceFileLoader


def distrust_old():
    """Make Python compile a source again that is newer than its bytecode, to the nanosecond."""
    read = _Loader.get_data

    def get_data(self, path):
        if path.endswith(".pyc") and os.stat(path).st_mtime_ns < os.stat(self.path).st_mtime_ns:
            raise OSError("%s is older than its source" % path)  # the loader compiles the source then
        return read(self, path)

    _Loader.get_data = get_data
