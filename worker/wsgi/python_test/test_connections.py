"""More connections than the worker has threads, which the front door never opens."""

import os
import select

from front import GET_VALUES, GET_VALUES_RESULT, body, environ, head, pairs, record
from process import WorkerCase

HELLO = """
    import os

    def application(environ, start_response):
        if environ["QUERY_STRING"]:
            print("waiting", flush=True)
            open(environ["QUERY_STRING"]).close()
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode()]
"""


class Connections(WorkerCase):
    def check_idle_ones_end(self, threads):
        worker = self.serve(HELLO, threads=threads)
        fronts = [worker.front() for _ in range(threads)]
        for front in fronts:
            self.addCleanup(front.sock.close)
            self.assertEqual(front.request(path="/kept").body, b"/kept")
        for _ in range(3):
            fronts.append(worker.front())
            self.addCleanup(fronts[-1].sock.close)
            self.assertEqual(fronts[-1].request(path="/new").body, b"/new")
        ended, _, _ = select.select([front.sock for front in fronts], [], [], 0)
        self.assertGreaterEqual(len(ended), 3)  # two threads may see the one that waits, and both make room
        self.assertNotIn(fronts[-1].sock, ended)

    def test_an_idle_one_ends_for_one_that_waits(self):
        self.check_idle_ones_end(1)

    def test_one_idle_one_of_several_ends_for_one_that_waits(self):
        self.check_idle_ones_end(2)

    def test_none_ends_while_a_thread_is_free(self):
        worker = self.serve(HELLO, threads=2)
        with worker.front() as kept:
            for _ in range(3):
                self.assertEqual(kept.request(path="/kept").body, b"/kept")
                with worker.front() as other:
                    self.assertEqual(other.request(path="/other").body, b"/other")
            self.assertEqual(kept.request(path="/kept").body, b"/kept")

    def test_what_was_sent_before_the_end_is_answered(self):
        gate = os.path.join(self.dir, "gate")
        os.mkfifo(gate)
        worker = self.serve(HELLO)
        with worker.front() as first, worker.front() as second:
            first.send(head(environ(path="/a", query=gate)) + body(b""))
            worker.out.wait("waiting\n")
            second.send(record(GET_VALUES, pairs({"FCGI_MAX_REQS": ""}), 0))
            first.send(head(environ(path="/b"), 2) + body(b"", 2))
            open(gate, "w").close()
            self.assertEqual(first.response(1).body, b"/a")
            self.assertEqual(first.response(2).body, b"/b")
            self.assertEqual(second.record(), (GET_VALUES_RESULT, 0, pairs({"FCGI_MAX_REQS": "1"})))
            self.assertTrue(first.at_end())
