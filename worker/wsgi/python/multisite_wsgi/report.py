"""Errors as the author of the site wants to read them: without the worker's own frames."""

import importlib
import os
import sys
import traceback

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class SiteError(Exception):
    """A mistake in how the site is described; its message says all there is to say."""


def error_line(error):
    """Return "Type: message" on one line."""
    text = " ".join(str(error).split())
    if isinstance(error, SiteError):
        return text
    return "%s: %s" % (type(error).__qualname__, text) if text else type(error).__qualname__


def traceback_text(error):
    """Return the traceback from the first frame outside of this package on."""
    if isinstance(error, SiteError):
        return str(error) + "\n"
    return "".join(traceback.format_exception(type(error), error, _first_foreign(error.__traceback__)))


def log_error(what, error):
    """Write one line and the traceback to stderr, in one piece."""
    sys.stderr.write("%s\n%s" % (what, traceback_text(error)))


def log_line(text):
    sys.stderr.write(text + "\n")


def _first_foreign(frame):
    while frame is not None and _is_ours(frame.tb_frame.f_code.co_filename):
        frame = frame.tb_next
    return frame


def _is_ours(filename):
    return (filename.startswith("<frozen importlib") or filename == importlib.__file__
            or os.path.abspath(filename).startswith(_HERE))
