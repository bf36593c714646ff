"""Connections of libraries are closed before the fork, and each worker opens its own."""

import importlib.util
import os
import socket
import textwrap
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from redis_server import RedisServer
from zygotes import Zygotes


def has(*modules):
    return all(importlib.util.find_spec(module) for module in modules)


class Closers(Zygotes):
    def app(self, source, answer):
        """Write a site that evaluates an expression for each request."""
        self.write("site_app.py", textwrap.dedent(source) + textwrap.dedent("""
            def application(environ, start_response):
                body = str(%s).encode()
                start_response("200 OK", [])
                return [body]
        """) % answer)

    def check_closed(self, closed, body, **config):
        """Check what the zygote has closed and that three workers answer twice."""
        config.setdefault("wsgi", "site_app")
        zygote = self.ready(**config)
        self.assertEqual([w["problem"] for w in zygote.ready["warmup"] if w["problem"]], [])
        self.assertEqual(zygote.ready["closed"], closed)
        for number in range(1, 4):
            worker = self.serving(zygote, "site/%d" % number)
            for _ in range(2):
                self.assertRegex(self.get(worker).body.decode(), "^(?:%s)$" % body)
        return zygote


@unittest.skipUnless(has("redis") and RedisServer.is_installed(), "this test needs redis-py and redis-server")
class Redis(Closers):
    @classmethod
    def setUpClass(cls):
        cls.redis = RedisServer()
        cls.addClassCleanup(cls.redis.close)

    def test_pool(self):
        self.app("import redis\nclient = redis.from_url(%r)" % self.redis.url, "client.ping()")
        self.check_closed(["1 redis connection"], "True")

    def test_opened_while_loading(self):
        self.app("import redis\nclient = redis.from_url(%r)\nclient.ping()" % self.redis.url, "client.ping()")
        self.check_closed(["1 redis connection"], "True", warmup=[])

    def test_connection_of_a_thread_stays(self):
        """A fork would end the thread, so no worker is forked, and nothing is closed under it."""
        self.app("""
            import redis, threading
            client = redis.from_url(%r, single_connection_client=True)
            client.ping()
            threading.Thread(target=threading.Event().wait, name="listener", daemon=True).start()
        """ % self.redis.url, "client.connection._sock is not None")
        event = self.site(wsgi="site_app").event()
        self.assertEqual(event["event"], "unsafe")
        self.assertRegex(str(event["reasons"]), "(?s)thread .listener.*socket connected to|socket connected to.*thread .listener")

    def test_single_connection_and_subscription(self):
        self.app("""
            import redis
            client = redis.Redis(unix_socket_path=%r, single_connection_client=True)
            topic = client.pubsub()
            topic.subscribe("topic")
            topic.get_message(timeout=5)
        """ % self.redis.path, "client.ping()")
        self.check_closed(["2 redis connections"], "True")

    @unittest.skipUnless(has("django", "django_redis"), "this test needs Django and django-redis")
    def test_cache_of_django(self):
        self.write("settings.py", """
            SECRET_KEY = "for this test"
            ALLOWED_HOSTS = ["*"]
            ROOT_URLCONF = "urls"
            CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": %r}}
        """ % self.redis.url)
        self.write("urls.py", """
            from django.core.cache import cache
            from django.http import HttpResponse
            from django.urls import path

            def count(request):
                cache.add("visits", 0)
                return HttpResponse(cache.incr("visits"))

            urlpatterns = [path("", count)]
        """)
        self.check_closed(["1 redis connection"], r"\d+", settings="settings", wsgi="")

    def test_closer_that_raises(self):
        self.app("""
            import redis
            class Connection(redis.UnixDomainSocketConnection):
                def disconnect(self, *args, **kwargs):
                    raise LookupError("not today")
            client = redis.Redis(connection_pool=redis.ConnectionPool(connection_class=Connection, path=%r))
        """ % self.redis.path, "client.ping()")
        event = self.site(wsgi="site_app").event()
        self.assertEqual(event["event"], "unsafe", event)
        self.assertEqual(event["reasons"][0], "a redis connection cannot be closed: LookupError: not today")
        self.assertRegex(event["reasons"][1], r"^socket connected to %s of redis/connection\.py, "
                         r"opened in site_app\.py:\d+$" % self.redis.path)
        self.assertTrue(event["safe_when_loaded"])


@unittest.skipUnless(has("sqlalchemy"), "this test needs SQLAlchemy")
class SQLAlchemy(Closers):
    ASK = """
def ask():
    with engine.connect() as connection:
        return connection.execute(sqlalchemy.text("SELECT 6 * 7")).scalar()
"""

    def test_engine(self):
        self.app("import sqlalchemy\nengine = sqlalchemy.create_engine('sqlite:///%s')\n%s" % (
            os.path.join(self.dir, "db.sqlite3"), self.ASK), "ask()")
        self.check_closed(["1 SQLAlchemy connection"], "42")

    def test_database_in_memory_stays(self):
        """Something else is open, so that closers are tried."""
        self.app("""
            import sqlalchemy
            file = sqlalchemy.create_engine("sqlite:///%s")
            engine = sqlalchemy.create_engine("sqlite://")
            with engine.begin() as connection:
                connection.execute(sqlalchemy.text("CREATE TABLE kept AS SELECT 42"))
            with file.begin() as connection:
                connection.execute(sqlalchemy.text("SELECT 1"))
            def ask():
                with engine.connect() as connection:
                    return connection.execute(sqlalchemy.text("SELECT * FROM kept")).scalar()
        """ % os.path.join(self.dir, "db.sqlite3"), "ask()")
        self.check_closed(["1 SQLAlchemy connection"], "42")



    def test_database_in_memory_by_name(self):
        self.app("""
            import sqlalchemy
            file = sqlalchemy.create_engine("sqlite:///%s")
            engine = sqlalchemy.create_engine("sqlite:///file:kept?mode=memory&cache=shared&uri=true")
            for each in engine, file:
                with each.begin() as connection:
                    connection.execute(sqlalchemy.text("CREATE TABLE kept AS SELECT 42"))
            def ask():
                with engine.connect() as connection:
                    return connection.execute(sqlalchemy.text("SELECT * FROM kept")).scalar()
        """ % os.path.join(self.dir, "db.sqlite3"), "ask()")
        self.check_closed(["1 SQLAlchemy connection"], "42")


