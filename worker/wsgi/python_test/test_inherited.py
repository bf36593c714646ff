"""What a worker inherits from its zygote: each thing is handled, or shown to be harmless."""

import os
import signal
import unittest

from test_hazards import Hazards


class Inherited(Hazards):
    def answers(self, number=2, **config):
        """Return what each of several workers answers."""
        zygote = self.ready(wsgi="site_app", **config)
        return [self.get(self.serving(zygote)).body.decode() for _ in range(number)]

    def end(self, process):
        process.signal(signal.SIGTERM)
        self.assertEqual(process.wait(), 0, process.out.text)


class ExitWork(Inherited):
    def test_handlers_of_the_zygote_run_in_the_zygote(self):
        self.app("""
            import atexit, os
            atexit.register(lambda: print("bye from", os.getpid()))
            atexit.register(print, "first")
        """)
        worker = self.shares()
        self.end(worker)
        self.assertEqual(worker.out.all(), "")
        worker.zygote.control.send({"cmd": "exit"})
        self.assertEqual(worker.zygote.wait(), 0)
        self.assertEqual(worker.zygote.out.all(), "first\nbye from %d\n" % worker.zygote.pid)

    def test_handlers_of_the_worker_run_in_the_worker(self):
        self.app("""
            import atexit, weakref
            class Thing: pass
            def register():
                global thing
                thing = Thing()
                weakref.finalize(thing, print, "finaliser")
                atexit.register(print, "handler")
                return "ok"
        """, "register()")
        zygote = self.ready(wsgi="site_app", warmup=[])
        worker = self.serving(zygote)
        self.get(worker)
        self.end(worker)
        self.assertEqual(sorted(worker.out.all().split()), ["finaliser", "handler"])

    def test_temporary_directory(self):
        self.app("""
            import tempfile
            directory = tempfile.TemporaryDirectory()
        """, "directory.name")
        zygote = self.ready(wsgi="site_app")
        one, two = self.serving(zygote), self.serving(zygote)
        path = self.get(one).body
        self.end(one)
        self.assertTrue(os.path.isdir(path), "the first worker that ended took it away")
        self.end(two)
        zygote.control.send({"cmd": "exit"})
        self.assertEqual(zygote.wait(), 0)
        self.assertFalse(os.path.exists(path))

    def test_finaliser_of_a_thing_that_dies(self):
        self.app("""
            import weakref
            class Thing: pass
            things = [Thing()]
            weakref.finalize(things[0], print, "gone")
            def forget():
                del things[:]
                return "ok"
        """, "forget()")
        zygote = self.ready(wsgi="site_app", warmup=[])
        worker = self.serving(zygote)
        self.get(worker)
        worker.out.wait("gone\n")

    def test_logging_is_shut_down(self):
        self.app("""
            import logging
            class Last(logging.Handler):
                def flush(self):
                    print("flushed")
                def emit(self, record):
                    pass
            logging.getLogger().addHandler(Last())
        """)
        worker = self.shares()
        self.end(worker)
        worker.out.wait("flushed")

    def test_children_of_multiprocessing_end(self):
        self.app("""
            import multiprocessing.util, time
            def begin():
                process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True)
                process.start()
                return process.pid
        """, "begin()")
        zygote = self.ready(wsgi="site_app", warmup=[])
        worker = self.serving(zygote)
        child = os.pidfd_open(int(self.get(worker).body))
        self.addCleanup(os.close, child)
        self.end(worker)
        with self.assertRaises(ProcessLookupError):
            signal.pidfd_send_signal(child, 0)


class Randomness(Inherited):
    def differ(self, source, answer):
        self.app(source, answer)
        answers = self.answers(3)
        self.assertEqual(len(set(answers)), 3, answers)

    def test_random(self):
        self.differ("import random\nrandom.random()", "random.random()")

    def test_seeded_random(self):
        self.differ("import random\nrandom.seed(1)", "random.random()")

    def test_secrets(self):
        self.differ("import secrets\nsecrets.token_hex()", "secrets.token_hex()")

    def test_system_random(self):
        self.differ("import random\ngenerator = random.SystemRandom()", "generator.random()")

    def test_uuid(self):
        self.differ("import uuid\nuuid.uuid1()\nuuid.uuid4()", "uuid.uuid1(), uuid.uuid4()")

    def test_openssl(self):
        self.differ("import ssl\nssl.RAND_bytes(16)", "ssl.RAND_bytes(16)")

    def test_temporary_names(self):
        self.differ("import tempfile\nnext(tempfile._get_candidate_names())",
                    "next(tempfile._get_candidate_names())")

    def test_own_generator_is_the_same_in_every_worker(self):
        """The application may want this, so it is only documented."""
        self.app("import random\ngenerator = random.Random(42)", "generator.random()")
        self.assertEqual(len(set(self.answers(warmup=[]))), 1)


class Process(Inherited):
    def test_process_ids(self):
        self.app("""
            import multiprocessing, os, threading
            ids = [os.getpid(), multiprocessing.current_process().pid, threading.get_native_id()]
        """, "' '.join(map(str, [os.getpid(), multiprocessing.current_process().pid, "
             "threading.get_native_id(), threading.active_count()]))")
        zygote = self.ready(wsgi="site_app")
        worker = self.serving(zygote)
        self.assertEqual(self.get(worker).body.decode().split(), 3 * [str(worker.pid)] + ["1"])

    def test_signal_handlers_of_the_application(self):
        self.app("""
            import signal
            signal.signal(signal.SIGUSR2, lambda *_: print("caught", flush=True))
            signal.signal(signal.SIGTERM, lambda *_: print("never called", flush=True))
        """)
        worker = self.shares()
        worker.signal(signal.SIGUSR2)
        worker.out.wait("caught\n")
        self.end(worker)
        self.assertEqual(worker.out.all(), "caught\n")

    def test_fork_hooks_of_the_application(self):
        self.app("""
            import os
            forked = []
            os.register_at_fork(after_in_child=lambda: forked.append(os.getpid()))
        """, "forked[-1] == os.getpid()")
        self.assertEqual(set(self.answers()), {"True"})

    def test_garbage_collection(self):
        self.app("import gc\ngc.enable()", "gc.isenabled(), gc.get_threshold()")
        expected = self.worker(wsgi="site_app")
        expected.event()
        expected = self.get(expected).body.decode()
        self.assertEqual(self.answers(1), [expected])
        self.assertTrue(expected.startswith("(True"))
        self.app("import gc, os\ngc.enable()\nbefore = []\n"
                 "os.register_at_fork(before=lambda: before.append(gc.isenabled()))", "any(before)")
        self.assertEqual(self.answers(1), ["False"])

    def test_locks(self):
        self.app("""
            import logging, threading
            lock, rlock = threading.Lock(), threading.RLock()
            logger = logging.getLogger("site")
            def use():
                with lock, rlock:
                    logger.warning("logged")
                return "ok"
        """, "use()")
        self.assertEqual(self.answers(), ["ok", "ok"])

    def test_descriptors(self):
        """Three standard streams, a copy of stderr, the listener, the connection, two of the stop's pipe, and that of listdir."""
        self.app("import os", "len(os.listdir('/proc/self/fd'))")
        self.assertEqual(self.answers(), 2 * ["9"])
        worker = self.worker(wsgi="site_app")
        worker.event()
        self.assertEqual(self.get(worker).body, b"9")


if __name__ == "__main__":
    unittest.main()
