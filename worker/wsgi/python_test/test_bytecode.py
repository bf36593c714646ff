"""Edited code is loaded even if its old bytecode looks valid."""

import os
import unittest

from process import WorkerCase

APP = """
    import sys
    sys.dont_write_bytecode = False
    import page

    def application(environ, start_response):
        start_response("200 OK", [])
        return [page.TEXT]
"""


class Bytecode(WorkerCase):
    def test_source_of_the_same_time_and_length(self):
        for text in b"one", b"two":
            os.utime(self.write("page.py", "TEXT = %r" % text), ns=(10**9, 10**9))
            worker = self.serve(APP)
            with worker.front() as front:
                self.assertEqual(front.request().body, text)
        self.assertTrue(os.listdir(os.path.join(self.dir, "__pycache__")))


if __name__ == "__main__":
    unittest.main()
