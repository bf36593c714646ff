"""The zygotes: which process is forked from which, what a forked worker has, and how the processes exit."""

import os
import select
import signal
import subprocess
import sys
import unittest

from zygotes import Zygotes

APP = """
    import os
    LOADED_IN = os.getpid()

    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"%d %d" % (LOADED_IN, os.getpid())]
"""


class Tree(Zygotes):
    def test_site_is_loaded_once(self):
        self.write("site_app.py", APP)
        zygote = self.ready(wsgi="site_app")
        one, two = self.serving(zygote, "site/1"), self.serving(zygote, "site/2")
        for worker in one, two:
            self.assertEqual(self.get(worker).body, b"%d %d" % (zygote.pid, worker.pid))

    def test_processes_belong_to_the_supervisor(self):
        self.write("site_app.py", APP)
        zygote = self.ready(wsgi="site_app")
        for process in zygote, self.serving(zygote), self.worker(wsgi="site_app"):
            with open("/proc/%d/stat" % process.pid) as file:
                fields = file.read().rpartition(")")[2].split()
            self.assertEqual([int(f) for f in fields[1:3]], [os.getpid(), process.pid], "parent, process group")

    def test_names(self):
        self.write("site_app.py", APP)
        zygote = self.ready(wsgi="site_app")
        worker = self.serving(zygote, "site/12")
        names = []
        for process in self.zygote.process, zygote, worker:
            with open("/proc/%d/comm" % process.pid) as file:
                names.append(file.read())
        self.assertEqual(names, ["zygote\n", "zyg site\n", "site/12\n"])

    def test_worker_that_loads_itself(self):
        self.write("site_app.py", APP)
        worker = self.worker(wsgi="site_app", worker="site/1")
        self.assertEqual(worker.event()["event"], "ready")
        self.assertEqual(self.get(worker).body, b"%d %d" % (worker.pid, worker.pid))
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0)

    def test_failed_import(self):
        self.write("site_app.py", "import missing_module")
        for process in self.site(wsgi="site_app"), self.worker(wsgi="site_app"):
            event = process.event()
            self.assertEqual(event["event"], "failed")
            self.assertEqual(event["error"], "ModuleNotFoundError: No module named 'missing_module'")
            self.assertIn("site_app.py\", line 1", event["traceback"])
            self.assertEqual(process.wait(), 1)

    def test_environment_of_a_worker(self):
        self.write("site_app.py", """
            import os, sys, time
            umask = os.umask(0)
            def application(environ, start_response):
                start_response("200 OK", [])
                os.umask(umask)
                return [repr([sorted(os.environ.items()), os.getcwd(), umask, time.tzname[0], sys.argv]).encode()]
        """)
        env = {"A": "1", "TZ": "Asia/Tokyo", "LC_CTYPE": "C.UTF-8"}
        zygote = self.ready(wsgi="site_app", env=env, umask="027", home=self.dir)
        expected = repr([sorted(env.items()), self.dir, 0o27, "JST", ["multisite"]]).encode()
        self.assertEqual(self.get(self.serving(zygote)).body, expected)

    def test_output(self):
        self.write("site_app.py", """
            print("while loading")
            def application(environ, start_response):
                print("while serving")
                start_response("200 OK", [])
                return []
        """)
        zygote = self.ready(wsgi="site_app", warmup=[])
        zygote.out.wait("while loading\n")
        worker = self.serving(zygote)
        self.get(worker)
        worker.out.wait("while serving\n")
        self.assertNotIn("serving", zygote.out.text)


class End(Zygotes):
    def setUp(self):
        super().setUp()
        self.write("site_app.py", APP)

    def test_zygotes_exit_before_their_workers(self):
        zygote = self.ready(wsgi="site_app")
        worker = self.serving(zygote)
        self.zygote.send({"cmd": "exit"})
        self.assertEqual(self.zygote.process.wait(), 0)
        self.assertEqual(self.get(self.serving(zygote)).status, "200 OK")
        zygote.control.close()
        self.assertEqual(zygote.wait(), 0)
        self.assertEqual(self.get(worker).status, "200 OK")

    def test_end_of_the_control_socket(self):
        self.zygote.close()
        self.assertEqual(self.zygote.process.wait(), 0)

    def test_exit_code_and_signal(self):
        zygote = self.ready(wsgi="site_app")
        for number, code in (signal.SIGTERM, 0), (signal.SIGKILL, -9):
            worker = self.serving(zygote)
            worker.signal(number)
            self.assertEqual(worker.wait(), code)

    def test_everything_dies_with_the_supervisor(self):
        script = self.write("supervisor.py", """
            import os, signal, sys
            sys.path.insert(0, %r)
            import zygotes

            case = zygotes.Zygotes()
            case.setUp()
            case.dir = %r
            zygote = case.ready(wsgi="site_app")
            print(zygote.pid, case.serving(zygote).pid, case.worker(wsgi="site_app").pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        """ % (os.path.dirname(os.path.abspath(__file__)), self.dir))
        done = subprocess.run([sys.executable, script], stdout=subprocess.PIPE, text=True, timeout=30)
        self.assertEqual(done.returncode, -signal.SIGKILL)
        pids = [int(pid) for pid in done.stdout.split()]
        self.assertEqual(len(pids), 3)
        for pid in pids:  # they are our children now, as we are the nearest subreaper
            end = os.pidfd_open(pid)
            self.assertTrue(select.select([end], [], [], 10)[0], "process %d lives on" % pid)
            os.close(end)
            os.waitpid(pid, 0)


if __name__ == "__main__":
    unittest.main()
