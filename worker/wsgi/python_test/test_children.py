"""Processes that the application starts inherit neither the worker's signal handlers nor its descriptors."""

import os
import signal

from process import WorkerCase

APP = """
    import os, signal, subprocess, sys, threading

    # The program that started the tests may ignore these signals.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)

    def application(environ, start_response):
        body = globals()[environ["PATH_INFO"][1:]]()
        start_response("200 OK", [])
        return [repr(body).encode()]

    def child(work, *args):
        # Return what work returns in a forked process.
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.write(writer, repr(work(*args)).encode())
            except BaseException as error:
                os.write(writer, repr(error).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with open(reader) as pipe:
            said = eval(pipe.read())
        os.waitpid(pid, 0)
        return said

    def dispositions():
        # Return which signals an executed program blocks or ignores, see proc(5).
        text = subprocess.run(["cat", "/proc/self/status"], stdout=subprocess.PIPE, check=True).stdout.decode()
        masks = [int(line.split()[1], 16) for line in text.splitlines() if line.startswith(("SigBlk", "SigIgn"))]
        return [number for number in range(1, 32) for mask in masks if mask & 1 << number - 1]

    def signals():
        ends = []
        for number in signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGPIPE:
            process = subprocess.Popen(["sleep", "60"])
            process.send_signal(number)
            ends.append(process.wait(20))
        return ends

    def handlers():
        numbers = signal.SIGINT, signal.SIGHUP, signal.SIGTERM
        return child(lambda: [signal.getsignal(number) for number in numbers] == [
            signal.default_int_handler, signal.SIG_DFL, signal.SIG_DFL] and signal.pthread_sigmask(0, []) == set())

    def own_handler():
        def work(*_):
            return signal.getsignal(signal.SIGTERM) is work
        def middle():
            signal.signal(signal.SIGTERM, work)
            return child(work)
        return child(middle)

    def open_files():
        return [open(os.devnull, "w") for _ in range(20)]

    def written(files):
        for file in files:
            file.write("x")
            file.close()
        return len(files)

    def nested():
        return child(lambda: (lambda files: child(lambda: child(written, files)))(open_files()))

    def in_thread():
        said = []
        thread = threading.Thread(target=lambda: said.append((nested(), handlers())))
        thread.start()
        thread.join()
        return said

    def blocked():
        # Signals that the forking thread has blocked are blocked in the child.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            return child(lambda: child(lambda: list(map(int, signal.pthread_sigmask(0, []))))) == [signal.SIGTERM]
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, set())

    def descriptors():
        return child(lambda: [fd for fd in worker_descriptors if readlink(fd)])

    def readlink(fd):
        try:
            return os.readlink("/proc/self/fd/" + fd)
        except OSError:
            return None

    worker_descriptors = ()
    def note():
        global worker_descriptors
        worker_descriptors = [fd for fd in os.listdir("/proc/self/fd")
                              if (readlink(fd) or "").startswith(("socket:", "pipe:"))
                              and not os.get_inheritable(int(fd))]
        return len(worker_descriptors)
"""


class Children(WorkerCase):
    def setUp(self):
        super().setUp()
        self.worker = self.serve(APP)

    def ask(self, path):
        with self.worker.front() as front:
            response = front.request(path="/" + path)
        self.assertEqual(response.status, "200 OK", self.worker.err.text)
        return eval(response.body)

    def test_programs_have_the_default_signals(self):
        self.assertEqual(self.ask("signals"), [-number for number in (
            signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGPIPE)])
        self.assertEqual(self.ask("dispositions"), [])

    def test_forks_have_pythons_handlers(self):
        self.assertIs(self.ask("handlers"), True)

    def test_handlers_of_a_child_are_its_childrens(self):
        self.assertIs(self.ask("own_handler"), True)

    def test_descriptors_of_a_child_are_its_childrens(self):
        self.assertEqual(self.ask("nested"), 20)
        self.assertEqual(self.ask("in_thread"), [(20, True)])
        self.assertEqual(self.worker.err.text, "")

    def test_blocked_signals_stay_blocked(self):
        self.assertIs(self.ask("blocked"), True)

    def test_descriptors_of_the_worker(self):
        self.assertGreater(self.ask("note"), 3)
        self.assertEqual(self.ask("descriptors"), [])

    def test_the_worker_goes_on(self):
        for path in "nested", "signals":
            self.ask(path)
        self.worker.signal(signal.SIGTERM)
        self.assertEqual(self.worker.wait(), 0)
