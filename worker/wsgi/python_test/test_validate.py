"""wsgiref.validate stands between worker and application, and finds nothing."""

import signal

from process import WorkerCase

APP = """
    import io, sys
    from wsgiref.validate import validator

    def simple(environ, start_response):
        stream, errors = environ["wsgi.input"], environ["wsgi.errors"]
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-Two", "1"), ("X-Two", "2")])
        body = [stream.readline(), stream.readline(3), stream.read(4)] + stream.readlines() + list(stream)
        errors.write("written\\n")
        errors.writelines(["line one\\n", "line two\\n"])
        errors.flush()
        return body + [repr(sorted(environ)).encode("latin-1")[:0]]

    def generated(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"one"
        yield b""
        yield b"two"

    def empty(environ, start_response):
        start_response("204 No Content", [])
        return []

    def written(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])(b"written")
        return []

    def corrected(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            raise ValueError
        except ValueError:
            start_response("500 Sorry", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"sorry"]

    def wrapped(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return environ["wsgi.file_wrapper"](io.BytesIO(environ["wsgi.input"].read(9)), 5)

    def nothing_read(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"short"]

    def raising(environ, start_response):
        raise LookupError("on purpose")

    def application(environ, start_response):
        return validator(globals()[environ["PATH_INFO"][1:]])(environ, start_response)
"""


class Validate(WorkerCase):
    def test_validator_finds_nothing(self):
        worker = self.serve(APP)
        data = b"first\nsecond\nthird\nfourth"
        with worker.front() as front:
            for path, body in (("simple", data), ("generated", b"onetwo"), ("written", b"written"),
                               ("corrected", b"sorry"), ("wrapped", data[:9]), ("nothing_read", b"short")):
                with self.subTest(path):
                    answer = front.request("POST", path="/" + path, data=data, CONTENT_TYPE="text/plain")
                    self.assertEqual(answer.body, body)
            for method, path in (("HEAD", "nothing_read"), ("HEAD", "generated"), ("GET", "empty")):
                with self.subTest(path):
                    self.assertEqual(front.request(method, path="/" + path).body, b"")
            front.request(path="/raising")
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0)
        told, traceback = worker.err.all().split("uncaught exception in GET /raising\n")
        self.assertEqual(told, "written\nline one\nline two\n")
        self.assertTrue(traceback.endswith("LookupError: on purpose\n"), traceback)
        self.assertEqual(traceback.count("Traceback"), 1)
