"""Signals, streams, threads, forks: from the start of the process to its end."""

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


class Leaving(WorkerCase):
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
        """None is lost in the socket's buffer."""
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

    def test_requests_and_bodies_that_let_wait(self):
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

    def test_idle_worker_leaves_at_once(self):
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
        """SIGTERM under load: every answer is whole, or the connection ended before the request."""
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
        self.assertEqual(worker.err.all(), "leaving without the threads that do not end: stuck\n")

    def test_failed_load_leaves_the_same_way(self):
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


class Streams(WorkerCase):
    def test_lines_arrive_as_they_are_written(self):
        worker = self.serve("""
            import logging, sys, warnings

            logging.basicConfig(format="%(levelname)s %(message)s")

            def application(environ, start_response):
                print("out \\u20ac \\ud800")
                print("begun, ", end="")
                print("ended")
                print("err", file=sys.stderr)
                print("wsgi", file=environ["wsgi.errors"])
                logging.warning("logged")
                sys.stdout.buffer.write(b"bytes\\n")
                print("flushed", end="", flush=True)
                print(".")
                sys.stdout.writelines(["two\\nlines\\n"])
                start_response("200 OK", [])
                return [repr((sys.stdout.encoding, sys.stdout.isatty(), sys.stdout.fileno(),
                              sys.stdin.read())).encode()]
        """)
        with worker.front() as front:
            self.assertEqual(front.request().body, b"('utf-8', False, 1, '')")
            self.assertEqual(worker.out.wait("two\nlines\n"),
                             "out \u20ac \\ud800\nbegun, ended\nbytes\nflushed.\ntwo\nlines\n")
            self.assertEqual(worker.err.wait("logged\n"), "err\nwsgi\nWARNING logged\n")

    def test_lines_of_threads_do_not_mix(self):
        worker = self.serve("""
            def application(environ, start_response):
                letter = environ["QUERY_STRING"]
                for _ in range(500):
                    for _ in range(10):
                        print(letter, end=" ")
                    print()
                start_response("200 OK", [])
                return []
        """, threads=4)

        def ask(letter):
            with worker.front() as front:
                front.request(query=letter)

        threads = [threading.Thread(target=ask, args=(letter,)) for letter in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        worker.signal(signal.SIGTERM)
        worker.wait()
        lines = worker.out.all().splitlines()
        self.assertEqual(sorted(lines), sorted((letter + " ") * 10 for letter in "abcd" for _ in range(500)))

    def test_a_last_line_without_newline_is_not_lost(self):
        worker = self.serve("""
            import atexit, sys

            atexit.register(sys.stdout.write, "last words")

            def application(environ, start_response):
                pass
        """)
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0)
        self.assertEqual(worker.out.all(), "last words")


class Concurrency(WorkerCase):
    def test_threads_serve_at_the_same_time(self):
        worker = self.serve("""
            import threading

            together = threading.Barrier(3, timeout=20)

            def application(environ, start_response):
                together.wait()
                start_response("200 OK", [])
                return [threading.current_thread().name.encode()]
        """, threads=3)
        fronts = [worker.front() for _ in range(3)]
        for front in fronts:
            front.send(head(environ()) + body(b""))
        self.assertEqual(sorted(front.response().body for front in fronts), [b"MainThread", b"request-2", b"request-3"])
        for front in fronts:
            front.sock.close()

    def test_one_thread_is_the_main_thread_and_no_other_exists(self):
        worker = self.serve("""
            import os, threading

            def application(environ, start_response):
                start_response("200 OK", [])
                return [repr((threading.current_thread() is threading.main_thread(),
                              len(os.listdir("/proc/self/task")))).encode()]
        """)
        with worker.front() as front:
            self.assertEqual(front.request().body, b"(True, 1)")

    def test_default_timeout_of_the_application_is_not_ours(self):
        worker = self.serve("""
            import socket

            socket.setdefaulttimeout(0.001)

            def application(environ, start_response):
                start_response("200 OK", [])
                yield b"x" * 10000000
                yield environ["wsgi.input"].read()
        """)
        with worker.front() as front:
            front.send(head(environ()))
            stream = front.stream()
            next(stream)
            os.sched_yield()
            front.send(body(b"late"))
            self.assertTrue(b"".join(stream).endswith(b"xlate"))


class Forking(WorkerCase):
    APP = """
        import atexit, multiprocessing, os, signal, sys

        if __name__ == "site_app":
            atexit.register(print, "at exit")

        def spawned(start_response):
            process = multiprocessing.get_context("spawn").Process(target=sys.exit, args=(7,))
            process.start()
            process.join()
            start_response("200 OK", [])
            return [b"%d" % process.exitcode]

        def application(environ, start_response):
            return globals()[environ["PATH_INFO"][1:]](start_response)

        def term(start_response):
            process = multiprocessing.get_context("fork").Process(target=signal.pause)
            process.start()
            process.terminate()
            process.join()
            start_response("200 OK", [])
            return [b"%d" % process.exitcode]

        def falls_back(start_response):
            pid = os.fork()
            start_response("200 OK", [])
            if pid:
                os.waitpid(pid, 0)
                return [b"parent"]
            return [b"child"]

        def stays(start_response):
            reader, writer = os.pipe()
            if os.fork() == 0:
                os.close(writer)
                os.read(reader, 1)  # until the worker is gone
                print("child ends")
                sys.stdout.flush()
                os._exit(0)
            start_response("200 OK", [])
            return [b"parent"]
    """

    def test_a_signal_to_a_child_is_not_for_the_worker(self):
        worker = self.serve(self.APP)
        with worker.front() as front:
            self.assertEqual(front.request(path="/term").body, b"-15")
            self.assertEqual(front.request(path="/term").body, b"-15")

    def test_multiprocessing_spawn(self):
        worker = self.serve(self.APP)
        with worker.front() as front:
            self.assertEqual(front.request(path="/spawned").body, b"7")

    def test_a_child_that_returns_from_the_application_ends(self):
        worker = self.serve(self.APP)
        with worker.front() as front:
            self.assertEqual(front.request(path="/falls_back").body, b"parent")
            self.assertEqual(front.request(path="/falls_back").body, b"parent")
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0)
        self.assertEqual((worker.out.all(), worker.err.all()), ("at exit\n", ""))

    def test_a_child_that_stays_does_not_hold_the_connection(self):
        worker = self.serve(self.APP)
        with worker.front() as front:
            self.assertEqual(front.request(path="/stays").body, b"parent")
            worker.signal(signal.SIGTERM)
            self.assertTrue(front.at_end())
        self.assertEqual(worker.wait(), 0)
        worker.out.wait("child ends\n")
