"""How the application is found, and which error is reported when it is not."""

import os
import sys

from process import WorkerCase

PATHS = """
    import json, os, sys

    def application(environ, start_response):
        start_response("200 OK", [])
        return [json.dumps({"path": sys.path, "cwd": os.getcwd(), "argv": sys.argv, "name": __name__,
                            "file": __file__, "env": os.environ.get("DJANGO_SETTINGS_MODULE"),
                            "modules": sorted(sys.modules)}).encode()]
"""

INHERITABLE = """
def inheritable():
    def link(fd):
        try:
            return os.get_inheritable(fd) and os.readlink("/proc/self/fd/%d" % fd)
        except OSError:
            return ""  # the descriptor of listdir itself
    return {link(int(fd)) for fd in os.listdir("/proc/self/fd") if int(fd) > 2} - {"", False}
"""


class Entry(WorkerCase):
    def body(self, worker):
        event = worker.event()
        self.assertEqual(event["event"], "ready", event)
        with worker.front() as front:
            return front.request().body

    def test_script_with_any_extension(self):
        path = self.write("site/site.anything", "import sys\n"
                          "def application(environ, start_response):\n"
                          "    start_response('200 OK', [])\n"
                          "    import multisite_site_script as me\n"
                          "    return [repr((__name__, __file__, me.application is application)).encode()]\n")
        self.assertEqual(self.body(self.start(wsgi=path)), repr(("multisite_site_script", path, True)).encode())

    def test_module_and_callable(self):
        self.write("package/__init__.py", "")
        self.write("package/mod.py", """
            class Apps:
                @staticmethod
                def inner(environ, start_response):
                    start_response("200 OK", [])
                    return [b"inner"]

            def application(environ, start_response):
                start_response("200 OK", [])
                return [b"default"]
        """)
        for wsgi, body in (("package.mod", b"default"), ("package.mod:application", b"default"),
                           ("package.mod:Apps.inner", b"inner")):
            with self.subTest(wsgi):
                self.assertEqual(self.body(self.start(wsgi=wsgi)), body)

    def test_environment_of_the_process(self):
        import json

        lib, extra = self.directory(), self.directory()
        with open(os.path.join(lib, "more.pth"), "w") as file:
            file.write(extra + "\n")
        home = self.directory()
        self.write("site_app.py", PATHS)
        worker = self.start(wsgi="site_app", settings="project.settings", home=home, python_path=[self.dir, lib])
        shown = json.loads(self.body(worker))
        self.assertEqual(shown["path"][:4], [self.dir, lib, extra, home])
        self.assertEqual(len(shown["path"]), len(set(shown["path"])))
        self.assertFalse([p for p in shown["path"] if "multisite_wsgi" in p or not p])
        self.assertEqual((shown["cwd"], shown["argv"], shown["env"]), (home, ["multisite"], "project.settings"))
        self.assertFalse({"config", "load", "server", "status", "handler"} & set(shown["modules"]))

    def test_modules_of_the_site_are_not_shadowed(self):
        for name in ("config", "server", "load", "status", "headers", "streams", "report", "handler"):
            self.write(name + ".py", "mine = %r" % name)
        self.write("site_app.py", """
            import config, handler, headers, load, report, server, status, streams

            def application(environ, start_response):
                start_response("200 OK", [])
                return [m.mine.encode() for m in (config, handler, headers, load, report, server, status, streams)]
        """)
        self.assertEqual(self.body(self.start(wsgi="site_app")), b"confighandlerheadersloadreportserverstatusstreams")

    def test_descriptors_of_the_worker_are_not_inherited(self):
        self.write("site_app.py", """
            import os

            def application(environ, start_response):
                start_response("200 OK", [])
                return [repr(inheritable()).encode()]

            %s
        """ % INHERITABLE.replace("\n", "\n" + 12 * " "))
        namespace = {}
        exec("import os\n" + INHERITABLE, namespace)
        here = namespace["inheritable"]()  # what this test itself has inherited
        self.assertFalse(eval(self.body(self.start(wsgi="site_app"))) - here)


class Failure(WorkerCase):
    def test_one_clear_line(self):
        script = self.write("empty.wsgi", "app = print\n")
        number = self.write("number.wsgi", "application = 5\n")
        self.write("mod.py", "wsgi_app = print\ntext = 'x'\n")
        self.write("other_application.py", "Application = 1\n")
        for config, line in (
                ({"wsgi": "no_such_module"}, "ModuleNotFoundError: No module named 'no_such_module'"),
                ({"wsgi": "mod"}, "module 'mod' has no 'application': write wsgi = \"mod:CALLABLE\" (it does define 'wsgi_app')"),
                ({"wsgi": "mod:app.inner"}, "module 'mod' has no 'app.inner': write wsgi = \"mod:CALLABLE\" (it does define 'wsgi_app')"),
                ({"wsgi": "other_application"}, "module 'other_application' has no 'application': write wsgi = \"other_application:CALLABLE\""),
                ({"wsgi": "mod:text"}, "'text' of module 'mod' is not callable but str: name a WSGI application, a callable(environ, start_response)"),
                ({"wsgi": script}, "the WSGI script %s defines no 'application': write `application = ...` in it (it does define 'app')" % script),
                ({"wsgi": number}, "'application' in %s is not callable but int: name a WSGI application, a callable(environ, start_response)" % number),
                ({"wsgi": self.dir + "/none.wsgi"}, "cannot read the WSGI script %s/none.wsgi: No such file or directory" % self.dir),
                ({}, "the site names no application: set settings or wsgi"),
                ({"wsgi": "mod", "home": "/no/such/home"}, "FileNotFoundError: [Errno 2] No such file or directory: '/no/such/home'")):
            with self.subTest(line):
                self.assertEqual(self.failure(**config)[0], line)

    def test_traceback_is_the_sites_own(self):
        self.write("broken.py", "import inner_broken\n")
        self.write("inner_broken.py", "x = 1\nraise LookupError('two\\nlines')\n")
        error, traceback = self.failure(wsgi="broken")
        self.assertEqual(error, "LookupError: two lines")
        lines = traceback.splitlines()
        self.assertEqual(lines[:2], ["Traceback (most recent call last):", '  File "%s/broken.py", line 1, in <module>' % self.dir])
        self.assertIn("inner_broken.py\", line 2", traceback)
        self.assertNotIn("multisite_wsgi", traceback)

    def test_syntax_error(self):
        error, traceback = self.failure(wsgi=self.write("bad.wsgi", "x = 1\napplication = = 2\n"))
        self.assertRegex(error, r"SyntaxError: invalid syntax \(.*bad.wsgi, line 2\)")
        self.assertIn('bad.wsgi", line 2', traceback)

    def test_exit_while_loading_is_a_failure(self):
        self.write("leaves.py", "import atexit, sys\natexit.register(print, 'at exit')\nsys.exit('no SECRET_KEY')\n")
        self.assertEqual(self.failure(wsgi="leaves")[0], "SystemExit: no SECRET_KEY")

    @staticmethod
    def has_django():
        import importlib.util

        return importlib.util.find_spec("django") is not None

    def test_without_django(self):
        if self.has_django():
            self.write("django/__init__.py", "raise ModuleNotFoundError(\"No module named 'django'\", name='django')")
        self.assertEqual(self.failure(settings="project.settings")[0],
                         "Django is not installed for %s: install it there, or set python_home" % sys.executable)