class _Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/upgrade":
            return self.send_response(101) or self.end_headers()
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"page")

    def log_message(self, *_):
        pass


def page_server(test):
    """Start a server until the end of the test; return its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # the client resets the connection when its process ends
    threading.Thread(target=server.serve_forever).start()
    test.addCleanup(server.server_close)
    test.addCleanup(server.shutdown)
    return "127.0.0.1:%d" % server.server_address[1]


class HTTP(Closers):
    def setUp(self):
        super().setUp()
        self.address = page_server(self)

    def test_idle_connection(self):
        self.app("""
            import http.client
            connection = http.client.HTTPConnection(%r)
            def get():
                connection.request("GET", "/")
                return connection.getresponse().read().decode()
        """ % self.address, "get()")
        self.check_closed(["1 HTTP connection"], "page")

    def test_response_that_is_being_read(self):
        self.app("""
            import http.client
            connection = http.client.HTTPConnection(%r)
            connection.request("GET", "/")
            response = connection.getresponse()
        """ % self.address, "1")
        event = self.site(wsgi="site_app").event()
        self.assertEqual(event["reasons"], [
            "socket connected to %s of http/client.py, opened in site_app.py:4" % self.address])
        self.assertEqual((event["opened_by"], event["safe_when_loaded"]), ({}, False))

    def test_connection_that_is_used_in_another_way(self):
        for number, request in enumerate(("connect()", "request('GET', '/upgrade')\nconnection.getresponse().read()")):
            with self.subTest(request):
                name = "site_app%d" % number
                self.app("import http.client\nconnection = http.client.HTTPConnection(%r)\nconnection.%s" % (
                    self.address, request), "1")
                os.rename(os.path.join(self.dir, "site_app.py"), os.path.join(self.dir, name + ".py"))
                self.assertEqual(self.site(wsgi=name).event()["event"], "unsafe")


class Places(Closers):
    """Which path has opened what cannot be closed, and where."""

    def test_paths(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.write("shop/__init__.py", "")
            self.write("shop/views.py", """
                import threading
                import site_packages_like
                kept = []
                def search():
                    kept.append(site_packages_like.connect())
            """)
            self.write("lib/site-packages/site_packages_like.py", """
                import socket
                def connect():
                    return socket.create_connection(("127.0.0.1", %d))
            """ % server.getsockname()[1])
            self.write("site_app.py", """
                import shop.views
                def application(environ, start_response):
                    if environ["PATH_INFO"] == "/search":
                        shop.views.search()
                    start_response("200 OK", [])
                    return [b"ok"]
            """)
            path = [self.dir, os.path.join(self.dir, "lib/site-packages")]
            event = self.site(wsgi="site_app", warmup=["/", "/search"], python_path=path).event()
            place = "socket connected to 127.0.0.1:%d of site_packages_like.py, opened in shop/views.py:6" % (
                server.getsockname()[1])
            self.assertEqual((event["event"], event["reasons"]), ("unsafe", [place]))
            self.assertEqual(event["opened_by"], {"/search": [place]})

    def test_path_that_keeps_what_another_has_opened(self):
        """/search does not read its response, for which it has taken the idle connection of "/"."""
        server = page_server(self)
        self.write("site_app.py", """
            import http.client
            kept, idle = [], []
            def application(environ, start_response):
                connection = idle.pop() if idle else http.client.HTTPConnection(%r)
                connection.request("GET", "/")
                kept.append(connection.getresponse())
                if environ["PATH_INFO"] != "/search":
                    kept.pop().read()
                    idle.append(connection)
                start_response("200 OK", [])
                return [b"ok"]
        """ % server)
        event = self.site(wsgi="site_app", warmup=["/", "/search", "/about"]).event()
        self.assertEqual(list(event["opened_by"]), ["/search"])

    def test_thread_without_a_caller(self):
        """Nothing but the call itself is on its stack."""
        self.app("""
            import _thread, socket, time
            mine = socket.socket()
            _thread.start_new_thread(mine.listen, (1,))
            until = time.monotonic() + 10
            while not mine.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and time.monotonic() < until:
                pass
        """, "0")
        event = self.site(wsgi="site_app").event()
        self.assertRegex(str(event["reasons"]), "socket listening on 0.0.0.0:")

    def test_nothing_of_it_is_left_in_workers(self):
        self.app("import socket, threading", "['connect' in vars(socket.socket), threading.Thread.start.__module__]")
        self.check_closed([], r"\[False, 'threading'\]")

    def test_wrapped_connect(self):
        """The application wraps it while it is loaded, and goes on to call it: nothing is remembered any more."""
        self.app("""
            import socket
            from multisite_wsgi import origins
            connect = socket.socket.connect
            socket.socket.connect = lambda *args: connect(*args)
            def use():
                with socket.create_server(("127.0.0.1", 0)) as server:
                    socket.create_connection(server.getsockname()).close()
                return len(origins._sockets)
        """, "use()")
        self.check_closed([], "0", warmup=[])


if __name__ == "__main__":
    unittest.main()
