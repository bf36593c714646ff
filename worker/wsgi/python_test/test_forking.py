"""Applications that fork: a child is no worker."""

import signal

from process import WorkerCase


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
                os.read(reader, 1)  # until the worker has exited
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
