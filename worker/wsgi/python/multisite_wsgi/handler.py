"""PEP 3333 for one request: start_response, write, and the rules of the iterable."""

from .exchange import ClientGone
from .headers import response_head
from .log import log_error, log_line
from .streams import FileWrapper

_SORRY = b"Internal Server Error\n"
_LEAST = 1 << 18  # bytes: with less, the next request would fail, too
_FAILED = (b"Status: 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\n"
           b"Content-Length: %d\r\n\r\n" % len(_SORRY))
_LARGE_FILE = 65536  # a larger file is not read, but sent by the kernel
_LARGE = 2048  # parts of a body that are larger on average are not joined


class Handler:
    """Runs the application once and sends its response."""

    __slots__ = ("_environ", "_exchange", "_is_head", "_head", "_remaining", "_has_body", "_single", "_sent",
                 "_surplus", "_complete", "_last", "_unbounded")

    def __init__(self, environ, exchange):
        self._environ = environ
        self._exchange = exchange
        self._is_head = environ["REQUEST_METHOD"] == "HEAD"  # middleware may change the environ
        self._head = None  # header block; None before start_response()
        self._remaining = None  # how many body bytes Content-Length still allows; None: it is not known
        self._has_body = True  # false for 204 and 304
        self._single = False  # whether the iterable has one element, so that the first chunk is the body
        self._sent = False  # whether the header block was sent, or is in _last
        self._unbounded = False  # whether each further chunk is sent as it is
        self._surplus = False  # whether there was more body than Content-Length allows
        self._complete = False  # whether the iterable was read to its end
        self._last = ()  # parts of the response that are sent together with the end of the request

    def run(self, application):
        """Serve the request; false when the connection must be closed, so that the front door sees the failure."""
        try:
            result = application(self._environ, self.start_response)
            try:
                self._respond(result)
            finally:
                if hasattr(result, "close"):
                    result.close()
        except BaseException as error:  # also SystemExit: only this request fails
            return self._failed(error)
        # Not before close(), since the end of the request tells the front door that the worker is free.
        self._exchange.finish(*self._last)
        return True

    def start_response(self, status, headers, exc_info=None):
        if exc_info:
            try:
                if self._sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # no reference cycle through the traceback
        elif self._head is not None:
            raise AssertionError("start_response() was called again without exc_info")
        self._head, self._remaining, self._has_body = response_head(status, headers)
        return self.write

    def write(self, data):
        self._write(data)
        if self._surplus:
            raise AssertionError("write() past the Content-Length of the response")

    def _write(self, data):
        if not isinstance(data, bytes):
            raise TypeError("a response body is made of bytes, not %s" % type(data).__name__)
        if self._head is None:
            raise AssertionError("body sent before start_response() was called")
        parts = ()
        if data:
            size = len(data)
            parts = self._allowed((data,), size) if self._sent else self._with_head((data,), size, self._single)
        if self._remaining == 0:
            # The body is complete. It is sent with the end of the request, after close(): one send
            # instead of two, and the front door gets the whole response in one read.
            self._last += parts
        elif parts:
            self._exchange.send(*parts)
        else:
            self._exchange.check_client()  # nothing is sent here, and so no error would show that the client has gone

    def _respond(self, result):
        if type(result) is bytes:
            result = (result,)  # iterating over bytes yields numbers
        if type(result) in (list, tuple):
            parts, size = _whole_body(result)
            self._last += self._allowed(parts, size) if self._sent else self._with_head(parts, size, True)
        elif result is None:
            raise TypeError("the application returned None, not an iterable of bytes")
        elif type(result) is not FileWrapper or not self._send_file(result):
            self._stream(result)
        if self._surplus:
            self._log("response body is longer than its Content-Length: the rest is not sent")
        if self._remaining and not self._is_mute():
            self._log("response body is %d bytes shorter than its Content-Length" % self._remaining)
        self._complete = True

    def _stream(self, result):
        """Send each chunk before the application computes the next one."""
        self._single = hasattr(result, "__len__") and len(result) == 1
        send = self._exchange.send
        for chunk in result:
            if self._unbounded and type(chunk) is bytes and chunk:  # the usual case, after the first chunk
                send(chunk)
                continue
            self._write(chunk)
            if self._remaining == 0 or self._sent and self._is_mute():
                break  # the client cannot receive any more
            self._unbounded = self._sent and self._remaining is None
        if not self._sent:
            self._last = self._with_head((), 0, False)

    def _send_file(self, wrapper):
        """Send a large file without reading it; return False if that is not possible."""
        if self._head is None or self._sent or self._is_mute() or self._remaining is not None and self._remaining < 8192:
            return False
        rest = wrapper.rest()
        if rest is None:
            return False
        fd, position, size = rest
        if size <= _LARGE_FILE:
            wrapper.block_size = _LARGE_FILE
            return False
        if self._remaining is not None:
            size = min(size, self._remaining)
        self._sent = True
        self._exchange.send(self._head)
        self._exchange.send_file(fd, position, size)  # if that fails, the answer is cut
        if self._remaining is not None:
            self._remaining -= size
        return True

    def _with_head(self, parts, size, is_whole):
        """Return the header block and what is allowed of parts; is_whole says that they are the whole body."""
        if self._head is None:
            raise AssertionError("the application ended without calling start_response()")
        self._sent = True
        if self._remaining == size and self._has_body and not self._is_head:  # the usual case
            self._remaining = 0
            return (self._head, *parts)
        if is_whole and self._remaining is None and self._has_body:
            if size or not self._is_head:  # for HEAD the application may leave out the body that GET has
                self._remaining = size
                self._head = b"%bContent-Length: %d\r\n\r\n" % (self._head[:-2], size)
        return (self._head, *self._allowed(parts, size))

    def _allowed(self, parts, size):
        """Return as much of parts as the method, the status and Content-Length allow."""
        if self._remaining is not None:
            if size > self._remaining:
                self._surplus = not self._is_mute()
                size = self._remaining
                parts = (b"".join(parts)[:size],)
            self._remaining -= size
        return () if self._is_mute() else tuple(parts)

    def _is_mute(self):
        """Return whether the method or the status allows no body."""
        return self._is_head or not self._has_body

    def _failed(self, error):
        """Log an uncaught exception and send a 500; false when the response has already begun."""
        if isinstance(error, ClientGone):
            self._exchange.finish()
            return True
        log_error("uncaught exception in " + self._request_line(), error)
        if self._complete or self._sent and self._remaining == 0:  # close() raised, or write() past the end
            self._exchange.finish(*self._last)
            return True
        if self._sent:
            return False
        self._exchange.finish(_FAILED if self._is_head else _FAILED + _SORRY)
        if isinstance(error, MemoryError):
            bytes(_LEAST)  # if not even that is left, this ends the worker, and another one takes its place
        return True

    def _log(self, text):
        log_line("%s: %s" % (self._request_line(), text))

    def _request_line(self):
        get = self._environ.get
        url = get("REQUEST_URI")
        if not url:
            url = "%s%s" % (get("SCRIPT_NAME", ""), get("PATH_INFO", ""))
            url += "?%s" % get("QUERY_STRING") if get("QUERY_STRING") else ""
        return ascii("%s %s" % (get("REQUEST_METHOD"), url))[1:-1]  # one line, whatever the client sent


def _whole_body(result):
    """Return (parts, size) of a list or tuple. Large parts are not copied, and small ones joined."""
    if len(result) == 1 and type(result[0]) is bytes:
        return result, len(result[0])
    try:
        size = sum(map(len, result))
    except TypeError:
        size = 0  # join() says what is wrong
    if size > _LARGE * len(result) and set(map(type, result)) == {bytes}:
        return result, size
    body = b"".join(result)
    return (body,), len(body)
