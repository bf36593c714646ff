"""Responses that nobody can receive any more: the application is not asked for the rest, and the worker becomes free."""

from front import ABORT, END, STDIN, body, environ, head, record
from routed import RoutedCase

APP = """
    class Endless:
        def __init__(self, name, chunk):
            self.name, self.chunk = name, chunk

        def __iter__(self):
            while True:
                yield self.chunk

        def close(self):
            print(self.name, "closed", file=sys.stderr)

    def endless(environ, start_response):
        ok(start_response)
        return Endless("endless", b"data")

    def full(environ, start_response):
        ok(start_response, ("Content-Length", environ["QUERY_STRING"]))
        return Endless("full", b"data")

    def nothing(environ, start_response):
        ok(start_response, ("Content-Length", "0"))
        return Endless("nothing", b"")

    def none(environ, start_response):
        start_response("204 No Content", [])
        return Endless("none", b"data")

    def empty(environ, start_response):
        print("begun", flush=True)
        ok(start_response)
        return Endless("empty", b"")

    def written(environ, start_response):
        write = ok(start_response, *[("Content-Length", "6")] if environ["QUERY_STRING"] else [])
        print("begun", flush=True)
        while True:
            write(b"data")

    def stubborn(environ, start_response):
        write = ok(start_response, ("Content-Length", "6"))
        for _ in range(3):
            try:
                write(b"data")
            except AssertionError:
                pass
        return []

    def hello(environ, start_response):
        ok(start_response)
        return [b"hello"]
"""


class Unwanted(RoutedCase):
    def setUp(self):
        super().setUp()
        self.worker = self.serve(APP)

    def test_a_body_as_long_as_its_content_length(self):
        for length, surplus in (("8", 0), ("6", 1), ("1", 1)):
            with self.subTest(length=length):
                worker = self.serve(APP)
                self.assertEqual(self.answer(worker, "/full", query=length).body, b"datadata"[:int(length)])
                errors = worker.err.wait("full closed\n")
                self.assertEqual(errors.count("longer than its Content-Length"), surplus, errors)

    def test_no_body(self):
        for method, path in (("HEAD", "/endless"), ("HEAD", "/full"), ("GET", "/nothing"), ("GET", "/none")):
            with self.subTest(method + " " + path):
                response = self.answer(self.worker, path, method=method, query="6")
                self.assertEqual(response.body, b"")
                self.worker.err.wait(path[1:] + " closed\n")
        self.assertNotIn("Content-Length", self.worker.err.text)

    def test_write_past_the_end(self):
        self.assertEqual(self.answer(self.worker, "/written", query="6").body, b"datada")
        errors = self.worker.err.wait("write() past the Content-Length of the response\n")
        self.assertEqual(errors.count("GET /written"), 1)
        self.assertEqual(self.answer(self.worker, "/stubborn").body, b"datada")
        self.assertEqual(self.worker.err.wait("GET /stubborn").count("GET /stubborn"), 1)

    def test_the_client_closes_the_connection(self):
        for method, path in ("GET", "/empty"), ("HEAD", "/written"), ("HEAD", "/empty"):
            for ahead in b"", head(environ(path="/hello"), 2) + body(b"", 2):
                with self.subTest(method + " " + path, ahead=bool(ahead)):
                    worker = self.serve(APP)
                    with worker.front() as front:
                        front.send(head(environ(method, path)) + body(b"") + ahead)
                        worker.out.wait("begun\n")
                    self.assertEqual(self.answer(worker, "/hello").body, b"hello")
                    self.assertNotIn("Error", worker.err.text)

    def test_the_front_door_aborts(self):
        unread = record(STDIN, b"x" * 1000)
        for count, before in enumerate((b"", unread), 1):
            with self.subTest(before=len(before)), self.worker.front() as front:
                front.send(head(environ("POST", "/empty")) + before)
                self.worker.out.wait("begun\n", count)
                front.send(record(ABORT, b"", 2) + before + record(ABORT)[:4])
                front.send(record(ABORT)[4:])
                self.assertEqual(front.record()[:2], (END, 1))
                self.assertEqual(front.request(path="/hello", request_id=3).body, b"hello")
        self.worker.err.wait("empty closed\n", 2)
