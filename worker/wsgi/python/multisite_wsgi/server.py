"""Accept the front door's connections and serve their requests until told to leave."""

import os
import sys
import threading

from . import fastcgi, lifecycle
from .connection import ClientGone, Connection
from .handler import Handler
from .lifecycle import Stop
from .report import log_line
from .streams import FileWrapper, LineStream, Log


def serve(application, config, listener, ready):
    """Serve until SIGTERM; call ready() once requests are really answered from now on."""
    stop = Stop()
    server = Server(application, config, listener, stop)
    stop.listen_to_signals()
    os.register_at_fork(after_in_child=server.forget)
    lifecycle.run_in_batches()
    ready()
    server.run()


class Server:
    """`threads` threads, each serving one connection at a time."""

    def __init__(self, application, config, listener, stop):
        self._application = application
        self._threads = config.threads
        self._listener = listener
        self._listener.setblocking(False)  # several threads may wake up for one connection
        self._stop = stop
        self._connections = set()
        self._free = set()  # threads that wait for a connection, or are about to
        self._choosing = threading.Lock()
        self._in_child = False
        self._base = base_environ(config)
        self._limits = {
            "FCGI_MAX_CONNS": b"%d" % config.threads,
            "FCGI_MAX_REQS": b"%d" % config.threads,
            "FCGI_MPXS_CONNS": b"0",
        }

    def run(self):
        """Serve in this thread and in the others; return when all have left."""
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
        """Let a process that the application forked have nothing of the worker, nor what that one forks."""
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
            self._stop.request()  # one thread that failed would leave a worker that serves too little

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
        """Tell whether this thread's connection, which is idle, ends for another one that waits, or for the stop.

        The front door makes no more connections than there are threads. If it ever did, a request
        would wait there for ever.
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
            if self._in_child:  # the application forked, and the child came back here
                _flush_and_exit()


def _flush_and_exit():
    try:
        sys.stdout.flush()
    finally:  # whatever the application made of stdout
        os._exit(0)


def base_environ(config):
    """Return what every environ has in common; CGI values are what the front door need not say."""
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
        "wsgi.multiprocess": True,  # any site may be scaled, and a worker serves beside its successor
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "wsgi.file_wrapper": FileWrapper,
    }
