"""Log lines, and errors as the author of the site wants to read them: without frames of this package."""

import importlib
import os
import sys
import traceback

from .descriptor import Descriptor

_STDERR_FD = 2
_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class SiteError(Exception):
    """A mistake in the site's configuration. Its message says everything, so it gets no traceback."""


def error_line(error):
    """Return "Type: message" on one line."""
    text = " ".join(_message(error).split())
    if isinstance(error, SiteError):
        return text
    return "%s: %s" % (type(error).__qualname__, text) if text else type(error).__qualname__


def traceback_text(error):
    """Return the traceback, beginning with the first frame outside of this package."""
    if isinstance(error, SiteError):
        return str(error) + "\n"
    try:
        return "".join(traceback.format_exception(type(error), error, _first_foreign(error.__traceback__)))
    except BaseException as problem:  # the application may have set any attribute of the exception
        return "%s (its traceback cannot be shown: %s)\n" % (error_line(error), type(problem).__qualname__)


def log_error(what, error):
    """Write one line and the traceback to stderr, with one write."""
    write("%s\n%s" % (what, traceback_text(error)))


def log_line(text):
    write(text + "\n")


def write(text):
    """Write whole lines to sys.stderr, or if that fails to the original stderr of the process. Never raise."""
    stream = sys.stderr
    try:
        stream.write(text)
        if hasattr(stream, "flush"):
            stream.flush()
    except BaseException as problem:  # the application may have assigned any object to sys.stderr
        _original.write("%s(sys.stderr could not be written: %s)\n" % (text, error_line(problem)))


class _OriginalStderr:
    """The stderr that this process got at its start, as a descriptor that the application does not know."""

    def __init__(self):
        self._fd = Descriptor(-1)

    def keep(self):
        self._fd = Descriptor(os.dup(_STDERR_FD))
        os.register_at_fork(after_in_child=self._fd.close)  # processes of the application must not inherit it

    def write(self, text):
        fd = self._fd.number if self._fd.number >= 0 else _STDERR_FD
        try:
            os.write(fd, text.encode("utf-8", "backslashreplace"))
        except OSError:
            pass  # there is no other place to log to


_original = _OriginalStderr()
keep_stderr = _original.keep


def _message(error):
    try:
        return str(error)
    except BaseException as problem:
        return "<its message raises %s>" % type(problem).__qualname__


def _first_foreign(frame):
    while frame is not None and _is_ours(frame.tb_frame.f_code.co_filename):
        frame = frame.tb_next
    return frame


def _is_ours(filename):
    return (filename.startswith("<frozen importlib") or filename == importlib.__file__
            or os.path.normpath(filename).startswith(_HERE))
