"""PEP 3333, what the application receives: the environ and wsgi.input."""

import json
import signal

from front import ABORT, GET_VALUES, GET_VALUES_RESULT, STDIN, body, environ, head, record
from process import WorkerCase

SHOW = """
    import json

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        known = {k: v for k, v in environ.items() if isinstance(v, (str, bool, tuple))}
        return [json.dumps(known).encode()]
"""

READ = """
    def application(environ, start_response):
        stream = environ["wsgi.input"]
        out = repr(eval(environ["QUERY_STRING"])).encode("latin-1")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [out]
"""


class Environ(WorkerCase):
    def shown(self, worker, **params):
        with worker.front() as front:
            return json.loads(front.request(**params).body)

    def test_values(self):
        worker = self.serve(SHOW, threads=2)
        shown = self.shown(
            worker, path="/caf\xc3\xa9", query="a=b&c", SCRIPT_NAME="/sub", HTTP_COOKIE="x=" + "y" * 3000,
            CONTENT_LENGTH="", REQUEST_SCHEME="https", **{"HTTP_X_" + "A" * 200: "long name"})
        for name, value in {
                "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/sub", "PATH_INFO": "/caf\xc3\xa9", "QUERY_STRING": "a=b&c",
                "HTTP_COOKIE": "x=" + "y" * 3000, "HTTP_X_" + "A" * 200: "long name", "CONTENT_LENGTH": "",
                "wsgi.version": [1, 0], "wsgi.url_scheme": "https", "wsgi.multithread": True,
                "wsgi.multiprocess": True, "wsgi.run_once": False, "wsgi.input_terminated": True}.items():
            self.assertEqual(shown[name], value, name)

    def test_single_process_and_plain_http(self):
        shown = self.shown(self.serve(SHOW))
        self.assertEqual(shown["wsgi.url_scheme"], "http")
        self.assertIs(shown["wsgi.multithread"], False)
        self.assertIs(shown["wsgi.multiprocess"], True)  # before it is scaled, too
        self.assertNotIn("PATH", shown)

    def test_requests_do_not_share_an_environ(self):
        worker = self.serve("""
            def application(environ, start_response):
                start_response("200 OK", [])
                seen = str(environ.get("x.seen"))
                environ["x.seen"] = environ["wsgi.url_scheme"] = "yes"
                return [seen.encode()]
        """)
        with worker.front() as front:
            self.assertEqual([front.request().body, front.request().body], [b"None", b"None"])

    def test_many_parameters_in_several_records(self):
        params = {"HTTP_X_%d" % n: "v" * 1000 for n in range(150)}
        shown = self.shown(self.serve(SHOW), **params)
        self.assertEqual(params, {k: v for k, v in shown.items() if k.startswith("HTTP_X_")})


class Input(WorkerCase):
    DATA = b"one\ntwo\nthree"

    def setUp(self):
        super().setUp()
        self.worker = self.serve(READ)

    def test_reading(self):
        cases = {
            "stream.read()": self.DATA,
            "stream.read(5)": b"one\nt",
            "[stream.read(4), stream.read(100), stream.read(1)]": [b"one\n", b"two\nthree", b""],
            "stream.readline()": b"one\n",
            "[stream.readline(2), stream.readline(), stream.readline(), stream.readline(), stream.readline()]":
                [b"on", b"e\n", b"two\n", b"three", b""],
            "stream.readlines()": [b"one\n", b"two\n", b"three"],
            "stream.readlines(2)": [b"one\n"],
            "list(stream)": [b"one\n", b"two\n", b"three"],
            "[next(stream), stream.read(2), stream.readlines()]": [b"one\n", b"tw", [b"o\n", b"three"]],
        }
        with self.worker.front() as front:
            for code, value in cases.items():
                with self.subTest(code):
                    self.assertEqual(eval(front.request("POST", query=code, data=self.DATA).body), value)

    def test_reading_in_pieces(self):
        """The body is the same if every byte is a record of its own that arrives after the request has begun."""
        with self.worker.front() as front:
            for code, value in (("stream.read()", self.DATA), ("list(stream)", [b"one\n", b"two\n", b"three"]),
                                ("stream.read1(1)", b"o"), ("[stream.read(), stream.read(), stream.readline()]",
                                                            [self.DATA, b"", b""])):
                with self.subTest(code):
                    front.send(head(environ("POST", query=code)) + record(GET_VALUES, b"", 0))
                    self.assertEqual(front.record()[0], GET_VALUES_RESULT)  # so the request has begun
                    front.send(body(self.DATA, piece=1))
                    self.assertEqual(eval(front.response().body), value)

    def test_large_body(self):
        data = bytes(range(256)) * 20000
        with self.worker.front() as front:
            for code, value in (("len(stream.read())", len(data)), ("stream.read(70000)[-3:]", data[69997:70000]),
                                ("hash(stream.read()) == hash(bytes(range(256)) * 20000)", True)):
                with self.subTest(code):
                    self.assertEqual(eval(front.request("POST", query=code, data=data).body), value)

    def test_unread_body_does_not_reach_the_next_request(self):
        with self.worker.front() as front:
            for _ in range(3):
                self.assertEqual(front.request("POST", query="1", data=bytes(300000)).body, b"1")
            self.assertEqual(front.request(query="stream.read()").body, b"b''")

    def test_body_arrives_while_it_is_read(self):
        worker = self.serve("""
            def application(environ, start_response):
                start_response("200 OK", [])
                yield b"ready"
                for line in environ["wsgi.input"]:
                    yield b"got " + line
        """)
        with worker.front() as front:
            front.send(head(environ("POST")))
            stream = front.stream()
            self.assertTrue(next(stream).endswith(b"ready"))
            for line in (b"a\n", b"b\n"):
                front.send(record(STDIN, line))
                self.assertEqual(next(stream), b"got " + line)
            front.send(record(STDIN))
            self.assertEqual(list(stream), [])

    def test_abort_ends_the_input_with_an_error(self):
        worker = self.serve("""
            import sys

            def application(environ, start_response):
                write = start_response("200 OK", [])
                try:
                    write(environ["wsgi.input"].readline())
                    environ["wsgi.input"].read()
                except OSError as error:
                    print("caught", error, file=sys.stderr)
                    if environ["QUERY_STRING"]:
                        raise
                return [b"end"]
        """)
        with worker.front() as front:
            for query in ("", "raise"):
                front.send(head(environ("POST", query=query)) + record(STDIN, b"begun\n"))
                stream = front.stream()
                self.assertTrue(next(stream).endswith(b"begun\n"))
                front.send(record(ABORT))
                self.assertEqual(list(stream), [])
            front.send(head(environ("POST")) + record(ABORT))  # known before the application runs
            self.assertEqual(list(front.stream()), [])
            self.assertEqual(front.request(data=b"whole\n", method="POST").body, b"whole\nend")
        worker.signal(signal.SIGTERM)
        worker.wait()
        self.assertEqual(worker.err.all(), "caught the request was aborted\n" * 2)
