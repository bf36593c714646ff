"""Accept the front door's connections and serve their requests until SIGTERM."""

import os
import sys
import threading

from . import fastcgi, lifecycle, merge_pages
from .connection import Connection
from .exchange import ClientGone
from .handler import Handler
from .lifecycle import Stop
from .log import log_line
from .streams import FileWrapper, LineStream, Log


def serve(application, config, listener, ready):
    """Serve until SIGTERM; call ready() when requests will be answered from now on."""
    stop = Stop()
    server = Server(application, config, listener, stop)
    stop.listen_to_signals()
    os.register_at_fork(after_in_child=server.forget)
    lifecycle.run_in_batches()
    if "merge" in config.tricks:
        merge_pages.enable()
    ready()
    server.run()


class Server:
    """`threads` threads, each serving one connection at a time."""

    def __init__(self, application, config, listener, stop):
        self._application = application
        self._threads = config.threads
        self._listener = listener  # owned by the server; it is closed at exit only
        self._listener.setblocking(False)  # several threads may wake up for one connection
        self._stop = stop
        self._connections = set()  # open ones, for forget()
        self._free = set()  # threads that wait for a connection, or are about to; see _gives_way
        self._choosing = threading.Lock()  # held by _gives_way, so that two threads do not choose for one connection
        self._in_child = False  # whether the application has forked this process from the worker
        self._base = base_environ(config)  # copied for each request
        self._limits = {  # answers to FCGI_GET_VALUES
            "FCGI_MAX_CONNS": b"%d" % config.threads,
            "FCGI_MAX_REQS": b"%d" % config.threads,
            "FCGI_MPXS_CONNS": b"0",
        }

    def run(self):
        """Serve in this thread and in the others; return when all have stopped."""
        others = [threading.Thread(target=self._accept, name="request-%d" % n)
                  for n in range(2, self._threads + 1)]
        for thread in others:
            thread.start()
        try:
            self._accept()
        finally:
            for thread in others:
                thread.join()

    def forget(self):
        """Close the worker's sockets in a process that the application has forked, and in its children."""
        if self._in_child:
            return
        self._in_child = True
        self._listener.close()
        for connection in self._connections:
            connection.close()

    def _accept(self):
        try:
            self._accept_until_stop()
        finally:
            self._stop.request()  # if one thread fails, stop the worker: it would serve fewer requests than it should

    def _accept_until_stop(self):
        waiting = self._stop.waiter(self._listener)
        me = threading.get_ident()
        while True:
            self._free.add(me)
            if not waiting():
                return
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                continue
            self._free.discard(me)
            connection = Connection(sock, self._listener, self._stop, self._gives_way, self._limits)
            self._connections.add(connection)
            try:
                self._serve(connection)
            except ClientGone:
                pass
            except fastcgi.ProtocolError as error:
                log_line("closing a connection of the front door: malformed FastCGI: %s" % error)
            finally:
                connection.close()
                self._connections.discard(connection)

    def _gives_way(self):
        """Return whether this thread closes its idle connection, for another one that waits or for the stop.

        The front door opens no more connections than there are threads. If it ever did, a request on
        the one too many would otherwise wait for ever.
        """
        with self._choosing:
            if self._free and not self._stop.requested:
                return False
            self._free.add(threading.get_ident())
            return True

    def _serve(self, connection):
        while True:
            exchange = connection.next_request()
            if exchange is None or not self._answer(exchange) or not exchange.keep:
                return

    def _answer(self, exchange):
        environ = self._base.copy()
        fastcgi.decode_params(exchange.params, environ)
        if environ["REQUEST_SCHEME"] == "https" or environ.get("HTTPS") in ("on", "1"):
            environ["wsgi.url_scheme"] = "https"
        try:
            environ["wsgi.input"] = exchange.input()
        except ClientGone:
            exchange.finish()
            return True
        try:
            return Handler(environ, exchange).run(self._application)
        finally:
            if self._in_child:  # the application has forked and the child has returned
                _flush_and_exit()


def _flush_and_exit():
    try:
        sys.stdout.flush()
    finally:  # the application may have assigned any object to sys.stdout
        os._exit(0)


def base_environ(config):
    """Return what all environs have in common; its CGI values are defaults that the front door does not send."""
    return {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": "multisite",
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": config.mount.rstrip("/"),
        "PATH_INFO": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REQUEST_SCHEME": "http",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": LineStream(Log()),
        "wsgi.multithread": config.threads > 1,
        "wsgi.multiprocess": True,  # any site may be scaled, and a worker runs beside its successor
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "wsgi.file_wrapper": FileWrapper,
    }
