"""What a process leaves to its children that only it may do itself: its work at exit.

A TemporaryDirectory made before the fork would be deleted by the first child
that ends. So the zygote sets its own work aside, does it when it leaves after
its last worker, and its children start with none.
"""

import atexit
import os
import sys
import weakref

from . import clean


# What the standard library registers when it is imported, and each process needs.
_OF_EVERY_PROCESS = (("logging", "shutdown"), ("multiprocessing.util", "_exit_function"))


class ExitWork:
    """What this process has to do at its end, and its children do not, or do themselves."""

    def __init__(self):
        self._held = []
        self.files = []  # weak references to files whose buffer a child has to write at its end

    def hold(self):
        """Set aside; done before the memory is sealed, so that no child needs to write there."""
        files = clean.buffered_files()
        clean.flush(files)  # each child would write what is in the buffer now
        self.files = [weakref.ref(file) for file in files]
        for info in list(weakref.finalize._registry.values()):
            if info.atexit:
                info.atexit = False
                self._held.append(info)

    def release(self):
        for info in self._held:
            info.atexit = True


class Departure:
    """How a forked worker ends: by its own atexit handlers, then at once.

    Without the interpreter's teardown, which would finalise what belongs to the
    zygote and write to all memory that is shared.
    """

    def __init__(self, files=()):
        """files are those of ExitWork."""
        self.code = 0
        self._files = files

    def prepare(self):
        """Begin the exit work of this process: what is registered from now on runs, then _exit, and nothing more."""
        atexit.register(self._exit)
        atexit.register(weakref.finalize._exitfunc)
        weakref.finalize._registered_with_atexit = True
        for module, function in _OF_EVERY_PROCESS:
            if module in sys.modules:
                atexit.register(getattr(sys.modules[module], function))

    def _exit(self):
        inherited = [file() for file in self._files]
        clean.flush([file for file in inherited if file is not None] + clean.buffered_files())
        os._exit(self.code)
