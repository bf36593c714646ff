"""Logging about a request never fails, whatever the application has done to stderr."""

from routed import RoutedCase

APP = """
    import io, os

    class Raises:
        def write(self, text):
            raise SystemExit("no line for you")

    class WithoutFlush:
        def write(self, text):
            os.write(2, b"kept: " + text.encode())

    def full():
        return open("/dev/full", "w", buffering=1)

    def buffered():
        return open("/dev/full", "w")

    def closed():
        file = io.StringIO()
        file.close()
        return file

    def bytes_only():
        return io.BytesIO()

    def none():
        return None

    def raises():
        return Raises()

    def without_flush():
        return WithoutFlush()

    def replaced(environ, start_response):
        sys.stderr = globals()[environ["QUERY_STRING"]]()
        raise ValueError("a bug in a view")

    def closes(environ, start_response):
        sys.stderr.close()
        raise ValueError("a bug in a view")

    def descriptor(environ, start_response):
        os.dup2(os.open("/dev/full", os.O_WRONLY), 2)
        raise ValueError("a bug in a view")

    def wsgi_errors(environ, start_response):
        sys.stderr = full()
        errors = environ["wsgi.errors"]
        print("said to wsgi.errors", file=errors)
        errors.writelines(["and ", "more\\n"])
        errors.flush()
        ok(start_response)
        return [b"fine"]

    class Unspeakable(Exception):
        def __str__(self):
            raise RuntimeError("in __str__")
        __repr__ = __str__

    def unspeakable(environ, start_response):
        raise Unspeakable(1)

    def spoilt(environ, start_response):
        environ.update(REQUEST_URI=None, PATH_INFO=None, REQUEST_METHOD=None)
        raise ValueError("a bug in a view")

    def nowhere(environ, start_response):
        gone = environ["QUERY_STRING"]
        os.chdir(gone)
        os.rmdir(gone)
        exec(compile("raise ValueError('a bug in a view')", "relative.py", "exec"))

    def pid(environ, start_response):
        ok(start_response)
        return [b"%d" % os.getpid()]
"""


class Reporting(RoutedCase):
    def fails(self, path, *said, query=""):
        """Check that the request is answered 500, that the log says why, and that the worker goes on."""
        worker = self.serve(APP)
        response = self.answer(worker, path, query=query)
        self.assertEqual(response.status, "500 Internal Server Error")
        for part in said:
            worker.err.wait(part)
        self.assertEqual(self.answer(worker, "/pid").body, b"%d" % worker.pid)
        return worker

    def test_stderr_that_cannot_be_written(self):
        for name, why in (("full", "OSError"), ("buffered", "OSError"), ("closed", "ValueError"), ("none", "None"),
                          ("bytes_only", "TypeError"), ("raises", "SystemExit")):
            with self.subTest(name):
                self.fails("/replaced", "uncaught exception in GET /replaced?%s\n" % name,
                           "ValueError: a bug in a view\n", why, query=name)

    def test_stderr_that_needs_no_flush(self):
        worker = self.fails("/replaced", "ValueError: a bug in a view\n", query="without_flush")
        self.assertEqual(worker.err.text.count("uncaught exception"), 1)

    def test_closed_stderr(self):
        self.fails("/closes", "ValueError: a bug in a view\n")

    def test_descriptor_2_of_the_application(self):
        self.fails("/descriptor", "ValueError: a bug in a view\n")

    def test_wsgi_errors(self):
        worker = self.serve(APP)
        self.assertEqual(self.answer(worker, "/wsgi_errors").body, b"fine")
        worker.err.wait("said to wsgi.errors\n")
        worker.err.wait("and more\n")

    def test_exception_whose_message_raises(self):
        self.fails("/unspeakable", "in unspeakable\n", "Unspeakable: <")

    def test_environ_of_the_application(self):
        self.fails("/spoilt", "uncaught exception in None None", "ValueError: a bug in a view\n")

    def test_working_directory_that_is_gone(self):
        self.fails("/nowhere", "relative.py", "ValueError: a bug in a view\n", query=self.directory_to_remove())

    def test_a_load_that_fails_with_an_exception_whose_message_raises(self):
        self.write("broken.py", "class Unspeakable(Exception):\n    def __str__(self):\n        raise self\nraise Unspeakable\n")
        error, traceback = self.failure(wsgi="broken")
        self.assertRegex(error, "^Unspeakable: <.*>$")
        self.assertIn("broken.py", traceback)

    def directory_to_remove(self):
        import os
        import tempfile

        return os.path.realpath(tempfile.mkdtemp(dir=self.dir))


class TheChild(RoutedCase):
    def test_a_child_that_returns_exits_whatever_stdout_is(self):
        worker = self.serve("""
            import os

            def falls_back(environ, start_response):
                pid = os.fork()
                if pid == 0:
                    sys.stdout = None
                ok(start_response)
                return [b"%d" % os.waitpid(pid, 0)[1]] if pid else [b"child"]
        """)
        self.assertEqual(self.answer(worker, "/falls_back").body, b"0")
