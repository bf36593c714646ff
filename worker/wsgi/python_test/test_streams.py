"""stdout, stderr and threads: lines of output arrive whole, and threads serve at the same time."""

import os
import signal
import threading

from front import body, environ, head
from process import WorkerCase


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

    def test_default_timeout_of_the_application_does_not_apply_to_connections(self):
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
