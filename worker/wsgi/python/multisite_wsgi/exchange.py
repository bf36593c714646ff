"""One FastCGI request, and the way back for its response."""

import io

from . import fastcgi
from .fastcgi import MAX_CONTENT, ProtocolError

_BUFFER = 65536  # bytes that wsgi.input reads ahead
_BATCH = 16 * MAX_CONTENT  # a larger chunk is sent in parts, which limits the memory for its records


class ClientGone(ConnectionError):
    """The front door has closed the connection or aborted the request: nobody waits for the response."""


class Exchange:
    """One request of a connection.Connection, which must not be used for another one before finish()."""

    __slots__ = ("_connection", "_id", "keep", "params", "_bodiless", "_aborted")

    def __init__(self, connection, request_id, keep, params, bodiless=False):
        self._connection = connection
        self._id = request_id
        self.keep = keep  # whether the connection stays open after this request
        self.params = params  # block of encoded parameters
        self._bodiless = bodiless  # whether the end of the body was read already
        self._aborted = False  # whether the front door waits no more

    def input(self):
        """Return wsgi.input: in memory if the whole body has arrived already, else a stream."""
        if self._bodiless:
            return io.BytesIO()
        arrived = []
        while True:
            record = self._connection.buffered()
            if record is None:
                return io.BufferedReader(_Body(self, b"".join(arrived)), _BUFFER)
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

    def check_client(self):
        """Raise ClientGone if nobody waits for the response any more, as send() does."""
        if self._connection.has_gone(self._id):
            self._aborted = True
            raise ClientGone("the front door does not wait for the response any more")

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
            self._connection.other_record(kind, request_id, content)
            return None
        if kind == fastcgi.STDIN:
            return content
        if kind == fastcgi.ABORT_REQUEST:
            self._aborted = True
            raise ClientGone("the request was aborted")
        raise ProtocolError("record of type %d in the body" % kind)


class _Body(io.RawIOBase):
    """The body of a request as it arrives; io.BufferedReader turns it into wsgi.input."""

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
