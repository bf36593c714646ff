"""Status line and header rules of PEP 3333, as one block of CGI response headers."""

import functools
import re

_STATUS = re.compile(r"[2-9]\d\d( [\t\x20-\x7e\x80-\xff]*)?")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, token
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # newlines are counted, tabs are harmless
_HOP_BY_HOP = frozenset((
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization",
    "te", "trailer", "trailers", "transfer-encoding", "upgrade"))


def response_head(status, headers):
    """Return (header block without its empty line, Content-Length or None)."""
    lines = [_status_line(status)]
    length = None
    try:
        for name, value in headers:
            if _is_content_length(name):
                length = _content_length(value)
                if length is None:
                    continue
            lines.append(name + ": " + value)
        block = "\n".join(lines)
        if _CONTROL.search(block) or block.count("\n") != len(lines) - 1:
            raise ValueError("control character in a response header")
        return block.replace("\n", "\r\n").encode("latin-1"), length
    except (AttributeError, TypeError, ValueError):
        _explain(headers)
        raise


@functools.lru_cache(maxsize=64)
def _status_line(status):
    if not isinstance(status, str):
        raise TypeError("status must be a str such as '200 OK', not %s" % type(status).__name__)
    if not _STATUS.fullmatch(status):
        raise ValueError("status must be three digits and a reason such as '200 OK', not %r" % status)
    return "Status: " + status


@functools.lru_cache(maxsize=512)
def _is_content_length(name):
    """Check a header's name; say whether it is Content-Length."""
    if not isinstance(name, str):
        raise TypeError("the name of a response header must be a str, not %r" % (name,))
    if not _NAME.fullmatch(name):
        raise ValueError("%r is not the name of a header" % name)
    if name.lower() == "status":
        raise AssertionError("the status is an argument of start_response(), not the header 'Status'")
    if name.lower() in _HOP_BY_HOP:
        raise AssertionError("hop-by-hop header %r is not the application's to set (PEP 3333)" % name)
    return name.lower() == "content-length"


def _content_length(value):
    """Return the length, or None for text that is no length: such a header is dropped."""
    return int(value) if value.isascii() and value.isdigit() else None


def _explain(headers):
    """Raise the error that names the header; the fast path above only noticed that one is bad."""
    for pair in headers:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise TypeError("a response header must be a (name, value) tuple, not %r" % (pair,)) from None
        name, value = pair
        _is_content_length(name)
        if not isinstance(value, str):
            raise TypeError("the value of response header %s must be a str, not %s"
                            % (name, type(value).__name__)) from None
        if "\n" in value or _CONTROL.search(value):
            raise ValueError("control character in response header %s: %r" % (name, value)) from None
        if max(value, default="") > "\xff":
            raise ValueError("response header %s is not Latin-1: %r" % (name, value)) from None
