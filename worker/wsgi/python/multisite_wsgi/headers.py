"""Check status and headers by the rules of PEP 3333, and make one block of CGI response headers of them."""

import re

from .log import log_line

_STATUS = re.compile(r"[2-9]\d\d( [\t\x20-\x7e\x80-\xff]*)?")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, token
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HOP_BY_HOP = frozenset((
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
    "te", "trailer", "trailers", "transfer-encoding", "upgrade"))


def response_head(status, headers):
    """Return (header block with its empty line, Content-Length or None, whether a body is allowed)."""
    line, has_body = _status_line(status) if type(status) is not str else _STATUS_LINES[status]
    lines = [line]
    length = None
    for pair in headers:
        try:
            line, content_length = _HEADER_LINES[pair]
        except TypeError:  # the pair is not hashable, so no valid tuple
            line, content_length = _header_line(pair)  # raises an error that names the rule
        lines.append(line)
        if content_length is not None:
            length = content_length
    lines.append(b"\r\n")
    return b"".join(lines), length, has_body


class _Lines(dict):
    """A cache of lines that were checked: a site repeats most of them in each response.

    It is emptied when it is full, so lines that are never repeated cost little memory.
    """

    def __init__(self, make):
        super().__init__()
        self._make = make

    def __missing__(self, key):
        made = self._make(key)
        if len(made[0]) <= 80:
            if len(self) >= 128:
                self.clear()
            self[key] = made
        return made


def _status_line(status):
    """Check a status; return (its line, whether the response may have a body)."""
    if not isinstance(status, str):
        raise TypeError("status must be a str such as '200 OK', not %s" % type(status).__name__)
    if not _STATUS.fullmatch(status):
        raise ValueError("status must be three digits and a reason such as '200 OK', not %r" % status)
    return b"Status: %b\r\n" % status.encode("latin-1"), status[:3] not in ("204", "304")


def _header_line(pair):
    """Check a header; return (its line, the length if it is a Content-Length, else None)."""
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise TypeError("a response header must be a (name, value) tuple, not %r" % (pair,))
    name, value = pair
    _check_name(name)
    if not isinstance(value, str):
        raise TypeError("the value of response header %s must be a str, not %s" % (name, type(value).__name__))
    if _CONTROL.search(value):
        raise ValueError("control character in response header %s: %r" % (name, value))
    if max(value, default="") > "\xff":
        raise ValueError("response header %s is not Latin-1: %r" % (name, value))
    if name.lower() in _HOP_BY_HOP:
        _warn_of(name)
        return b"", None
    line = b"%b: %b\r\n" % (name.encode("latin-1"), value.encode("latin-1"))
    if name.lower() != "content-length":
        return line, None
    if value.isascii() and value.isdigit():
        return line, int(value)
    return b"", None  # a Content-Length that is no number is dropped


def _check_name(name):
    if not isinstance(name, str):
        raise TypeError("the name of a response header must be a str, not %r" % (name,))
    if not _NAME.fullmatch(name):
        raise ValueError("%r is not the name of a header" % name)
    if name.lower() == "status":
        raise AssertionError("the status is an argument of start_response(), not the header 'Status'")


def _warn_of(name):
    """Log once that a header is dropped."""
    if name.lower() not in _dropped:
        _dropped.add(name.lower())
        log_line("response header %s is dropped: applications must not set headers of the connection (PEP 3333)" % name)


_dropped = set()
_STATUS_LINES = _Lines(_status_line)
_HEADER_LINES = _Lines(_header_line)
