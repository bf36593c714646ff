"""Sites that are not fork-safe when they are loaded: the hazard is named, and they are served without a zygote."""

import os
import re
import signal
import socket
import unittest

from zygotes import Zygotes

APPLICATION = """

def application(environ, start_response):
    start_response("200 OK", [])
    return [str(answer()).encode()]
"""


class Hazards(Zygotes):
    def app(self, source, answer="'ok'"):
        """Write a site whose answer() is the given expression, evaluated for each request."""
        self.write("site_app.py", source)
        with open(os.path.join(self.dir, "site_app.py"), "a") as file:
            file.write("\ndef answer():\n    return %s\n%s" % (answer, APPLICATION))

    def check_hazards(self, *patterns, body=b"ok", **config):
        """Check that these are the site's hazards, and that it works in a worker that loads it."""
        zygote = self.site(wsgi="site_app", **config)
        event = zygote.event()
        self.assertEqual(event and event["event"], "unsafe", event or zygote.out.text)
        self.assertEqual(len(event["reasons"]), len(patterns), event["reasons"])
        for reason, pattern in zip(event["reasons"], patterns):
            self.assertRegex(reason, "^%s$" % pattern)
        worker = self.worker(wsgi="site_app", **config)
        self.assertEqual(worker.event()["event"], "ready")
        self.assertEqual(self.get(worker).body, body)
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0, worker.out.text)
        self.assertEqual(zygote.wait(), 0, zygote.out.text)
        return zygote

    def shares(self, body=b"ok", **config):
        """Check that the site is fork-safe and works in a worker of its zygote, which is returned."""
        zygote = self.ready(wsgi="site_app", **config)
        worker = self.serving(zygote)
        self.assertEqual(self.get(worker).body, body)
        worker.zygote = zygote
        return worker


class Threads(Hazards):
    def test_thread(self):
        self.write("otel.py", """
            import threading

            stop = threading.Event()
            def begin():
                threading.Thread(target=stop.wait, name="otel-exporter", daemon=True).start()
        """)
        self.app("import otel\notel.begin()")
        self.check_hazards(r'thread "otel-exporter" started in otel\.py:6')

    def test_executor(self):
        self.app("""
            from concurrent.futures import ThreadPoolExecutor
            pool = ThreadPoolExecutor(1, "jobs")
            pool.submit(int).result()
        """, "pool.submit(str, 'ok').result()")
        self.check_hazards(r'thread "jobs_0" started in site_app\.py:4')

    def test_executor_without_work_yet(self):
        self.app("""
            from concurrent.futures import ThreadPoolExecutor
            pool = ThreadPoolExecutor(1)
        """, "pool.submit(str, 'ok').result()")
        zygote = self.ready(wsgi="site_app", warmup=[])
        self.assertEqual(self.get(self.serving(zygote)).body, b"ok")

    def test_thread_started_by_a_request(self):
        self.app("""
            import threading
            stop = threading.Event()
            def begin():
                threading.Thread(target=stop.wait, name="late", daemon=True).start()
                return "ok"
        """, "begin()")
        self.check_hazards(r'thread "late" started in site_app\.py:5')

    def test_thread_that_has_ended(self):
        self.app("""
            import threading
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()
        """)
        self.shares()

    def test_thread_of_a_library(self):
        self.app("""
            import _thread
            lock = _thread.allocate_lock()
            lock.acquire()
            _thread.start_new_thread(lock.acquire, ())
        """)
        self.check_hazards(r'thread ".+" of a C library')

    def test_wrapped_start(self):
        """Sentry wraps Thread.start when it is loaded, and the wrapper stays."""
        self.app("""
            import threading
            start, started = threading.Thread.start, []
            def wrapped(self):
                started.append(self)
                return start(self)
            threading.Thread.start = wrapped
            def use():
                thread = threading.Thread(target=int)
                thread.start()
                thread.join()
                return len(started)
        """, "use()")
        self.assertEqual(self.get(self.serving(self.ready(wsgi="site_app", warmup=[]))).body, b"1")

    def test_started_later(self):
        """A signal handler of the application starts a thread in the zygote, after the first fork."""
        self.app("""
            import signal, threading
            stop = threading.Event()
            def begin(*_):
                threading.Thread(target=stop.wait, name="late", daemon=True).start()
                print("begun", flush=True)
            signal.signal(signal.SIGUSR2, begin)
        """)
        zygote = self.shares().zygote
        zygote.signal(signal.SIGUSR2)
        zygote.out.wait("begun")
        self.assertEqual(zygote.control.ask({"cmd": "fork", "worker": "w"}), {"unsafe": ['thread "late"']})


