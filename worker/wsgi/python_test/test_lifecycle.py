"""Signals, and how the process exits."""

import os
import signal
import threading

from front import Cut, body, environ, head
from process import WorkerCase

GATED = """
    import atexit, sys

    atexit.register(print, "at exit")

    def application(environ, start_response):
        if environ["QUERY_STRING"]:
            print("waiting")
            with open(environ["QUERY_STRING"]) as gate:
                gate.read()
        start_response("200 OK", [])
        return [b"done"]
"""


# SIGTERM comes after the worker has looked for signals, and before it waits.
BEFORE_POLL = """
    import os, select, signal

    class Poll:
        real = select.poll
        armed = False

        def __init__(self):
            self._poll = Poll.real()
            self.register = self._poll.register

        def poll(self, *timeout):
            if not Poll.armed:
                return self._poll.poll(*timeout)
            Poll.armed = False
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
            os.kill(os.getpid(), signal.SIGTERM)
            ready = self._poll.poll(*timeout)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
            return ready

    select.poll = Poll

    def application(environ, start_response):
        Poll.armed = True
        start_response("200 OK", [])
        return [b"done"]
"""


class Exit(WorkerCase):
    def test_a_signal_just_before_waiting(self):
        worker = self.serve(BEFORE_POLL)
        with worker.front() as front:
            self.assertEqual(front.request().body, b"done")
            self.assertEqual(worker.wait(), 0)

    def fifo(self):
        path = os.path.join(self.dir, "gate")
        os.mkfifo(path)
        return path

    def test_the_running_request_is_answered_first(self):
        gate = self.fifo()
        for threads in (1, 3):
            with self.subTest(threads=threads):
                worker = self.serve(GATED, threads=threads)
                with worker.front() as front:
                    front.send(head(environ(query=gate)) + body(b""))
                    worker.out.wait("waiting\n")
                    worker.signal(signal.SIGTERM)
                    worker.signal(signal.SIGTERM)
                    open(gate, "w").close()
                    self.assertEqual(front.response().body, b"done")
                    self.assertTrue(front.at_end())
                self.assertEqual(worker.wait(), 0)
                self.assertEqual((worker.out.all(), worker.err.all()), ("waiting\nat exit\n", ""))

    def test_a_request_that_has_begun_to_arrive_is_answered(self):
        worker = self.serve("""
            def application(environ, start_response):
                start_response("200 OK", [])(b"begun")
                return [environ["wsgi.input"].read()]
        """)
        with worker.front() as front:
            front.send(head(environ("POST")))
            self.assertTrue(next(front.stream()).endswith(b"begun"))
            worker.signal(signal.SIGTERM)
            front.send(body(b" and ended"))
            self.assertEqual(b"".join(front.stream()), b" and ended")
            self.assertTrue(front.at_end())
        self.assertEqual(worker.wait(), 0)

    def test_requests_sent_before_the_end_are_answered(self):
        """No request is lost in the socket's buffer."""
        gate = self.fifo()
        worker = self.serve(GATED)
        request = head(environ(X="x" * 500)) + body(b"")
        request = head(environ(X="x" * (1524 - len(request)))) + body(b"")
        self.assertEqual(len(request), 1024)
        count = 150  # the worker receives 64 at once, and ends between two
        with worker.front() as front:
            front.send(head(environ(query=gate)) + body(b""))
            worker.out.wait("waiting\n")
            front.send(request * count)
            worker.signal(signal.SIGTERM)
            open(gate, "w").close()
            for _ in range(1 + count):
                self.assertEqual(front.response().body, b"done")
            self.assertTrue(front.at_end())
        self.assertEqual(worker.wait(), 0)

    def test_requests_and_bodies_that_arrive_late(self):
        worker = self.serve("""
            def application(environ, start_response):
                start_response("200 OK", [])(b"begun")
                return [environ["wsgi.input"].read()]
        """)
        polling = worker.asleep_in()  # it waits for a connection
        with worker.front() as front:
            for _ in range(2):
                front.send(head(environ("POST")))
                self.assertTrue(next(front.stream()).endswith(b"begun"))
                worker.sleep_again()
                front.send(body(b" and ended"))
                self.assertEqual(b"".join(front.stream()), b" and ended")
                worker.asleep_in(polling)
            worker.signal(signal.SIGTERM)
            self.assertTrue(front.at_end())
        self.assertEqual(worker.wait(), 0)

    def test_idle_worker_exits_at_once(self):
        for threads, connections in ((1, 0), (4, 0), (4, 3)):
            with self.subTest(threads=threads, connections=connections):
                worker = self.serve(GATED, threads=threads)
                for _ in range(30):  # every thread wakes up for each of them, one serves it
                    with worker.front() as front:
                        self.assertEqual(front.request().body, b"done")
                fronts = [worker.front() for _ in range(connections)]
                for front in fronts:
                    self.assertEqual(front.request().body, b"done")
                worker.signal(signal.SIGTERM)
                self.assertEqual(worker.wait(), 0)
                for front in fronts:
                    self.assertTrue(front.at_end())
                    front.sock.close()

    def test_requests_while_the_signal_arrives(self):
        """SIGTERM under load: every response is complete, or the connection was closed before the request."""
        for _ in range(10):
            worker = self.serve(GATED)
            answers = 0
            with worker.front() as front:
                self.assertEqual(front.request().body, b"done")
                worker.signal(signal.SIGTERM)
                try:
                    while True:
                        self.assertEqual(front.request().body, b"done")
                        answers += 1
                except (Cut, ConnectionError):
                    self.assertEqual(front._data, b"")
            self.assertEqual(worker.wait(), 0)
            self.assertEqual((worker.out.all(), worker.err.all()), ("at exit\n", ""))

    def test_system_calls_of_the_application_are_not_interrupted(self):
        gate = self.fifo()
        worker = self.serve("""
            import ctypes, os

            def application(environ, start_response):
                fd = os.open(environ["QUERY_STRING"], os.O_RDONLY)
                start_response("200 OK", [])(b"waiting")
                buffer = ctypes.create_string_buffer(10)
                return [b"%d" % ctypes.CDLL(None).read(fd, buffer, 10)]
        """)
        with worker.front() as front:
            front.send(head(environ(query=gate)) + body(b""))
            with open(gate, "w", buffering=1) as pen:
                stream = front.stream()
                next(stream)
                for _ in range(20):
                    worker.signal(signal.SIGTERM)
                    os.sched_yield()
                pen.write("abc\n")
                self.assertEqual(b"".join(stream), b"4")
        self.assertEqual(worker.wait(), 0)

    def test_interrupt_and_hangup_are_the_supervisors(self):
        worker = self.serve(GATED)
        for number in (signal.SIGINT, signal.SIGHUP):
            worker.signal(number)
        with worker.front() as front:
            self.assertEqual(front.request().body, b"done")

    def test_threads_of_the_application(self):
        worker = self.serve("""
            import concurrent.futures, threading

            go = threading.Event()
            pool = concurrent.futures.ThreadPoolExecutor()
            pool.submit(print, "pool works").result()

            def work():
                go.wait()
                print("thread ended")

            threading.Thread(target=work).start()
            threading.Thread(target=threading.Event().wait, daemon=True).start()

            def application(environ, start_response):
                go.set()
                start_response("200 OK", [])
                return []
        """)
        with worker.front() as front:
            front.request()
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0)
        self.assertEqual((worker.out.all(), worker.err.all()), ("pool works\nthread ended\n", ""))

    def test_a_thread_that_does_not_end_delays_only_so_long(self):
        worker = self.serve("""
            import atexit, threading

            atexit.register(print, "at exit")
            threading.Thread(target=threading.Event().wait, name="stuck").start()

            def application(environ, start_response):
                pass
        """, thread_join_seconds=0.2)
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0)
        self.assertEqual(worker.out.all(), "at exit\n")
        self.assertEqual(worker.err.all(), "exiting without waiting for threads that do not end: stuck\n")

    def test_failed_load_exits_the_same_way(self):
        self.write("broken.py", "import atexit\natexit.register(print, 'at exit')\nraise ValueError\n")
        worker = self.start(wsgi="broken")
        self.assertEqual(worker.event()["event"], "failed")
        self.assertEqual(worker.wait(), 1)
        self.assertEqual((worker.out.all(), worker.err.all()), ("at exit\n", ""))


class Stacks(WorkerCase):
    def test_stacks_of_all_threads_on_request(self):
        gate = os.path.join(self.dir, "gate")
        os.mkfifo(gate)
        worker = self.serve(GATED, threads=2)
        with worker.front() as front:
            front.send(head(environ(query=gate)) + body(b""))
            worker.out.wait("waiting\n")
            dumps = 0
            while "in wait\n" not in worker.err.text:  # the other thread has woken up for the connection, too
                worker.signal(signal.SIGUSR1)
                dumps += 1
                worker.err.wait("in _run_module_as_main\n", dumps)  # the last line
            worker.err.wait("in application\n")
            open(gate, "w").close()
            self.assertEqual(front.response().body, b"done")

    def test_a_crash_leaves_a_stack(self):
        worker = self.serve("""
            import os, signal

            def application(environ, start_response):
                os.kill(os.getpid(), signal.SIGSEGV)
        """)
        with worker.front() as front, self.assertRaises(Cut):
            front.request()
        self.assertEqual(worker.wait(), -signal.SIGSEGV)
        self.assertIn("in application", worker.err.all())
