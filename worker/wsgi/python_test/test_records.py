"""FastCGI 1.0: what the worker does with every kind of record, valid or not."""

import random
import struct

from front import (ABORT, BEGIN, END, GET_VALUES, GET_VALUES_RESULT, PARAMS, STDIN, STDOUT, UNKNOWN_TYPE, Cut, begin,
                   body, environ, head, packed, pairs, record)
from process import WorkerCase

ECHO = """
    def application(environ, start_response):
        data = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode("latin-1") + data]
"""


class Records(WorkerCase):
    def setUp(self):
        super().setUp()
        self.worker = self.serve(ECHO, threads=3)

    def test_get_values(self):
        with self.worker.front() as front:
            asked = dict.fromkeys(("FCGI_MAX_CONNS", "FCGI_MPXS_CONNS", "FCGI_MAX_REQS", "OTHER"), "")
            front.send(record(GET_VALUES, pairs(asked), 0))
            self.assertEqual(front.record(), (GET_VALUES_RESULT, 0, pairs(
                {"FCGI_MAX_CONNS": "3", "FCGI_MPXS_CONNS": "0", "FCGI_MAX_REQS": "3"})))
            front.send(head(environ()) + record(GET_VALUES, pairs(asked), 0))  # within a request too
            self.assertEqual(front.record()[0], GET_VALUES_RESULT)
            front.send(body(b"x"))
            self.assertEqual(front.response().body, b"/x")

    def test_unknown_management_type(self):
        with self.worker.front() as front:
            front.send(record(77, b"whatever", 0))
            self.assertEqual(front.record(), (UNKNOWN_TYPE, 0, bytes([77]) + bytes(7)))
            self.assertEqual(front.request().body, b"/")

    def test_other_roles_are_refused(self):
        with self.worker.front() as front:
            front.send(begin(request_id=9, role=2) + record(PARAMS, b"", 9))
            self.assertEqual(front.record(), (END, 9, struct.pack(">LB3x", 0, 3)))
            self.assertEqual(front.request().body, b"/")

    def test_a_second_request_at_a_time_is_refused(self):
        with self.worker.front() as front:
            front.send(begin(1) + begin(2))
            self.assertEqual(front.record(), (END, 2, struct.pack(">LB3x", 0, 1)))
            front.send(head(environ())[16:] + begin(3))
            self.assertEqual(front.record(), (END, 3, struct.pack(">LB3x", 0, 1)))
            front.send(body(b"on"))
            self.assertEqual(front.response().body, b"/on")

    def test_request_ids_and_padding(self):
        with self.worker.front() as front:
            self.assertEqual(front.request(request_id=65535).body, b"/")
            block = pairs(environ())
            front.send(begin(7) + record(PARAMS, block[:50], 7, padding=255) + record(PARAMS, block[50:], 7, padding=1)
                       + record(PARAMS, b"", 7, padding=3) + record(STDIN, b"ab", 7, padding=6) + record(STDIN, b"", 7))
            self.assertEqual(front.response(7).body, b"/ab")

    def test_parameters_in_one_pair(self):
        for params in (environ(path="/caf\xe9"), environ(path="/caf\xe9", HTTP_X="y" * 200000)):
            block = packed(params)
            with self.worker.front() as front:
                front.send(begin() + b"".join(record(PARAMS, block[i:i + 65535]) for i in range(0, len(block), 65535))
                           + record(PARAMS) + body(b""))
                self.assertEqual(front.response().body, b"/caf\xe9")

    def test_response_records_end_the_stream_and_are_aligned(self):
        with self.worker.front() as front:
            front.send(head(environ()) + body(b"abc"))
            raw = b""
            while not raw.endswith(struct.pack(">LB3x", 0, 0)):
                raw += front.sock.recv(65536)
            self.assertEqual(len(raw) % 8, 0)
            front._data = raw
            kinds = [front.record()[0], front.record(), front.record()]
            self.assertEqual(kinds, [STDOUT, (STDOUT, 1, b""), (END, 1, bytes(8))])

    def test_one_byte_at_a_time(self):
        with self.worker.front() as front:
            for byte in head(environ()) + body(b"slow"):
                front.send(bytes([byte]))
            self.assertEqual(front.response().body, b"/slow")

    def test_requests_in_one_write(self):
        with self.worker.front() as front:
            front.send(b"".join(head(environ(path="/%d" % n)) + body(b"!") for n in range(50)))
            self.assertEqual([front.response().body for _ in range(50)], [b"/%d!" % n for n in range(50)])

    def test_without_keep_conn_the_connection_closes(self):
        with self.worker.front() as front:
            front.send(head(environ(), keep=0) + body(b""))
            self.assertEqual(front.response().body, b"/")
            self.assertTrue(front.at_end())

    def test_abort_before_the_parameters_end(self):
        with self.worker.front() as front:
            front.send(begin() + record(PARAMS, pairs(environ())) + record(ABORT))
            self.assertEqual(list(front.stream()), [])
            self.assertEqual(front.request().body, b"/")

    def test_leftovers_between_requests_are_ignored(self):
        with self.worker.front() as front:
            for kind in (ABORT, STDIN, PARAMS):
                front.send(record(kind, b"" if kind == ABORT else b"old"))
            self.assertEqual(front.request().body, b"/")

    def test_malformed_records_close_the_connection_and_nothing_else(self):
        block = pairs(environ())
        for name, data in {
            "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "version": b"\x02" + begin()[1:],
            "short begin": record(BEGIN, b"\0\1"),
            "parameters cut short": begin() + record(PARAMS, block[:-1]) + record(PARAMS),
            "length cut short": begin() + record(PARAMS, block + b"\x80") + record(PARAMS),
            "name without end": begin() + record(PARAMS, b"\xff\xff\xff\xff\x01ab") + record(PARAMS),
            "odd number of parameters in one pair": begin() + record(PARAMS, pairs({"": "PATH_INFO"})) + record(PARAMS),
            "one pair and another": begin() + record(PARAMS, packed(environ()) + block) + record(PARAMS),
            "one pair cut short": begin() + record(PARAMS, packed(environ())[:-1]) + record(PARAMS),
            "one pair without length": begin() + record(PARAMS, b"\0") + record(PARAMS),
            "body among parameters": begin() + record(STDIN, b"x"),
            "parameters in the body": head(environ()) + record(PARAMS, b"x"),
        }.items():
            with self.subTest(name), self.worker.front() as front:
                front.send(data)
                self.assertTrue(front.at_end() or front.response().status.startswith("500"))
        with self.worker.front() as front:
            self.assertEqual(front.request().body, b"/")
        errors = self.worker.err.wait("record of type 4 in the body")
        self.assertEqual(errors.count("closing a connection of the front door: malformed FastCGI: "), 12, errors)

    def test_noise(self):
        """The worker goes on, without a traceback, whatever it receives."""
        chance = random.Random(1)
        ours = begin() + record(PARAMS, packed(environ())) + record(PARAMS) + body(b"")
        for n in range(400):
            data = bytearray(ours if n % 2 else head(environ()) + body(b"data"))
            for _ in range(chance.randrange(1, 6)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            with self.worker.front() as front:
                front.send(data[:chance.randrange(1, len(data) + 1)])
        with self.worker.front() as front:
            self.assertEqual(front.request().body, b"/")
        self.assertNotIn("Traceback", self.worker.err.text)


class FrontLeaves(WorkerCase):
    APP = """
        import sys

        class Endless:
            def __iter__(self):
                while True:
                    yield b"x" * 65536

            def close(self):
                print("closed", file=sys.stderr)

        def application(environ, start_response):
            write = start_response("200 OK", [])
            if environ["PATH_INFO"] == "/endless":
                return Endless()
            if environ["PATH_INFO"] == "/write":
                while True:
                    write(b"x" * 65536)
            if environ["PATH_INFO"] == "/read":
                write(b"reading")
                environ["wsgi.input"].read()
            return [b"served"]
    """

    def test_while_streaming_and_while_sending(self):
        worker = self.serve(self.APP)
        for path in ("/endless", "/write", "/read"):
            with self.subTest(path):
                with worker.front() as front:
                    front.send(head(environ("POST", path=path)))
                    next(front.stream())
                with worker.front() as front:
                    self.assertEqual(front.request().body, b"served")
        self.assertEqual(worker.err.wait("closed\n"), "closed\n")

    def test_in_the_middle_of_a_request(self):
        worker = self.serve(self.APP)
        whole = head(environ())
        for size in (3, 8, 20, len(whole) - 4):
            with worker.front() as front:
                front.send(whole[:size])
        with worker.front() as front:
            self.assertEqual(front.request().body, b"served")
        self.assertEqual(worker.err.text, "")


class Cutting(WorkerCase):
    def test_a_connection_that_was_cut_can_be_replaced(self):
        worker = self.serve("""
            def application(environ, start_response):
                start_response("200 OK", [])
                yield b"begun"
                if environ["QUERY_STRING"]:
                    raise ValueError
        """)
        with worker.front() as front, self.assertRaises(Cut):
            front.request(query="fail")
        with worker.front() as front:
            self.assertEqual(front.request().body, b"begun")
