"""Remember where threads are started and sockets are opened, so that a hazard can name the line of the site's code."""

import functools
import os
import socket
import sys
import threading

from .installed import STDLIB, is_installed

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_MACHINERY = (_HERE, threading.__file__, socket.__file__, STDLIB + "ssl.py", STDLIB + "asyncio" + os.sep,
              STDLIB + os.path.join("concurrent", "futures") + os.sep)

_sockets = {}  # inode of a socket: where it was opened; empty except while Origins is entered


class Origins:
    """While it is entered, every started thread and every connected or listening socket is remembered."""

    def __enter__(self):
        self._wrappers = [_Wrapper(threading.Thread, "start", _note_thread)] + [
            _Wrapper(socket.socket, name, _note_socket) for name in ("connect", "connect_ex", "listen")]
        return self

    def __exit__(self, *_):
        for wrapper in self._wrappers:
            wrapper.remove()
        _sockets.clear()


class _Wrapper:
    """Calls note(object) before each call of a method, until it is removed."""

    def __init__(self, kind, name, note):
        self._kind, self._name = kind, name
        self._inherited = name not in vars(kind)
        self._method = method = getattr(kind, name)
        self._removed = False

        @functools.wraps(method)
        def remember(thing, *args, **kwargs):
            if not self._removed:
                note(thing)
            return method(thing, *args, **kwargs)

        self._remember = remember
        setattr(kind, name, remember)

    def remove(self):
        self._removed = True
        if vars(self._kind).get(self._name) is not self._remember:
            return  # the application has wrapped it, as Sentry does, and calls it for ever
        if self._inherited:
            delattr(self._kind, self._name)
        else:
            setattr(self._kind, self._name, self._method)


def _note_thread(thread):
    thread._multisite_origin = _origin("started")


def _note_socket(sock):
    try:
        inode = os.fstat(sock.fileno()).st_ino
    except OSError:
        return  # it is closed, and the call itself will say so
    origin = _origin("opened")
    _sockets[inode] = origin if origin.startswith(" of") else "," * bool(origin) + origin


def of_thread(thread):
    """Return where a thread was started, to be appended to its description; "": it is not known."""
    return getattr(thread, "_multisite_origin", "")


def of_socket(fd):
    """Return where a socket was opened, to be appended to its description; "": it is not known."""
    return _sockets.get(os.fstat(fd).st_ino, "") if _sockets else ""


def _origin(verb):
    """Return " VERB in FILE:LINE", or " of LIBRARY, VERB in FILE:LINE" when a library did it for the site's code."""
    frame = sys._getframe()  # the frames of this file are passed over below
    inner = own = None
    while frame is not None and own is None:
        path = frame.f_code.co_filename
        if inner is None and not path.startswith(_MACHINERY):
            inner = frame
        if _is_own(path):
            own = frame
        frame = frame.f_back
    if inner is None:
        return ""
    library = "" if own in (None, inner) else " of %s," % _short(inner.f_code.co_filename)
    place = own or inner
    return "%s %s in %s:%d" % (library, verb, _short(place.f_code.co_filename), place.f_lineno)


def _is_own(path):
    """Return whether a file belongs to the site: not to an installed package, the standard library or this package."""
    return not path.startswith((_HERE, "<")) and not is_installed(path)


def _short(path):
    """Return path relative to the entry of sys.path that it is below."""
    roots = [root for root in sys.path if root and path.startswith(root.rstrip(os.sep) + os.sep)]
    return os.path.relpath(path, max(roots, key=len)) if roots else path
