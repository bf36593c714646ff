"""Text streams that reach the supervisor line by line, wsgi.errors, and wsgi.file_wrapper."""

import io
import os
import stat
import sys
import threading

from . import log


class LineStream(io.TextIOWrapper):
    """Writes whole lines, with one write each, so that lines of several threads never mix.

    Text without a newline is kept per thread until the line ends or is flushed.
    """

    def __init__(self, binary):
        super().__init__(binary, encoding="utf-8", errors="backslashreplace", newline="\n")
        self._thread = threading.local()

    def write(self, text):
        lines, newline, rest = text.rpartition("\n")
        if newline:
            self._send(self._take() + lines + newline)
        if rest:
            self._thread.partial = self._take() + rest
        return len(text)

    def flush(self):
        if not self.closed:
            self._send(self._take())

    def _take(self):
        partial = getattr(self._thread, "partial", "")
        self._thread.partial = ""
        return partial

    def _send(self, text):
        if text:
            self.buffer.write(text.encode(self.encoding, self.errors))
        self.buffer.flush()


def line_by_line():
    """Replace sys.stdout and sys.stderr by LineStreams, so that logging uses these too."""
    sys.stdout = sys.__stdout__ = LineStream(sys.stdout.detach())
    sys.stderr = sys.__stderr__ = LineStream(sys.stderr.detach())


class Log(io.RawIOBase):
    """The raw stream of wsgi.errors: it writes to the current sys.stderr and never fails."""

    def writable(self):
        return True

    def write(self, data):
        log.write(str(data, "utf-8"))
        return len(data)

    def fileno(self):
        return sys.stderr.fileno()


_OF_THE_KERNEL = (io.BufferedReader, io.BufferedRandom, io.FileIO)  # not their subclasses, which may change what they read


class FileWrapper:
    """wsgi.file_wrapper: an iterable of the blocks of a file (PEP 3333)."""

    def __init__(self, filelike, block_size=8192):
        self.filelike = filelike
        self.block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self):
        return self

    def __next__(self):
        block = self.filelike.read(self.block_size)
        if block:
            return block
        raise StopIteration

    def rest(self):
        """Return (descriptor, position, bytes from there on) of a regular file whose read() changes nothing, else None."""
        if type(self.filelike) not in _OF_THE_KERNEL:
            return None
        try:
            fd, position = self.filelike.fileno(), self.filelike.tell()
            info = os.fstat(fd)
        except (OSError, ValueError):  # it is closed, or has no position
            return None
        return (fd, position, info.st_size - position) if stat.S_ISREG(info.st_mode) else None
