"""Followers: requests that the front door sends while another one runs, and may recall."""

import os
import socket
import struct

from front import (END, GET_VALUES, GET_VALUES_RESULT, PARAMS, body, environ, head, packed, pairs, record)
from process import WorkerCase

COUNT = """
    import itertools
    import os

    begun = itertools.count(1)

    def application(environ, start_response):
        if "wait" in environ["QUERY_STRING"]:
            print("waiting", flush=True)
            open(environ["QUERY_STRING"].partition("=")[2]).close()
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/descriptors":
            return [b"%d" % len(os.listdir("/proc/self/fd"))]
        return [b"%d %s" % (next(begun), environ["PATH_INFO"].encode())]
"""
FOLLOWER = 0x80


def request(path, request_id, form, follower=True):
    """A request as the front door sends it, or in pairs of parameters."""
    params = environ(path=path)
    begin = record(1, struct.pack(">HB5x", 1, 1 | (FOLLOWER if follower else 0)), request_id)
    return begin + record(PARAMS, form(params), request_id) + record(PARAMS, b"", request_id) + body(b"", request_id)


class Ahead(WorkerCase):
    def greet(self, front):
        """Send the worker a descriptor for the tokens of a connection; return the other end, which stands for the front door's."""
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.addCleanup(os.close, writer)
        socket.send_fds(front.sock, [record(GET_VALUES, pairs({"MULTISITE_AHEAD": ""}), 0)], [reader])
        os.close(reader)
        self.assertEqual(front.record(), (GET_VALUES_RESULT, 0, pairs({"MULTISITE_AHEAD": "1"})))
        return writer

    def test_answered_in_order_as_long_as_there_are_tokens(self):
        worker = self.serve(COUNT)
        for form in packed, pairs:
            with worker.front() as front:
                tokens = self.greet(front)
                os.write(tokens, b"12345678")
                front.send(request("/a", 1, form, follower=False) + request("/b", 2, form) + request("/c", 3, form)
                           + request("/d", 4, form, follower=False))
                self.assertTrue(front.response(1).body.endswith(b" /a"))
                self.assertTrue(front.response(2).body.endswith(b" /b"))
                self.assertEqual(front.record(), (END, 3, struct.pack(">LB3x", 0, 2)))
                self.assertTrue(front.response(4).body.endswith(b" /d"))
        with worker.front() as front:
            self.assertEqual(front.request(path="/last").body, b"7 /last")  # the recalled requests have not run

    def test_recalled_while_another_request_runs(self):
        gate = os.path.join(self.dir, "gate")
        os.mkfifo(gate)
        worker = self.serve(COUNT)
        with worker.front() as front:
            tokens = self.greet(front)
            front.send(head(environ(path="/a", query="wait=" + gate)) + body(b""))
            worker.out.wait("waiting\n")
            front.send(request("/b", 2, packed) + request("/c", 3, packed))
            os.write(tokens, b"12345678")
            open(gate, "w").close()
            self.assertEqual(front.response(1).body, b"1 /a")
            self.assertEqual(front.response(2).body, b"2 /b")
            self.assertEqual(front.record(), (END, 3, struct.pack(">LB3x", 0, 2)))

    def test_followers_are_not_offered_without_tokens(self):
        with self.serve(COUNT).front() as front:
            front.send(record(GET_VALUES, pairs({"MULTISITE_AHEAD": ""}), 0))
            self.assertEqual(front.record(), (GET_VALUES_RESULT, 0, b""))

    def test_tokens_are_closed_with_their_connection(self):
        worker = self.serve(COUNT)
        open_files = set()
        for _ in range(5):
            with worker.front() as front:
                self.greet(front)
                open_files.add(front.request(path="/descriptors").body)
        self.assertEqual(len(open_files), 1)
