"""PEP 3333, what the application returns: status, headers and body."""

import os
import select

from front import body, environ, head
from routed import RoutedCase


class Response(RoutedCase):
    def test_headers_arrive_in_order_and_repeated(self):
        worker = self.serve("""
            def cookies(environ, start_response):
                start_response("418 I'm a teapot", [("Set-Cookie", "a=1"), ("X-Umlaut", "\\xe4"), ("Set-Cookie", "b=2")])
                return [b""]
        """)
        response = self.answer(worker, "/cookies")
        self.assertEqual(response.status, "418 I'm a teapot")
        self.assertEqual(response.headers, [
            ("Set-Cookie", "a=1"), ("X-Umlaut", "\xe4"), ("Set-Cookie", "b=2"), ("Content-Length", "0")])

    def test_headers_of_the_connection_are_dropped(self):
        worker = self.serve("""
            def closing(environ, start_response):
                name, value = environ["QUERY_STRING"].split("=")
                ok(start_response, (name, value), ("X-Other", "a"))
                return [b"x"]
        """)
        names = ("Connection", "keep-alive", "Transfer-Encoding", "Upgrade", "TE", "Trailer", "Proxy-Authenticate",
                 "Proxy-Connection")
        for name in names:
            for value in "close", "other":
                response = self.answer(worker, "/closing", query=name + "=" + value)
                self.assertEqual((response.status, response[name], response["X-Other"]), ("200 OK", [], ["a"]))
        for name in names:
            self.assertEqual(worker.err.wait("header %s is dropped" % name).count("header %s " % name), 1)

    def test_status_without_reason(self):
        worker = self.serve("""
            def short(environ, start_response):
                start_response("200", [])
                return [b"x"]
        """)
        self.assertEqual(self.answer(worker, "/short").status, "200")

    def test_content_length_is_added_only_where_it_is_known(self):
        worker = self.serve("""
            def one(environ, start_response):
                ok(start_response)
                return [b"12345"]

            def several(environ, start_response):
                ok(start_response)
                return (b"123", b"", b"45")

            def bare(environ, start_response):
                ok(start_response)
                return b"12345"

            class Sized:
                def __len__(self):
                    return 1

                def __iter__(self):
                    yield b"12345"

            def sized(environ, start_response):
                ok(start_response)
                return Sized()

            def given(environ, start_response):
                ok(start_response, ("content-length", "5"))
                return [b"12345"]

            def generated(environ, start_response):
                ok(start_response)
                yield b"12345"

            def wrong(environ, start_response):
                ok(start_response, ("Content-Length", "abc"))
                yield b"12345"
        """)
        for name, length in (("one", ["5"]), ("several", ["5"]), ("bare", ["5"]), ("sized", ["5"]),
                             ("given", ["5"]), ("generated", []), ("wrong", [])):
            with self.subTest(name):
                response = self.answer(worker, "/" + name)
                self.assertEqual(response.body, b"12345")
                self.assertEqual(response["Content-Length"], length)

    def test_body_follows_content_length(self):
        worker = self.serve("""
            def long(environ, start_response):
                ok(start_response, ("Content-Length", "3"))
                yield b"12"
                yield b"345"
                print("asked for more", file=environ["wsgi.errors"])

            def short(environ, start_response):
                ok(start_response, ("Content-Length", "9"))
                return [b"12345"]
        """)
        self.assertEqual(self.answer(worker, "/long").body, b"123")
        self.assertEqual(self.answer(worker, "/short").body, b"12345")
        errors = worker.err.wait("shorter")
        self.assertIn("GET /long: response body is longer than its Content-Length", errors)
        self.assertNotIn("asked for more\n", errors)
        self.assertIn("GET /short: response body is 4 bytes shorter than its Content-Length", errors)

    def test_no_body_for_head_204_and_304(self):
        worker = self.serve("""
            class Body:
                def __init__(self, name):
                    self.name = name

                def __iter__(self):
                    yield b"body"
                    print(self.name, "iterated", file=sys.stderr)

                def close(self):
                    print(self.name, "closed", file=sys.stderr)

            def listed(environ, start_response):
                ok(start_response)
                return [b"body"]

            def empty(environ, start_response):
                ok(start_response)
                return [b""]

            def generated(environ, start_response):
                ok(start_response)
                return Body("generated")

            def none(environ, start_response):
                start_response("204 No Content", [])
                return Body("none")

            def same(environ, start_response):
                start_response("304 Not Modified", [])
                return [b"body"]
        """)
        for method, name, length in (("HEAD", "listed", ["4"]), ("HEAD", "empty", []), ("HEAD", "generated", []),
                                     ("GET", "none", []), ("GET", "same", [])):
            with self.subTest(name):
                response = self.answer(worker, "/" + name, method=method)
                self.assertEqual(response.body, b"")
                self.assertEqual(response["Content-Length"], length)
        self.assertEqual(worker.err.wait("none closed"), "generated closed\nnone closed\n")

    def test_each_chunk_is_sent_before_the_next_is_asked_for(self):
        worker = self.serve("""
            def chunks(environ, start_response):
                ok(start_response)
                yield b""
                for number in range(3):
                    yield b"chunk %d" % number
                    with open(environ["QUERY_STRING"]) as gate:
                        gate.read()
        """)
        gate = os.path.join(self.dir, "gate")
        os.mkfifo(gate)
        with worker.front() as front:
            front.send(head(environ(path="/chunks", query=gate)) + body(b""))
            stream = front.stream()
            self.assertTrue(next(stream).endswith(b"\r\n\r\nchunk 0"))
            open(gate, "w").close()  # returns when the application stands at the gate
            self.assertEqual(next(stream), b"chunk 1")
            open(gate, "w").close()
            self.assertEqual(next(stream), b"chunk 2")
            open(gate, "w").close()
            self.assertEqual(list(stream), [])

    def test_write_callable(self):
        worker = self.serve("""
            def written(environ, start_response):
                write = ok(start_response)
                write(b"")
                write(b"one ")
                write(b"two ")
                return [b"three"]

            def only(environ, start_response):
                ok(start_response)(b"all")
                return []

            def whole(environ, start_response):
                ok(start_response, ("Content-Length", "3"))(b"all")
                return []
        """)
        response = self.answer(worker, "/written")
        self.assertEqual(response.body, b"one two three")
        self.assertEqual(response["Content-Length"], [])
        self.assertEqual(self.answer(worker, "/only").body, b"all")
        self.assertEqual(self.answer(worker, "/whole").body, b"all")

    def test_large_bodies_are_split_into_records(self):
        worker = self.serve("""
            DATA = bytes(range(256)) * 8192

            def listed(environ, start_response):
                ok(start_response)
                return [DATA]

            def generated(environ, start_response):
                ok(start_response)
                yield DATA
                yield b"odd"
        """)
        data = bytes(range(256)) * 8192
        with worker.front() as front:
            self.assertEqual(front.request(path="/listed").body, data)
            self.assertEqual(front.request(path="/generated").body, data + b"odd")

    def test_file_wrapper(self):
        self.write("page.txt", "line\n" * 10000)
        worker = self.serve("""
            class File:
                def __init__(self, path):
                    self.file = open(path, "rb")

                def read(self, size):
                    return self.file.read(size)

                def close(self):
                    self.file.close()
                    print("file closed", file=sys.stderr)

            def file(environ, start_response):
                ok(start_response)
                return environ["wsgi.file_wrapper"](File(environ["QUERY_STRING"]), 4096)
        """)
        response = self.answer(worker, "/file", query=self.dir + "/page.txt")
        self.assertEqual(response.body, b"line\n" * 10000)
        worker.err.wait("file closed\n")

    def test_close_runs_once_and_before_the_end_of_the_request(self):
        worker = self.serve("""
            class Body:
                closed = 0

                def __init__(self, *chunks):
                    self.chunks = chunks

                def __iter__(self):
                    for chunk in self.chunks:
                        if chunk is None:
                            raise ValueError("in the middle")
                        yield chunk

                def close(self):
                    Body.closed += 1

            def good(environ, start_response):
                ok(start_response)
                return Body(b"x")

            def bad(environ, start_response):
                ok(start_response)
                return Body(None)

            def closing(environ, start_response):
                ok(start_response)
                class Last(Body):
                    def close(self):
                        raise ValueError("in close")
                return Last(b"x")

            def count(environ, start_response):
                ok(start_response)
                return [b"%d" % Body.closed]
        """)
        with worker.front() as front:
            self.assertEqual(front.request(path="/good").body, b"x")
            self.assertEqual(front.request(path="/count").body, b"1")
            self.assertEqual(front.request(path="/bad").status, "500 Internal Server Error")
            self.assertEqual(front.request(path="/count").body, b"2")
            self.assertEqual(front.request(path="/closing").body, b"x")
            self.assertEqual(front.request(path="/count").body, b"2")
        self.assertIn("ValueError: in close", worker.err.wait("in close"))

    def test_the_end_of_the_request_waits_for_close(self):
        worker = self.serve("""
            class Body:
                def __init__(self, gate):
                    self.gate = gate

                def __iter__(self):
                    return iter([b"body"])

                def close(self):
                    with open(self.gate) as gate:
                        gate.read()

            def slow(environ, start_response):
                ok(start_response)
                return Body(environ["QUERY_STRING"])
        """)
        gate = os.path.join(self.dir, "gate")
        os.mkfifo(gate)
        with worker.front() as front:
            front.send(head(environ(path="/slow", query=gate)) + body(b""))
            stream = front.stream()
            self.assertTrue(next(stream).endswith(b"body"))
            with open(gate, "w"):  # opens when close() is running
                self.assertEqual(front._data, b"")
                self.assertEqual(select.select([front.sock], [], [], 0)[0], [])
            self.assertEqual(list(stream), [])
