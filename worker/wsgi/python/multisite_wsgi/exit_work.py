"""Exit handlers in zygotes and forked workers: each runs in one process only.

A TemporaryDirectory that was made before the fork would be deleted by the first
child that exits. So the zygote keeps its exit handlers for itself and runs them
when it exits after its last worker, and its children start with none.
"""

import atexit
import gc
import io
import os
import sys
import weakref

_BUFFERED = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)

# Handlers that the standard library registers when it is imported, and that every process needs.
_OF_EVERY_PROCESS = (("logging", "shutdown"), ("multiprocessing.util", "_exit_function"))


class ExitWork:
    """The exit handlers of a site zygote."""

    def __init__(self):
        self._disabled = []  # finalisers that only the zygote may run
        self.files = []  # weak references to buffered files, which each child flushes at its exit

    def disable(self):
        """Disable the finalisers, before the heap is sealed, so that no child has to write to these pages."""
        files = _buffered_files()
        _flush(files)  # otherwise each child would write what is in the buffer now
        self.files = [weakref.ref(file) for file in files]
        for info in list(weakref.finalize._registry.values()):
            if info.atexit:
                info.atexit = False
                self._disabled.append(info)

    def enable(self):
        """Enable the finalisers again, before the zygote exits."""
        for info in self._disabled:
            info.atexit = True


class WorkerExit:
    """Exits a forked worker: runs the exit handlers of its own, then calls os._exit().

    It skips the interpreter's teardown, which would finalise objects of the zygote
    and write to all shared memory.
    """

    def __init__(self, files=()):
        """files are those of ExitWork."""
        self.code = 0
        self._files = files

    def prepare(self):
        """Register os._exit() first, so that it runs last, after the handlers that are registered from now on."""
        atexit.register(self._exit)
        atexit.register(weakref.finalize._exitfunc)
        weakref.finalize._registered_with_atexit = True
        for module, function in _OF_EVERY_PROCESS:
            if module in sys.modules:
                atexit.register(getattr(sys.modules[module], function))

    def _exit(self):
        inherited = [file() for file in self._files]
        _flush([file for file in inherited if file is not None] + _buffered_files())
        os._exit(self.code)


def _buffered_files():
    """Return the file objects that may hold unwritten data, except frozen ones (gc.freeze)."""
    # type() and not isinstance(), which would load what a lazy proxy stands for
    return [thing for thing in gc.get_objects() if issubclass(type(thing), _BUFFERED)]


def _flush(files):
    for file in files:
        try:
            file.flush()
        except (OSError, ValueError):
            pass  # the file is closed, or its disk is full
