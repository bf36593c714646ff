"""One connection of the front door: a sequence of FastCGI requests, one at a time.

The front door may send further requests, the followers, while one runs. They stay
in this buffer or in that of the socket, and are served without a wait. If the
running request takes too long, the front door recalls the followers by taking
their tokens. The protocol is documented in worker/fastcgi/doc.go.
"""

import os
import select
import socket
import struct

from . import fastcgi
from .exchange import ClientGone, Exchange
from .fastcgi import HEADER, ProtocolError

_BUFFER = 147456  # a record of any size, or a request with a body of 128 KB; memory is used as far as it is filled
_IOV_MAX = 1024  # buffers of one sendmsg()
_DESCRIPTOR = struct.Struct("@i")
_FOLLOWERS = "MULTISITE_AHEAD"  # variable of FCGI_GET_VALUES: whether this worker accepts followers
_SHORT_WAIT = struct.pack("@ll", 0, 50_000)  # struct timeval: limit of a receive; poll() follows, which a stop ends


class Connection:
    """Reads records from a socket. It knows nothing about WSGI."""

    def __init__(self, sock, listener, stop, gives_way, limits):
        """stop is the lifecycle.Stop of the worker.

        gives_way is called at the stop, and when another connection waits at listener;
        it returns whether this connection, which is idle, should end.
        limits are the values for FCGI_GET_VALUES, as {name: decimal text} in bytes.
        """
        self._sock = sock  # owned by this object; close() closes it
        self._stop = stop
        self._idle = stop.waiter(sock, listener)  # waits for a request, the stop, or another connection
        self._gives_way = gives_way
        self._limits = limits
        self._tokens = None  # descriptor of the eventfd with the tokens of followers; None: the front door sent none
        self._read = self._read_first  # then sock.recv_into
        self._data = memoryview(bytearray(_BUFFER))
        self._pos = 0  # of the first received byte in _data that is not processed yet
        self._end = 0  # of the received bytes
        self.unread = 0  # content bytes of the current record that were not processed yet
        self._padding = 0  # what follows them
        sock.settimeout(None)  # the application may have called socket.setdefaulttimeout
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _SHORT_WAIT)

    def next_request(self):
        """Return the next Exchange, or None when there will be none.

        Records between two requests belong to the last one, such as a body that the
        application did not read, and are ignored (FastCGI 3.3).
        """
        if self.unread:
            self.content()  # the application has not read all of the last body
        while self._pos < self._end or self._wait():
            whole = fastcgi.usual_request(self._data, self._pos, self._end)
            if whole is not None:
                request_id, flags, start, end, is_bodiless, self._pos = whole
                if flags & fastcgi.FOLLOWER and self._was_recalled(request_id):
                    continue
                return Exchange(self, request_id, flags & fastcgi.KEEP_CONN, self._data[start:end], is_bodiless)
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

    def _was_recalled(self, request_id):
        """Take the token of a follower; without one, skip the request and return True."""
        try:
            os.read(self._tokens, 8)
        except BlockingIOError:
            self.send(fastcgi.end_request(request_id, fastcgi.OVERLOADED))
            return True
        return False

    def record(self):
        """Return (type, request id, content) of the next record."""
        kind, request_id, _ = self.header()
        return kind, request_id, bytes(self.content())

    def header(self):
        """Return (type, request id, size) of the next record, whose content is to be read then."""
        if self._end - self._pos < 8:
            self._receive(8)
        version, kind, request_id, self.unread, self._padding = HEADER.unpack_from(self._data, self._pos)
        if version != fastcgi.VERSION:
            raise ProtocolError("version %d" % version)
        self._pos += 8
        return kind, request_id, self.unread

    def has_record(self):
        """Return whether all of the next record has arrived."""
        arrived = self._end - self._pos
        if arrived < 8:
            return False
        _, _, _, size, padding = HEADER.unpack_from(self._data, self._pos)
        return arrived >= 8 + size + padding

    def content(self):
        """Return what is unread of the current record. It is valid until something is received."""
        if self._end - self._pos < self.unread + self._padding:
            self._receive(self.unread + self._padding)
        start, end = self._pos, self._pos + self.unread
        self._pos = end + self._padding
        self.unread = 0
        return self._data[start:end]

    def content_into(self, target):
        """Copy or receive a part of what is unread of the current record into target; return its size."""
        size = min(len(target), self.unread, self._end - self._pos)
        if size:
            target[:size] = self._data[self._pos:self._pos + size]
            self._pos += size
        else:
            size = self._receive_more(target[:self.unread])
        self.unread -= size
        if not self.unread:
            self.content()  # the padding
        return size

    def send(self, data):
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise ClientGone("the front door has closed the connection: %s" % error) from None

    def send_buffers(self, buffers):
        """Send a list of buffers without joining them."""
        try:
            for start in range(0, len(buffers), _IOV_MAX):
                some = buffers[start:start + _IOV_MAX]
                left = sum(map(len, some)) - self._sock.sendmsg(some)
                if left:  # a signal has interrupted the call
                    self._sock.sendall(b"".join(some)[-left:])
        except OSError as error:
            raise ClientGone("the front door has closed the connection: %s" % error) from None

    def send_file(self, fd, position, size):
        """Send a part of a file by sendfile(), which copies nothing into this process."""
        while size:
            try:
                sent = os.sendfile(self._sock.fileno(), fd, position, size)
            except ConnectionError as error:
                raise ClientGone("the front door has closed the connection: %s" % error) from None
            if not sent:
                raise EOFError("the file became shorter while it was sent")
            position += sent
            size -= sent

    def other_record(self, kind, request_id, content):
        """Process a record that does not belong to the running request."""
        if request_id == 0:
            self._manage(kind, content)
        elif kind == fastcgi.BEGIN_REQUEST:
            self.send(fastcgi.end_request(request_id, fastcgi.CANT_MPX_CONN))

    def has_gone(self, request_id):
        """Return whether nobody waits for the response to a request any more. Nothing is read from the socket."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        arrived = b""
        for _, events in poll.poll(0):
            if events & (select.POLLHUP | select.POLLERR):
                return True
            arrived = self._sock.recv(_BUFFER, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        unread = self.unread + self._padding if self.unread else 0
        return fastcgi.aborts(bytes(self._data[self._pos:self._end]) + arrived, unread, request_id)

    def _wait(self):
        """Receive the next request; return False at the end of the connection or at the stop."""
        self._pos = self._end = 0
        size = self._receive_soon()
        while size is None:
            if self._idle():
                size = self._receive_some(self._data)
            elif self._gives_way():
                # What the front door has sent until now is served. From now on it cannot send,
                # and so knows that the worker has not begun what it could not send.
                self._sock.shutdown(socket.SHUT_RD)
                size = self._receive_some(self._data)
            else:
                size = self._receive_soon()
        self._end = size
        return size > 0

    def _receive_soon(self):
        """Receive within a short time, else return None: so a busy worker needs no poll() for each request.

        The time is short because a signal does not end this wait.
        """
        if self._stop.requested:
            return None
        try:
            return self._read(self._data)
        except BlockingIOError:
            return None
        except OSError as error:
            raise ClientGone("the front door has closed the connection: %s" % error) from None

    def _receive(self, need):
        """Receive until at least need bytes from the current position on are in _data."""
        data, arrived = self._data, self._end - self._pos
        data[:arrived] = data[self._pos:self._end]
        self._pos, self._end = 0, arrived
        while self._end < need:
            self._end += self._receive_more(data[self._end:])

    def _receive_more(self, target):
        size = self._receive_some(target)
        if not size:
            raise ClientGone("the connection ended within a request")
        return size

    def _receive_some(self, target):
        while True:
            try:
                return self._read(target)
            except BlockingIOError:
                continue  # it took longer than _SHORT_WAIT
            except OSError as error:
                raise ClientGone("the front door has closed the connection: %s" % error) from None

    def _read_first(self, target):
        """Receive the first bytes as recv_into() does, and with them the descriptor of the tokens."""
        size, ancillary, _, _ = self._sock.recvmsg_into(
            [target], socket.CMSG_SPACE(_DESCRIPTOR.size), socket.MSG_CMSG_CLOEXEC)
        for level, kind, content in ancillary:
            if (level, kind, len(content)) == (socket.SOL_SOCKET, socket.SCM_RIGHTS, _DESCRIPTOR.size):
                self._tokens = _DESCRIPTOR.unpack(content)[0]
        self._read = self._sock.recv_into
        return size

    def _begin(self, request_id, content):
        """Read the parameters; return the Exchange, or None if the request is not to be run."""
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
                self.other_record(kind, its_id, content)
            elif kind == fastcgi.PARAMS:
                if not content:
                    break
                blocks.append(content)
            elif kind == fastcgi.ABORT_REQUEST:
                self.send(fastcgi.end_request(request_id))
                return None
            else:
                raise ProtocolError("record of type %d among the parameters" % kind)
        if flags & fastcgi.FOLLOWER and self._was_recalled(request_id):
            return None
        block = blocks[0] if len(blocks) == 1 else b"".join(blocks)
        return Exchange(self, request_id, flags & fastcgi.KEEP_CONN, block)

    def _manage(self, kind, content):
        """Answer a management record (FastCGI 4)."""
        if kind == fastcgi.GET_VALUES:
            asked = {}
            fastcgi.decode_params(content, asked)
            known = {name.encode("latin-1"): self._limits[name] for name in asked if name in self._limits}
            if _FOLLOWERS in asked and self._tokens is not None:
                known[_FOLLOWERS.encode()] = b"1"
            self.send(fastcgi.record(fastcgi.GET_VALUES_RESULT, 0, fastcgi.encode_params(known)))
        else:
            self.send(fastcgi.record(fastcgi.UNKNOWN_TYPE, 0, bytes((kind,)) + bytes(7)))
