"""A small front door: a FastCGI client with which tests can also break the protocol."""

import socket
import struct

HEADER = struct.Struct(">BBHHBx")
BEGIN, ABORT, END, PARAMS, STDIN, STDOUT = 1, 2, 3, 4, 5, 6
GET_VALUES, GET_VALUES_RESULT, UNKNOWN_TYPE = 9, 10, 11


def record(kind, content=b"", request_id=1, padding=0):
    return HEADER.pack(1, kind, request_id, len(content), padding) + content + bytes(padding)


def begin(request_id=1, role=1, keep=1):
    return record(BEGIN, struct.pack(">HB5x", role, keep), request_id)


def pairs(params):
    def size(data):
        return bytes([len(data)]) if len(data) < 128 else struct.pack(">L", len(data) | 1 << 31)

    out = b""
    for name, value in params.items():
        name, value = name.encode("latin-1"), value.encode("latin-1")
        out += size(name) + size(value) + name + value
    return out


def packed(params):
    """The parameters as our own front door sends them: one pair without a name."""
    return pairs({"": "\0".join("%s\0%s" % pair for pair in params.items())})


def environ(method="GET", path="/", query="", **more):
    params = {
        "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query,
        "REQUEST_URI": path + ("?" + query if query else ""), "SERVER_NAME": "site.example",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "site.example", "REQUEST_SCHEME": "http",
    }
    params.update(more)
    return params


def head(params, request_id=1, keep=1):
    """BEGIN and all PARAMS."""
    out = begin(request_id, keep=keep)
    block = pairs(params)
    for start in range(0, len(block), 65535):
        out += record(PARAMS, block[start:start + 65535], request_id)
    return out + record(PARAMS, b"", request_id)


def body(data, request_id=1, piece=65535):
    out = b"".join(record(STDIN, data[i:i + piece], request_id) for i in range(0, len(data), piece))
    return out + record(STDIN, b"", request_id)


class Response:
    def __init__(self, raw):
        top, _, self.body = raw.partition(b"\r\n\r\n")
        lines = top.decode("latin-1").split("\r\n")
        self.headers = [tuple(line.split(": ", 1)) for line in lines[1:]]
        self.status = lines[0][len("Status: "):]
        if not lines[0].startswith("Status: "):
            raise AssertionError("no status line in %r" % raw[:200])

    def __getitem__(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]


class Cut(Exception):
    """The worker closed the connection before the end of the request."""


class Front:
    """One connection."""

    def __init__(self, path, timeout=20):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.sock.settimeout(timeout)
        self._data = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def request(self, method="GET", path="/", data=b"", query="", request_id=1, **more):
        if data:
            more.setdefault("CONTENT_LENGTH", str(len(data)))
        self.send(head(environ(method, path, query, **more), request_id) + body(data, request_id))
        return self.response(request_id)

    def send(self, data):
        self.sock.sendall(data)

    def response(self, request_id=1):
        return Response(b"".join(self.stream(request_id)))

    def stream(self, request_id=1):
        """Yield STDOUT contents until the end of the request."""
        while True:
            kind, its_id, content = self.record()
            assert its_id == request_id, (kind, its_id)
            if kind == END:
                assert struct.unpack(">LB3x", content) == (0, 0), content
                return
            assert kind == STDOUT, kind
            if content:
                yield content

    def record(self):
        _, kind, request_id, length, padding = HEADER.unpack(self._read(8))
        return kind, request_id, self._read(length + padding)[:length]

    def at_end(self):
        """Return whether the worker has closed the connection."""
        try:
            return not self._data and self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def _read(self, size):
        while len(self._data) < size:
            part = self.sock.recv(65536)
            if not part:
                raise Cut
            self._data += part
        out, self._data = self._data[:size], self._data[size:]
        return out
