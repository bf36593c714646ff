"""FastCGI 1.0 records (specification sections 3.3, 3.4, 8)."""

import functools
import struct

VERSION = 1

BEGIN_REQUEST = 1
ABORT_REQUEST = 2
END_REQUEST = 3
PARAMS = 4
STDIN = 5
STDOUT = 6
GET_VALUES = 9
GET_VALUES_RESULT = 10
UNKNOWN_TYPE = 11

RESPONDER = 1
KEEP_CONN = 1

REQUEST_COMPLETE = 0
CANT_MPX_CONN = 1
UNKNOWN_ROLE = 3

HEADER = struct.Struct(">BBHHBx")  # version, type, request id, content length, padding length
BEGIN_BODY = struct.Struct(">HB5x")  # role, flags
END_BODY = struct.Struct(">LB3x")  # application status, protocol status
_LONG = struct.Struct(">L")

MAX_CONTENT = 65528  # the largest multiple of 8 that fits: full records need no padding
_PADDING = [bytes(n) for n in range(8)]


class ProtocolError(Exception):
    """The other side does not speak FastCGI as the specification has it."""


def record(kind, request_id, content):
    """Return one record, padded to a multiple of 8 bytes."""
    padding = -len(content) & 7
    header = HEADER.pack(VERSION, kind, request_id, len(content), padding)
    return b"".join((header, content, _PADDING[padding]))


def stdout(request_id, data):
    """Return data as STDOUT records; no record at all for no data, which would end the stream."""
    if len(data) <= MAX_CONTENT:
        return record(STDOUT, request_id, data) if data else b""
    view = memoryview(data)
    return b"".join(record(STDOUT, request_id, view[start:start + MAX_CONTENT])
                    for start in range(0, len(data), MAX_CONTENT))


def end_request(request_id, status=REQUEST_COMPLETE):
    return record(END_REQUEST, request_id, END_BODY.pack(0, status))


@functools.lru_cache(maxsize=8)  # the front door uses few ids
def end_of_response(request_id):
    """Return the end of STDOUT and of the request."""
    return record(STDOUT, request_id, b"") + end_request(request_id)


def decode_params(block, params):
    """Add the name-value pairs of block to the dict params, as Latin-1 text (PEP 3333)."""
    text = str(block, "latin-1")
    pos, end = 0, len(block)
    try:
        while pos < end:
            name = block[pos]
            value = block[pos + 1]
            if name < 128 and value < 128:
                pos += 2
            else:
                name, pos = _length(block, pos)
                value, pos = _length(block, pos)
            name += pos
            value += name
            params[text[pos:name]] = text[name:value]
            pos = value
    except (IndexError, struct.error):
        raise ProtocolError("a name-value pair is cut short") from None
    if pos != end:
        raise ProtocolError("a name-value pair is cut short")


def encode_params(params):
    """Return the name-value pairs of a dict of bytes."""
    return b"".join(_size(name) + _size(value) + name + value for name, value in params.items())


def _length(block, pos):
    if block[pos] < 128:
        return block[pos], pos + 1
    return _LONG.unpack_from(block, pos)[0] & 0x7FFFFFFF, pos + 4


def _size(data):
    return bytes((len(data),)) if len(data) < 128 else _LONG.pack(len(data) | 0x80000000)
