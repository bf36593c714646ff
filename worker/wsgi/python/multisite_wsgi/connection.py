"""One connection of the front door: a sequence of FastCGI requests, one at a time.

The front door may send the next request while one runs: it waits here in the
buffer, or in the socket's, and is then served without waiting for anything. Where
that one takes too long the front door takes the next one back, with its token. The
protocol is written down in worker/fastcgi/doc.go.
"""

import io
import os
import select
import socket
import struct

from . import fastcgi
from .fastcgi import HEADER, MAX_CONTENT, ProtocolError

_RECEIVE = 65536
_DESCRIPTOR = struct.Struct("@i")
_AHEAD = "MULTISITE_AHEAD"  # of FCGI_GET_VALUES: whether this worker takes requests ahead
_A_WHILE = struct.pack("@ll", 0, 50_000)  # struct timeval: how long a receive waits; then poll(), which a stop ends
_BATCH = 16 * MAX_CONTENT  # a larger chunk is sent in parts, which bounds the memory for its records


class ClientGone(ConnectionError):
    """The front door closed the connection or aborted the request: nobody waits for the answer."""


class Connection:
    """Reads records from a socket; knows nothing of WSGI."""

    def __init__(self, sock, listener, stop, gives_way, limits):
        """stop tells when the worker shall leave; see lifecycle.Stop.

        gives_way is asked at that time, and when another connection waits at
        listener, whether this one shall end now that it is idle.
        limits are the values for FCGI_GET_VALUES, as {name: decimal text} in bytes.
        """
        self._sock = sock
        self._stop = stop
        self._idle = stop.waiter(sock, listener)
        self._gives_way = gives_way
        self._limits = limits
        self._tokens = None  # descriptor
        self._read = self._read_first
        self._data = b""
        self._pos = 0
        sock.settimeout(None)  # the application may have called socket.setdefaulttimeout
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _A_WHILE)

    def next_request(self):
        """Return the next Exchange, or None when there will be none.

        Records between two requests are leftovers of the last one, such as a body
        that the application did not read: FastCGI 3.3 has them ignored.
        """
        while self._pos < len(self._data) or self._wait():
            whole = fastcgi.bodiless_request(self._data, self._pos)
            if whole is not None:
                request_id, flags, start, end, self._pos = whole
                if flags & fastcgi.AHEAD and self._passes_over(request_id):
                    continue
                return Exchange(self, request_id, flags & fastcgi.KEEP_CONN, self._data[start:end], True)
            kind, request_id, content = self.record()
            if request_id == 0:
                self._manage(kind, content)
            elif kind == fastcgi.BEGIN_REQUEST:
                exchange = self._begin(request_id, content)
                if exchange is not None:
                    return exchange
        return None

    def close(self):
        self._sock.close()
        if self._tokens is not None:
            os.close(self._tokens)
            self._tokens = None

    def _passes_over(self, request_id):
        """Take the token of a request that was sent ahead; true when the front door has taken it back."""
        try:
            os.read(self._tokens, 8)
        except BlockingIOError:
            self.send(fastcgi.end_request(request_id, fastcgi.OVERLOADED))
            return True
        return False

    def record(self):
        """Return (type, request id, content) of the next record."""
        data, pos = self._data, self._pos
        if len(data) - pos < 8:
            data, pos = self._receive(8)
        version, kind, request_id, length, padding = HEADER.unpack_from(data, pos)
        if version != fastcgi.VERSION:
            raise ProtocolError("version %d" % version)
        start = pos + 8
        end = start + length
        if len(data) < end + padding:
            data, pos = self._receive(8 + length + padding)
            start = 8
            end = start + length
        self._pos = end + padding
        return kind, request_id, data[start:end]

    def buffered(self):
        """Return the next record if all of it has arrived, else None."""
        data, pos = self._data, self._pos
        if len(data) - pos < 8:
            return None
        _, _, _, length, padding = HEADER.unpack_from(data, pos)
        return self.record() if len(data) - pos >= 8 + length + padding else None

    def send(self, data):
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise ClientGone("the front door is gone: %s" % error) from None

    def stray(self, kind, request_id, content):
        """Deal with a record that does not belong to the running request."""
        if request_id == 0:
            self._manage(kind, content)
        elif kind == fastcgi.BEGIN_REQUEST:
            self.send(fastcgi.end_request(request_id, fastcgi.CANT_MPX_CONN))

    def has_left(self, request_id):
        """Whether nobody waits for the answer to a request any more. Nothing is taken from the socket."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        arrived = b""
        for _, events in poll.poll(0):
            if events & (select.POLLHUP | select.POLLERR):
                return True
            arrived = self._sock.recv(_RECEIVE, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        return fastcgi.aborts(self._data[self._pos:] + arrived, request_id)

    def _wait(self):
        """Receive between requests; false at the end of the connection or of the worker."""
        data = self._receive_soon()
        while data is None:
            if self._idle():
                data = self._recv()
            elif self._gives_way():
                # What the front door has sent until now is served. From here on it can not send,
                # and knows that what it can not send was not begun.
                self._sock.shutdown(socket.SHUT_RD)
                data = self._recv()
            else:
                data = self._receive_soon()
        self._data, self._pos = data, 0
        return bool(data)

    def _receive_soon(self):
        """Receive what comes within a while, else None: a busy worker needs no poll() for each request.

        A signal does not end this wait, so it is a short one.
        """
        if self._stop.requested:
            return None
        try:
            return self._read(_RECEIVE)
        except BlockingIOError:
            return None
        except OSError as error:
            raise ClientGone("the front door is gone: %s" % error) from None

    def _receive(self, need):
        """Return (data, 0) with at least need bytes from the current position on."""
        parts = [self._data[self._pos:]]
        have = len(parts[0])
        while have < need:
            part = self._recv()
            if not part:
                raise ClientGone("the connection ended within a request")
            parts.append(part)
            have += len(part)
        self._data, self._pos = b"".join(parts), 0
        return self._data, 0

    def _recv(self):
        while True:
            try:
                return self._read(_RECEIVE)
            except BlockingIOError:
                continue  # it took longer than _A_WHILE
            except OSError as error:
                raise ClientGone("the front door is gone: %s" % error) from None

    def _read_first(self, size):
        """Receive as recv() does, and the tokens with the first bytes."""
        data, ancillary, _, _ = self._sock.recvmsg(size, socket.CMSG_SPACE(_DESCRIPTOR.size), socket.MSG_CMSG_CLOEXEC)
        for level, kind, content in ancillary:
            if (level, kind, len(content)) == (socket.SOL_SOCKET, socket.SCM_RIGHTS, _DESCRIPTOR.size):
                self._tokens = _DESCRIPTOR.unpack(content)[0]
        self._read = self._sock.recv
        return data

    def _begin(self, request_id, content):
        """Read the parameters; None when the request ended before they did."""
        if len(content) != 8:
            raise ProtocolError("begin record of %d bytes" % len(content))
        role, flags = fastcgi.BEGIN_BODY.unpack(content)
        if role != fastcgi.RESPONDER:
            self.send(fastcgi.end_request(request_id, fastcgi.UNKNOWN_ROLE))
            return None
        blocks = []
        while True:
            kind, its_id, content = self.record()
            if its_id != request_id:
                self.stray(kind, its_id, content)
            elif kind == fastcgi.PARAMS:
                if not content:
                    break
                blocks.append(content)
            elif kind == fastcgi.ABORT_REQUEST:
                self.send(fastcgi.end_request(request_id))
                return None
            else:
                raise ProtocolError("record of type %d among the parameters" % kind)
        if flags & fastcgi.AHEAD and self._passes_over(request_id):
            return None
        block = blocks[0] if len(blocks) == 1 else b"".join(blocks)
        return Exchange(self, request_id, flags & fastcgi.KEEP_CONN, block)

    def _manage(self, kind, content):
        """Answer a management record (FastCGI 4)."""
        if kind == fastcgi.GET_VALUES:
            asked = {}
            fastcgi.decode_params(content, asked)
            known = {name.encode("latin-1"): self._limits[name] for name in asked if name in self._limits}
            if _AHEAD in asked and self._tokens is not None:
                known[_AHEAD.encode()] = b"1"
            self.send(fastcgi.record(fastcgi.GET_VALUES_RESULT, 0, fastcgi.encode_params(known)))
        else:
            self.send(fastcgi.record(fastcgi.UNKNOWN_TYPE, 0, bytes((kind,)) + bytes(7)))


class Exchange:
    """One request and the way back for its response."""

    __slots__ = ("_connection", "_id", "keep", "params", "_bodiless", "_aborted")

    def __init__(self, connection, request_id, keep, params, bodiless=False):
        self._connection = connection
        self._id = request_id
        self.keep = keep
        self.params = params
        self._bodiless = bodiless
        self._aborted = False

    def input(self):
        """Return wsgi.input: in memory if the whole body is here already, else a stream."""
        if self._bodiless:
            return io.BytesIO()
        arrived = []
        while True:
            record = self._connection.buffered()
            if record is None:
                return io.BufferedReader(_Stdin(self, b"".join(arrived)), _RECEIVE)
            content = self._stdin(record)
            if content is not None:
                arrived.append(content)
                if not content:
                    return io.BytesIO(b"".join(arrived))

    def receive(self):
        """Return the next piece of the body, b"" at its end."""
        if self._aborted:
            raise ClientGone("the request was aborted")
        while True:
            content = self._stdin(self._connection.record())
            if content is not None:
                return content

    def send(self, data):
        """Send a part of the response."""
        if self._aborted:
            return
        for start in range(0, len(data), _BATCH):
            self._connection.send(fastcgi.stdout(self._id, data[start:start + _BATCH]))

    def look(self):
        """Raise ClientGone if nobody waits for the answer, as send() does."""
        if self._connection.has_left(self._id):
            self._aborted = True
            raise ClientGone("the front door waits no more")

    def finish(self, data=b""):
        """Send the last part of the response and end the request."""
        if self._aborted:
            self._connection.send(fastcgi.end_request(self._id))
            return
        if len(data) > MAX_CONTENT:
            self.send(data)
            data = b""
        self._connection.send(fastcgi.last_records(self._id, data))

    def _stdin(self, record):
        """Return the content of a STDIN record of this request, None for any other record."""
        kind, request_id, content = record
        if request_id != self._id:
            self._connection.stray(kind, request_id, content)
            return None
        if kind == fastcgi.STDIN:
            return content
        if kind == fastcgi.ABORT_REQUEST:
            self._aborted = True
            raise ClientGone("the request was aborted")
        raise ProtocolError("record of type %d in the body" % kind)


class _Stdin(io.RawIOBase):
    """The body of a request as it arrives; io.BufferedReader makes wsgi.input of it."""

    def __init__(self, exchange, arrived):
        self._exchange = exchange
        self._rest = memoryview(arrived)
        self._ended = False

    def readable(self):
        return True

    def readinto(self, target):
        if not self._rest and not self._ended:
            self._rest = memoryview(self._exchange.receive())
            self._ended = not self._rest
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
