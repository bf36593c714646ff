"""FastCGI 1.0 records (specification sections 3.3, 3.4, 8)."""

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
FOLLOWER = 0x80  # of multisite's front door: the worker must take a token before it begins this request

REQUEST_COMPLETE = 0
CANT_MPX_CONN = 1
OVERLOADED = 2  # the request was skipped, since the front door has recalled it
UNKNOWN_ROLE = 3

HEADER = struct.Struct(">BBHHBx")  # version, type, request id, content length, padding length
BEGIN_BODY = struct.Struct(">HB5x")  # role, flags
END_BODY = struct.Struct(">LB3x")  # application status, protocol status
_LONG = struct.Struct(">L")

# Several records in one structure: _REQUEST is BEGIN and the header of PARAMS, _BODILESS the end of
# PARAMS and of STDIN, _LAST padding, the end of STDOUT and END_REQUEST. No number has more than 30 bits,
# as Python is slower with larger ones.
_REQUEST = struct.Struct(">HHLHB5xHHHBx")
_BODILESS = struct.Struct(">HHLHHL")
_LAST = [struct.Struct(">%dxHHLHHL8x" % n) for n in range(8)]
_BEGIN, _END_REQUEST, _PARAMS, _STDIN, _STDOUT = (
    VERSION << 8 | kind for kind in (BEGIN_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT))
_EIGHT_BYTES = 8 << 16  # content length, no padding
_ONE_PAIR = struct.Struct(">BHH")  # header of a pair without a name: length 0, then a length of four bytes

MAX_CONTENT = 65528  # the largest multiple of 8 that fits, so that full records need no padding
_PADDING = [bytes(n) for n in range(8)]


class ProtocolError(Exception):
    """The peer violates the FastCGI specification."""


def record(kind, request_id, content):
    """Return one record, padded to a multiple of 8 bytes."""
    padding = -len(content) & 7
    header = HEADER.pack(VERSION, kind, request_id, len(content), padding)
    return b"".join((header, content, _PADDING[padding]))


def stdout(request_id, parts, size):
    """Return parts, bytes of size in all, as STDOUT records: a list of buffers for sendmsg()."""
    buffers = []
    room, left = 0, size  # what the current record takes, and what comes after it
    for part in parts:
        start, end = 0, len(part)
        while start < end:
            if not room:
                room = min(left, MAX_CONTENT)
                left -= room
                buffers.append(HEADER.pack(VERSION, STDOUT, request_id, room, -room & 7))
            stop = min(start + room, end)
            buffers.append(part if stop - start == len(part) else memoryview(part)[start:stop])
            room -= stop - start
            start = stop
    if size & 7:
        buffers.append(_PADDING[-size & 7])  # only the last record is not full
    return buffers


def small_stdout(request_id, parts, size):
    """Return parts, at most MAX_CONTENT bytes, as one record."""
    padding = -size & 7
    return b"".join((HEADER.pack(VERSION, STDOUT, request_id, size, padding), *parts, _PADDING[padding]))


def stdout_header(request_id, size):
    """Return the header of a record of STDOUT without padding."""
    return HEADER.pack(VERSION, STDOUT, request_id, size, 0)


def end_request(request_id, status=REQUEST_COMPLETE):
    return record(END_REQUEST, request_id, END_BODY.pack(0, status))


def small_answer(request_id, parts, size):
    """Return parts, the last data of STDOUT, at most MAX_CONTENT bytes, with the end of STDOUT and of the request."""
    padding = -size & 7
    header = HEADER.pack(VERSION, STDOUT, request_id, size, padding) if size else b""
    return b"".join((header, *parts, _LAST[padding].pack(_STDOUT, request_id, 0, _END_REQUEST, request_id, _EIGHT_BYTES)))


def last_records(request_id):
    """Return the end of STDOUT and of the request."""
    return _LAST[0].pack(_STDOUT, request_id, 0, _END_REQUEST, request_id, _EIGHT_BYTES)


def usual_request(data, pos, size):
    """Return (request id, flags, start and end of its parameters, whether it ends there, end), or None.

    None means that data, of which size bytes are valid, does not hold BEGIN, one record
    of parameters and what ends them. Nearly every request begins like that, and most have
    no body. Parsing that at once costs a fifth of parsing five records.
    """
    start = pos + _REQUEST.size
    if size < start:
        return None
    begin, request_id, content, role, flags, params, its_id, length, padding = _REQUEST.unpack_from(data, pos)
    if begin != _BEGIN or not request_id or content != _EIGHT_BYTES or role != RESPONDER:
        return None
    end = start + length
    after = end + padding + HEADER.size
    if params != _PARAMS or its_id != request_id or not length or size < after + HEADER.size:
        return None
    last_params, its_id, nothing, stdin, stdin_id, content = _BODILESS.unpack_from(data, end + padding)
    if last_params != _PARAMS or its_id != request_id or nothing:
        return None
    if stdin == _STDIN and stdin_id == request_id and not content:
        return request_id, flags, start, end, True, after + HEADER.size
    return request_id, flags, start, end, False, after

def aborts(data, pos, request_id):
    """Return whether the records in data from pos on, of which the last may be incomplete, abort a request."""
    while len(data) - pos >= HEADER.size:
        _, kind, its_id, length, padding = HEADER.unpack_from(data, pos)
        if kind == ABORT_REQUEST and its_id == request_id:
            return True
        pos += HEADER.size + length + padding
    return False


def decode_params(block, params):
    """Add the name-value pairs of block to the dict params, as Latin-1 text (PEP 3333).

    The front door of multisite sends one pair, with an empty name and a length of
    four bytes. Its value is NAME NUL VALUE NUL NAME NUL VALUE ...: decoding it takes one
    split() instead of a loop, which took half of the worker's time for a request.
    If a value contains a NUL, the front door sends ordinary pairs.
    """
    if block[:1] != b"\0":
        _decode_pairs(block, params)
        return
    size = len(block) - _ONE_PAIR.size
    if size < 0 or _ONE_PAIR.unpack_from(block) != (0, size >> 16 | 0x8000, size & 0xFFFF):
        raise ProtocolError("parameters that are not one pair")
    texts = str(block[_ONE_PAIR.size:], "latin-1").split("\0")
    if len(texts) % 2:
        raise ProtocolError("a parameter without a value")
    text = iter(texts)
    params.update(zip(text, text))


def _decode_pairs(block, params):
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