class Descriptors(Hazards):
    def test_connected_socket(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = "127.0.0.1:%d" % server.getsockname()[1]
            self.app("""
                import socket
                sock = socket.create_connection(("127.0.0.1", %s))
            """ % address.partition(":")[2])
            self.check_hazards(r"socket connected to %s, opened in site_app\.py:3" % re.escape(address))

    def test_listening_socket(self):
        self.app("""
            import socket
            sock = socket.socket(socket.AF_UNIX)
            sock.bind("\\0multisite-test-%d" % __import__("os").getpid())
            sock.listen()
        """)
        self.check_hazards(r"socket listening on @multisite-test-\d+, opened in site_app\.py:5")

    def test_datagram_socket(self):
        self.app("""
            import socket
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.connect(("127.0.0.1", 9))
        """)
        self.shares()

    def test_writable_file(self):
        self.app("file = open('state', 'w')")
        self.check_hazards(r"file %s/state open for writing \(descriptor \d+\)" % re.escape(self.dir), home=self.dir)

    def test_read_only_file(self):
        self.write("data", "ok")
        self.app("file = open('data')", "file.seek(0) or file.read()")
        self.shares(home=self.dir)

    def test_log_file_is_written_once(self):
        self.app("""
            log = open("log", "a")
            log.write("loaded\\n")
        """, "log.write('request\\n') and 'ok'")
        zygote = self.ready(wsgi="site_app", home=self.dir, warmup=[])
        for worker in self.serving(zygote, "site/1"), self.serving(zygote, "site/2"):
            self.get(worker)
            worker.signal(signal.SIGTERM)
            worker.wait()
        with open(os.path.join(self.dir, "log")) as file:
            self.assertEqual(file.read(), "loaded\nrequest\nrequest\n")

    def test_pipe(self):
        self.app("import os\nends = os.pipe()")
        self.check_hazards(r"pipe \(descriptor \d+\)", r"pipe \(descriptor \d+\)")

    def test_asyncio_loop(self):
        self.app("""
            import asyncio
            loop = asyncio.new_event_loop()
            async def coroutine():
                return "ok"
        """, "loop.run_until_complete(coroutine())")
        self.check_hazards("asyncio event loop")

    def test_closed_asyncio_loop(self):
        self.app("""
            import asyncio
            async def coroutine():
                return "ok"
            asyncio.run(coroutine())
        """, "asyncio.run(coroutine())")
        self.shares()

    def test_shared_memory(self):
        self.app("import mmap\nmemory = mmap.mmap(-1, 4096)")
        self.check_hazards("shared memory /dev/zero.*")


class Children(Hazards):
    def test_fork(self):
        self.app("""
            import os, time
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
        """)
        zygote = self.check_hazards(r"child process \d+ \(a fork of this process\)")
        os.killpg(zygote.pid, signal.SIGKILL)  # as the supervisor does

    def test_subprocess(self):
        self.app("import subprocess\nprocess = subprocess.Popen(['sleep', '60'])")
        zygote = self.check_hazards(r"child process \d+ \(sleep 60\)")
        os.killpg(zygote.pid, signal.SIGKILL)

    def test_multiprocessing(self):
        self.app("""
            import multiprocessing, time
            process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True)
            process.start()
        """)
        self.check_hazards(r"child process \d+ \(a fork of this process\)", *2 * [r"pipe \(descriptor \d+\)"])

    def test_descriptors_that_come_and_go(self):
        self.app("""
            import os, threading
            from multisite_wsgi import hazards

            def opens_and_closes(end):
                while not end.is_set():
                    os.close(os.open("/dev/null", os.O_RDONLY))

            def look():
                end = threading.Event()
                thread = threading.Thread(target=opens_and_closes, args=(end,))
                thread.start()
                try:
                    for _ in range(1000):
                        hazards.descriptors()
                finally:
                    end.set()
                    thread.join()
                return "ok"
        """, answer="look()")
        self.shares()

    def test_child_that_has_ended(self):
        self.app("""
            import os
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        """)
        self.shares()

    def test_nobody_waits_for_children(self):
        self.app("import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)")
        self.shares()

    def test_timer(self):
        self.app("import signal\nsignal.alarm(1000)")
        self.check_hazards(r"an interval timer \(signal.setitimer or alarm\)")


if __name__ == "__main__":
    unittest.main()
