"""The smallest site, from its start to a clean exit."""

import platform
import signal

from process import WorkerCase

HELLO = """
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello from " + environ["PATH_INFO"].encode()]
"""


class Hello(WorkerCase):
    def test_ready_answer_and_exit(self):
        self.write("site_app.py", HELLO)
        worker = self.start(wsgi="site_app")
        self.assertEqual(worker.event(), {
            "event": "ready", "python": platform.python_version(), "django": "", "static": []})
        self.assertIsNone(worker.event())
        with worker.front() as front:
            for path in ("/a", "/b"):
                response = front.request(path=path)
                self.assertEqual(response.status, "200 OK")
                self.assertEqual(response.headers, [("Content-Type", "text/plain"), ("Content-Length", "13")])
                self.assertEqual(response.body, b"hello from " + path.encode())
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0)
        self.assertEqual(worker.out.all() + worker.err.all(), "")
