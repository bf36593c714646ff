"""Large answers and bodies: sizes at the borders of records, and what is sent without copying it."""

import os
import random
import signal

from front import ABORT, STDIN, STDOUT, Cut, body, environ, head, record
from process import WorkerCase
from routed import RoutedCase

RECORD = 65528  # content of a full record
SIZES = (0, 1, 7, 8, 2048, 32767, 32768, 32769, 65000, RECORD - 1, RECORD, RECORD + 1, 65535, 65536, 131056, 131072, 200001)


def pattern(size):
    """Return bytes in which every position is recognised."""
    return b"".join(b"%07d\n" % n for n in range(size // 8 + 1))[:size]


class Answers(RoutedCase):
    def test_every_size_in_every_form(self):
        worker = self.serve("""
            def pattern(size):
                return b"".join(b"%07d\\n" % n for n in range(size // 8 + 1))[:size]

            def application(environ, start_response):
                data = pattern(int(environ["QUERY_STRING"]))
                form = environ["PATH_INFO"][1:]
                known = [("Content-Length", str(len(data)))] if form.startswith("known") else []
                write = start_response("200 OK", known)
                if form == "chunks":
                    return iter((data[:9], data[9:], b"", b"end"))
                if form == "written":
                    write(data[:5])
                    return [data[5:]]
                if form.endswith("parts"):
                    return [data[n:n + 5000] for n in range(0, len(data), 5000)]
                if form.endswith("small"):
                    return tuple(data[n:n + 100] for n in range(0, len(data), 100))
                return [data]
        """)
        with worker.front() as front:
            for form in ("whole", "known", "parts", "known-parts", "small", "known-small", "chunks", "written"):
                for size in SIZES:
                    with self.subTest(form=form, size=size):
                        response = front.request(path="/" + form, query=str(size))
                        self.assertEqual(response.body, pattern(size) + (b"end" if form == "chunks" else b""))
                        self.assertEqual(response["Content-Length"],
                                         [] if form == "chunks" or form == "written" and size else [str(size)])

    def test_records_are_full_and_aligned(self):
        worker = self.serve("""
            def large(environ, start_response):
                ok(start_response, ("Content-Length", "200001"))
                return [bytes(100000), bytes(100001)]
        """)
        with worker.front() as front:
            front.send(head(environ(path="/large")) + body(b""))
            sizes = []
            while True:
                kind, _, content = front.record()
                if kind != STDOUT or not content:
                    break
                sizes.append(len(content))
            self.assertEqual(sizes[:3], [RECORD] * 3)
            self.assertEqual(len(sizes), 4)
            self.assertEqual(front._data[16:], b"")  # nothing but the end of the request follows

    def test_more_buffers_than_one_call_takes(self):
        worker = self.serve("""
            PARTS = [bytes([n % 251]) * 2100 for n in range(3000)]

            def many(environ, start_response):
                ok(start_response)
                return PARTS
        """)
        self.assertEqual(self.answer(worker, "/many").body, b"".join(bytes([n % 251]) * 2100 for n in range(3000)))

    def test_limits_of_content_length_and_method(self):
        worker = self.serve("""
            PARTS = [b"a" * 70000, b"b" * 70000]

            def longer(environ, start_response):
                ok(start_response, ("Content-Length", "70001"))
                return PARTS

            def shorter(environ, start_response):
                ok(start_response, ("Content-Length", "140009"))
                return PARTS

            def none(environ, start_response):
                start_response("204 No Content", [])
                return PARTS
        """)
        with worker.front() as front:
            self.assertEqual(front.request(path="/longer").body, b"a" * 70000 + b"b")
            self.assertEqual(front.request(path="/shorter").body, b"a" * 70000 + b"b" * 70000)
            self.assertEqual(front.request(path="/none").body, b"")
            response = front.request("HEAD", path="/longer")
            self.assertEqual((response.body, response["Content-Length"]), (b"", ["70001"]))
        errors = worker.err.wait("shorter")
        self.assertIn("GET /longer: response body is longer than its Content-Length", errors)
        self.assertIn("GET /shorter: response body is 9 bytes shorter than its Content-Length", errors)

    def test_parts_that_are_no_bytes(self):
        worker = self.serve("""
            def buffers(environ, start_response):
                ok(start_response)
                return [bytearray(b"a" * 70000), memoryview(b"b" * 70000)]

            def text(environ, start_response):
                ok(start_response)
                return [b"a" * 70000, "b" * 70000]
        """)
        with worker.front() as front:
            self.assertEqual(front.request(path="/buffers").body, b"a" * 70000 + b"b" * 70000)
            self.assertEqual(front.request(path="/text").status, "500 Internal Server Error")

    def test_a_signal_does_not_cut_an_answer(self):
        worker = self.serve("""
            import signal

            signal.signal(signal.SIGUSR2, lambda *_: print("signal", file=sys.stderr))
            DATA = bytes(range(256)) * 8192

            def large(environ, start_response):
                ok(start_response)
                print("now", file=sys.stderr)
                return [DATA[:1000000], DATA[1000000:]]
        """)
        with worker.front() as front:
            front.send(head(environ(path="/large")) + body(b""))
            worker.err.wait("now\n")
            worker.asleep_in()  # the socket is full
            for times in range(1, 4):
                worker.signal(signal.SIGUSR2)
                worker.err.wait("signal\n", times)
                worker.asleep_in()
            self.assertEqual(front.response().body, bytes(range(256)) * 8192)


class Files(RoutedCase):
    APP = """
        import gzip, io, os, random, tempfile

        def pattern(size):
            return b"".join(b"%07d\\n" % n for n in range(size // 8 + 1))[:size]

        def respond(environ, start_response, file, *headers):
            ok(start_response, *headers)
            return environ["wsgi.file_wrapper"](file, 4096)

        def whole(environ, start_response):
            path = environ["QUERY_STRING"]
            return respond(environ, start_response, open(path, "rb"), ("Content-Length", str(os.path.getsize(path))))

        def unknown(environ, start_response):
            return respond(environ, start_response, open(environ["QUERY_STRING"], "rb", buffering=0))

        def middle(environ, start_response):
            file = open(environ["QUERY_STRING"], "rb")
            file.seek(8)
            file.read(8)  # the position of the descriptor is another one now
            return respond(environ, start_response, file, ("Content-Length", "150000"))

        def end(environ, start_response):
            file = open(environ["QUERY_STRING"], "rb")
            file.seek(16)
            return respond(environ, start_response, file)

        def written(environ, start_response):
            file = tempfile.TemporaryFile()
            file.write(pattern(200001))
            file.seek(200000)
            file.write(b"!")
            file.seek(0)
            return respond(environ, start_response, file)

        def unpacked(environ, start_response):
            packed = io.BytesIO()
            with gzip.open(packed, "wb") as file:
                file.write(random.Random(1).randbytes(200001))
            file = tempfile.TemporaryFile()
            file.write(packed.getvalue())
            file.seek(0)
            return respond(environ, start_response, gzip.GzipFile(fileobj=file))

        def begun(environ, start_response):
            write = ok(start_response)
            write(b"begun ")
            return environ["wsgi.file_wrapper"](open(environ["QUERY_STRING"], "rb"))
    """

    def setUp(self):
        super().setUp()
        self.worker = self.serve(self.APP)

    def test_regular_files(self):
        with self.worker.front() as front:
            for size in (0, 1, 4096, 8191, 8192, 65535, 65536, 65537, 131056, 131072, 200001):
                path = self.write("file", pattern(size).decode())
                for name in ("whole", "unknown", "begun"):
                    with self.subTest(size=size, name=name):
                        response = front.request(path="/" + name, query=path)
                        self.assertEqual(response.body, (b"begun " if name == "begun" else b"") + pattern(size))
                        self.assertEqual(response["Content-Length"], [str(size)] if name == "whole" else [])
                response = front.request("HEAD", path="/whole", query=path)
                self.assertEqual((response.body, response["Content-Length"]), (b"", [str(size)]))

    def test_position_and_content_length(self):
        path = self.write("file", pattern(200001).decode())
        self.assertEqual(self.answer(self.worker, "/middle", query=path).body, pattern(200001)[16:150016])
        self.assertEqual(self.answer(self.worker, "/end", query=path).body, pattern(200001)[16:])

    def test_files_that_are_not_what_is_on_the_disk(self):
        self.assertEqual(self.answer(self.worker, "/written").body, pattern(200000) + b"!")
        self.assertEqual(self.answer(self.worker, "/unpacked").body, random.Random(1).randbytes(200001))

    def test_a_file_that_becomes_shorter_cuts_the_answer(self):
        path = self.write("file", pattern(2000000).decode())
        for name in ("whole", "unknown"):
            with self.subTest(name), self.worker.front() as front:
                self.write("file", pattern(2000000).decode())
                front.send(head(environ(path="/" + name, query=path)) + body(b""))
                self.worker.asleep_in()  # the socket is full, or the request has not arrived
                self.assertTrue(next(front.stream()).startswith(b"Status: 200"))
                self.worker.asleep_in()
                os.truncate(path, 900000)
                with self.assertRaises(Cut):
                    b"".join(front.stream())
        self.worker.err.wait("EOFError: the file became shorter while it was sent", 2)


class Bodies(WorkerCase):
    APP = """
        def application(environ, start_response):
            stream, how = environ["wsgi.input"], environ["QUERY_STRING"]
            if how == "all":
                data = stream.read()
            elif how == "length":
                data = stream.read(int(environ["CONTENT_LENGTH"]))
            elif how == "pieces":
                data = b"".join(iter(lambda: stream.read(7001), b""))
            elif how == "lines":
                data = b"".join(stream)
            elif how == "some":
                data = stream.read(3)
            elif how == "both":
                data = stream.read(3) + stream.readline() + stream.read()
            else:
                data = b""
            start_response("200 OK", [])
            return [data]
    """

    def test_every_size_in_every_way(self):
        worker = self.serve(self.APP)
        with worker.front() as front:
            for size in SIZES + (300001,):
                data = pattern(size)
                for how in ("all", "length", "pieces", "lines", "some", "both", "none"):
                    want = {"some": data[:3], "none": b""}.get(how, data)
                    for piece in (65535, RECORD, 8192):
                        with self.subTest(size=size, how=how, piece=piece):
                            front.send(head(environ("POST", query=how, CONTENT_LENGTH=str(size))) + body(data, piece=piece))
                            self.assertEqual(front.response().body, want)

    def test_padding_and_late_records(self):
        """Each part of the body arrives when the worker waits for it."""
        worker = self.serve(self.APP)
        data = pattern(150000)
        for how in ("all", "length", "pieces", "both", "some", "none"):
            want = {"some": data[:3], "none": b""}.get(how, data)
            with self.subTest(how), worker.front() as front:
                front.send(head(environ("POST", query=how, CONTENT_LENGTH="150000")))
                for start in range(0, len(data), 50000):
                    whole = record(STDIN, data[start:start + 50000], padding=start // 50000 * 100 + 1)
                    for part in (whole[:5], whole[5:20000], whole[20000:-1], whole[-1:]):
                        worker.asleep_in()
                        front.send(part)
                front.send(record(STDIN))
                self.assertEqual(front.response().body, want)
                self.assertEqual(front.request("POST", query="all", data=b"next").body, b"next")

    def test_what_is_unread_of_a_record_is_not_mistaken_for_records(self):
        worker = self.serve("""
            def application(environ, start_response):
                write = start_response("200 OK", [])
                write(environ["wsgi.input"].read(3))
                for _ in range(100):
                    write(b"")  # looks for an abort
                write(b"goes on")
                while True:
                    write(b"")
        """)
        whole = record(STDIN, record(ABORT) * 4000, padding=7)
        with worker.front() as front:
            front.send(head(environ("POST")) + whole[:20000])
            stream = front.stream()
            self.assertTrue(next(stream).endswith(record(ABORT)[:3]))
            front.send(whole[20000:])
            self.assertEqual(next(stream), b"goes on")
            front.send(record(ABORT))
            self.assertEqual(list(stream), [])
