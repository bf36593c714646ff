"""PEP 3333: how mistakes of the application are logged and answered."""

from front import Cut
from routed import RoutedCase


class Errors(RoutedCase):
    def test_start_response_again(self):
        worker = self.serve("""
            def twice(environ, start_response):
                ok(start_response)
                ok(start_response)
                return [b"never"]

            def corrected(environ, start_response):
                ok(start_response)
                try:
                    raise ValueError
                except ValueError:
                    start_response("503 Later", [("Retry-After", "1")], sys.exc_info())
                return [b"sorry"]

            def late(environ, start_response):
                ok(start_response)(b"begun")
                try:
                    raise ValueError("too late")
                except ValueError:
                    start_response("503 Later", [], sys.exc_info())
                return [b"never"]
        """)
        self.assertEqual(self.answer(worker, "/twice").status, "500 Internal Server Error")
        worker.err.wait("AssertionError: start_response() was called again without exc_info")
        response = self.answer(worker, "/corrected")
        self.assertEqual((response.status, response.body), ("503 Later", b"sorry"))
        self.assertEqual(response["Content-Type"], [])
        with self.assertRaises(Cut):
            self.answer(worker, "/late")
        worker.err.wait("ValueError: too late")

    def test_uncaught_exceptions_are_errors_of_one_request(self):
        worker = self.serve("""
            def raises(environ, start_response):
                raise {"v": ValueError, "s": SystemExit, "k": KeyboardInterrupt, "g": GeneratorExit}[
                    environ["QUERY_STRING"]]("from the application")

            def generated(environ, start_response):
                ok(start_response)
                raise ValueError("before the first chunk")
                yield b""

            def cut(environ, start_response):
                ok(start_response)
                yield b"begun"
                raise ValueError("after the first chunk")
        """)
        with worker.front() as front:
            for query in "vskg":
                with self.subTest(query):
                    response = front.request(path="/raises", query=query)
                    self.assertEqual(response.status, "500 Internal Server Error")
                    self.assertEqual(response["Content-Type"], ["text/plain; charset=utf-8"])
                    self.assertEqual(response.body, b"Internal Server Error\n")
            self.assertEqual(front.request(path="/raises", query="v", method="HEAD").body, b"")
            self.assertEqual(front.request(path="/generated").status, "500 Internal Server Error")
            with self.assertRaises(Cut):
                front.request(path="/cut")
        errors = worker.err.wait("after the first chunk")
        first = errors[:errors.index("SystemExit")].splitlines()
        self.assertEqual(first[0], "uncaught exception in GET /raises?v")
        self.assertEqual(first[1], "Traceback (most recent call last):")
        self.assertIn("site_app.py", first[2])
        self.assertNotIn("multisite_wsgi", errors)
        self.assertEqual(errors.count("ValueError: from the application"), 2)

    def test_wrong_use_is_named(self):
        worker = self.serve("""
            def text(environ, start_response):
                ok(start_response)
                return ["text"]

            def later_text(environ, start_response):
                ok(start_response)
                yield "text"

            def silent(environ, start_response):
                return [b"x"]

            def nothing(environ, start_response):
                ok(start_response)

            def status(environ, start_response):
                start_response({"number": 200, "short": "20 OK", "break": "200 OK\\r\\nX: y"}[environ["QUERY_STRING"]], [])
                return []

            def header(environ, start_response):
                ok(start_response, {
                    "int": ("X-Count", 5), "bytes": (b"X", "y"), "name": ("X Y", "z"), "break": ("X-Y", "a\\r\\nSet-Cookie: b"),
                    "newline": ("X-Y", "a\\nb"), "nul": ("X-Y", "a\\0"), "wide": ("X-Y", "\\u20ac"), "pair": ("X-Y",),
                    "status": ("status", "404"), "length": ("Content-Length", 5)}[environ["QUERY_STRING"]])
                return []
        """)
        for path, query, message in (
                ("text", "", "expected a bytes-like object, str found"),
                ("later_text", "", "TypeError: a response body is made of bytes, not str"),
                ("silent", "", "AssertionError: the application ended without calling start_response()"),
                ("nothing", "", "TypeError: the application returned None"),
                ("status", "number", "TypeError: status must be a str such as '200 OK', not int"),
                ("status", "short", "ValueError: status must be three digits and a reason"),
                ("status", "break", "ValueError: status must be three digits and a reason"),
                ("header", "int", "TypeError: the value of response header X-Count must be a str, not int"),
                ("header", "bytes", "TypeError: the name of a response header must be a str, not b'X'"),
                ("header", "name", "ValueError: 'X Y' is not the name of a header"),
                ("header", "break", "ValueError: control character in response header X-Y: 'a\\r\\nSet-Cookie: b'"),
                ("header", "newline", "ValueError: control character in response header X-Y"),
                ("header", "nul", "ValueError: control character in response header X-Y"),
                ("header", "wide", "ValueError: response header X-Y is not Latin-1: '\u20ac'"),
                ("header", "pair", "TypeError: a response header must be a (name, value) tuple, not ('X-Y',)"),
                ("header", "status", "AssertionError: the status is an argument of start_response()"),
                ("header", "length", "TypeError: the value of response header Content-Length must be a str, not int")):
            with self.subTest(path + " " + query):
                self.assertEqual(self.answer(worker, "/" + path, query=query).status, "500 Internal Server Error")
                worker.err.wait(message)
