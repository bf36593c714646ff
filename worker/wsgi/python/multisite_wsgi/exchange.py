"""One FastCGI request, and the way back for its response."""

import io

from . import fastcgi
from .fastcgi import ProtocolError

_BUFFER = 16384  # bytes that wsgi.input reads ahead; larger parts are received where read() wants them
_JOINED = 32768  # what is smaller is copied into one buffer, which costs less than sendmsg() with several


class ClientGone(ConnectionError):
    """The front door has closed the connection or aborted the request: nobody waits for the response."""


class Exchange:
    """One request of a connection.Connection, which must not be used for another one before finish()."""

    __slots__ = ("_connection", "_id", "keep", "params", "_ended", "_aborted")

    def __init__(self, connection, request_id, keep, params, ended=False):
        self._connection = connection
        self._id = request_id
        self.keep = keep  # whether the connection stays open after this request
        self.params = params  # block of encoded parameters, valid until the body is read
        self._ended = ended  # whether the end of the body was read
        self._aborted = False  # whether the front door waits no more

    def input(self):
        """Return wsgi.input: in memory if the whole body has arrived already, else a stream."""
        if self._ended:
            return io.BytesIO()
        arrived = []
        while self._connection.has_record():
            size = self._stdin()
            if size:
                arrived.append(self._connection.content())
            elif self._ended:
                return io.BytesIO(b"".join(arrived))
        return io.BufferedReader(_Body(self, b"".join(arrived)), _BUFFER)

    def receive_into(self, target):
        """Receive a part of the body into target; return its size, 0 at the end of the body."""
        return self._connection.content_into(target) if self._more() else 0

    def receive_all(self, out):
        """Write what the body still has to the file out."""
        while self._more():
            out.write(self._connection.content())

    def send(self, *parts):
        """Send parts of the response, which are bytes and not all empty."""
        if self._aborted:
            return
        size = sum(map(len, parts))
        if size <= _JOINED:
            self._connection.send(fastcgi.small_stdout(self._id, parts, size))
        else:
            self._connection.send_buffers(fastcgi.stdout(self._id, parts, size))

    def send_file(self, fd, position, size):
        """Send a part of a file, whose size must not become less meanwhile."""
        if self._aborted:
            return
        end = position + size
        while position < end:
            length = min(end - position, fastcgi.MAX_CONTENT)
            self._connection.send(fastcgi.stdout_header(self._id, length))
            self._connection.send_file(fd, position, length)
            position += length

    def check_client(self):
        """Raise ClientGone if nobody waits for the response any more, as send() does."""
        if self._connection.has_gone(self._id):
            self._aborted = True
            raise ClientGone("the front door does not wait for the response any more")

    def finish(self, *parts):
        """Send the last parts of the response and end the request."""
        if self._aborted:
            self._connection.send(fastcgi.end_request(self._id))
            return
        size = 0
        for part in parts:  # mostly two, for which this is faster than sum()
            size += len(part)
        if size <= _JOINED:
            self._connection.send(fastcgi.small_answer(self._id, parts, size))
        else:
            buffers = fastcgi.stdout(self._id, parts, size)
            buffers.append(fastcgi.last_records(self._id))
            self._connection.send_buffers(buffers)

    def _more(self):
        """Wait until content of the body can be read; return False at its end."""
        if self._aborted:
            raise ClientGone("the request was aborted")
        while not self._connection.unread and not self._ended:
            self._stdin()
        return not self._ended

    def _stdin(self):
        """Read the header of the next record; return the size of its content, 0 if that is not for the body."""
        kind, request_id, size = self._connection.header()
        if kind == fastcgi.STDIN and request_id == self._id:
            self._ended = not size
            return size
        content = bytes(self._connection.content())
        if request_id != self._id:
            self._connection.other_record(kind, request_id, content)
        elif kind == fastcgi.ABORT_REQUEST:
            self._aborted = True
            raise ClientGone("the request was aborted")
        else:
            raise ProtocolError("record of type %d in the body" % kind)
        return 0


class _Body(io.RawIOBase):
    """The body of a request as it arrives; io.BufferedReader turns it into wsgi.input."""

    def __init__(self, exchange, arrived):
        self._exchange = exchange
        self._arrived = memoryview(arrived)

    def readable(self):
        return True

    def readinto(self, target):
        if not self._arrived:
            return self._exchange.receive_into(target)
        size = min(len(target), len(self._arrived))
        target[:size] = self._arrived[:size]
        self._arrived = self._arrived[size:]
        return size

    def readall(self):
        whole = io.BytesIO()
        whole.write(self._arrived)
        self._arrived = memoryview(b"")
        self._exchange.receive_all(whole)
        return whole.getvalue()  # without a copy
