"""What a project zygote imports for several sites, and what each site loads itself."""

import importlib.util
import json
import os
import select
import sys
import time
import unittest

from zygotes import Refused, Zygotes

APP = """
    import json, os, sys
    %s

    def application(environ, start_response):
        start_response("200 OK", [])
        found = {name: getattr(module, "LOADED_IN", None) for name, module in sys.modules.items()}
        return [json.dumps({name: pid for name, pid in found.items() if pid}).encode()]
"""


class Shared(Zygotes):
    def setUp(self):
        super().setUp()
        self.packages = os.path.join(self.dir, "site-packages")
        os.mkdir(self.packages)

    def package(self, name, source=""):
        """Install a module that remembers in which process it was loaded."""
        self.write(os.path.join("site-packages", name + ".py"), source)
        with open(os.path.join(self.packages, name + ".py"), "a") as file:
            file.write("\nimport os\nLOADED_IN = os.getpid()\n")

    def project(self, name, imports, **config):
        """Write the project of a site; return the site's configuration."""
        home = os.path.dirname(self.write(name + "/site_app.py", APP % imports))
        config.setdefault("python_path", [self.packages, home])
        return self.config(site=name, wsgi="site_app", learned=os.path.join(self.dir, name + ".learned"), **config)

    def two(self, imports):
        return [self.project("one", imports), self.project("two", imports)]

    def prepare(self, *configs, without=(), deadline=60, processor=20):
        return self.zygote.ask({"cmd": "prepare", "sites": configs, "without": without, "deadline_seconds": deadline,
                                "processor_seconds": processor})

    def prepared(self, *configs, **more):
        answer = self.prepare(*configs, **more)
        self.assertEqual((answer.get("ready"), answer.get("left_out")), (True, []), answer)
        return answer

    def again(self):
        """Start another project zygote."""
        self.zygote = self.start_project()

    def shared(self, config):
        """Return which of the installed modules a site got from the project zygote, and which it loaded itself."""
        worker = self.worker(self.zygote, **config)
        event = worker.event()
        self.assertEqual(event["event"], "ready", event)
        found = json.loads(self.get(worker).body)
        self.assertEqual(set(found.values()) - {self.zygote.process.pid, worker.pid}, set())
        return sorted(name for name, pid in found.items() if pid != worker.pid)

    def assertShares(self, expected, *configs):
        self.prepared(*configs)
        for config in configs:
            self.assertEqual(self.shared(config), expected)


class Choice(Shared):
    def test_what_all_sites_import(self):
        for name in "both", "base", "only_one":
            self.package(name, "import base" if name == "both" else "")
        one, two = self.project("one", "import both, only_one"), self.project("two", "import both")
        self.assertShares(["base", "both"], one, two)

    def test_site_zygotes_have_it_too(self):
        self.package("both")
        one, two = self.two("import both")
        self.prepared(one, two)
        zygote = self.site(self.zygote, **one)
        self.assertEqual(zygote.event()["event"], "ready")
        self.assertEqual(json.loads(self.get(self.serving(zygote)).body), {"both": self.zygote.process.pid})

    def test_code_of_a_project(self):
        self.write("library.py", "import os\nLOADED_IN = os.getpid()")
        configs = [self.project(name, "import library", python_path=[self.dir, os.path.join(self.dir, name)])
                   for name in ("one", "two")]
        self.assertShares([], *configs)

    def test_package_of_the_settings(self):
        """A project may be installed like a package."""
        self.package("both")
        configs = [self.project(name, "import both", settings="both.settings") for name in ("one", "two")]
        self.assertShares([], *configs)

    def test_same_name_from_another_file(self):
        self.package("both")
        self.package("user", "import both")
        one, two = self.two("import user")
        self.write("two/both.py", "import os\nLOADED_IN = os.getpid()")
        two["python_path"] = two["python_path"][::-1]
        self.assertShares([], one, two)

    def test_environment(self):
        self.package("reads_a", "import os\nA = os.environ.get('A')")
        self.package("reads_b", "import os\nB = os.getenv('B', 'none')")
        self.package("imports_a", "def late():\n    import reads_a\nlate()")
        self.package("reads_all", "import os\nALL = dict(os.environ)")
        imports = ("import reads_a, reads_b, imports_a, reads_all;"
                   " assert (reads_a.A, reads_b.B) == (os.environ['A'], 'same')")
        one, two = self.two(imports)
        for config, a in (one, "1"), (two, "2"):
            config["env"] = dict(config["env"], A=a, B="same")
        self.assertShares(["reads_b"], one, two)

    def test_absent_variable(self):
        self.package("reads", "import os\nX = 'X' in os.environ")
        one, two = self.two("import reads; assert reads.X == ('X' in os.environ)")
        one["env"] = dict(one["env"], X="")
        self.assertShares([], one, two)

    def test_working_directory(self):
        self.package("reads", "import os\nCWD = os.path.abspath('x')")
        one, two = self.two("import reads; assert reads.CWD == os.path.abspath('x')")
        one["home"] = two["home"] = self.dir
        self.assertShares(["reads"], one, two)
        self.again()
        two["home"] = self.packages
        self.assertShares([], one, two)

    def test_what_is_left_behind(self):
        self.package("thread", "import threading\nstop = threading.Event()\n"
                               "threading.Thread(target=stop.wait, daemon=True).start()")
        self.package("file", "file = open(__file__)")
        self.package("process", "import subprocess\nprocess = subprocess.Popen(['sleep', '60'])")
        self.package("at_exit", "import atexit\natexit.register(int)")
        self.package("clean", "import threading, logging, tempfile")
        self.package("user", "import thread")
        self.assertShares(["clean"], *self.two("import clean, file, process, at_exit, thread, user"))

    def test_import_cycle(self):
        self.package("first", "import second\nX = 1")
        self.package("second", "import first\ndef f():\n    return first.X")
        self.assertShares(["first", "second"], *self.two("import first"))

    def test_imported_by_function(self):
        self.package("late")
        self.package("both", "import importlib\nimportlib.import_module('late')")
        self.assertShares(["both", "late"], *self.two("import both"))

    def test_function_that_finds_a_module_loaded(self):
        self.package("reads", "import os\nA = os.environ.get('A')")
        self.package("both", "import importlib\nimportlib.import_module('reads')")
        one, two = self.two("import reads, both")
        one["env"] = dict(one["env"], A="1")
        self.assertShares([], one, two)

    def test_finder_without_find_spec(self):
        """Python asks it for find_module until 3.11, and passes it over afterwards."""
        self.package("both")
        self.package("finder", """
import sys, types

class Finder:
    def find_module(self, name, path=None):
        return self if name == "made" else None
    def load_module(self, name):
        return sys.modules.setdefault(name, types.ModuleType(name))

sys.meta_path.insert(0, Finder())
""")
        made = "made" if sys.version_info < (3, 12) else "both"
        self.assertShares(["both", "finder"], *self.two("import finder, both, %s" % made))

    @unittest.skipUnless(importlib.util.find_spec("django"), "this interpreter has no Django")
    def test_django(self):
        self.package("setting", "from django.conf import settings\nX = settings.X")
        self.package("default", "from django.conf import settings\nX = getattr(settings, 'NONE', 1)")
        self.package("configured", "from django.conf import settings\nX = settings.configured")
        self.package("registry", "from django.apps import apps\napps.lazy_model_operation(print, ('a', 'b'))")
        self.package("lazy", "from django.conf import settings\nfrom django.apps import apps\n"
                             "def later():\n    return settings.X")
        self.assertShares(["lazy"], *self.two(
            "from django.conf import settings; settings.configure(X=1);"
            " import setting, default, configured, registry, lazy"))

    def test_one_site(self):
        self.package("both")
        one = self.project("one", "import both")
        self.assertEqual(self.prepared(one)["modules"], 0)
        self.assertEqual(self.shared(one), [])
        self.again()
        self.assertShares(["both"], dict(one, learn=True))

    def test_no_sites(self):
        self.assertEqual(self.prepared()["modules"], 0)


class Groups(Shared):
    """One odd site takes nothing from the others."""

    def setUp(self):
        super().setUp()
        # Modules of the standard library that every application shares, as on 3.13, outweigh
        # the few that these tests count.
        common = self.prepared(*self.sites(first="os", second="os"))["modules"]
        if common:
            self.skipTest("this interpreter shares %d modules among all applications" % common)
        self.again()

    def sites(self, **imports):
        return [self.project(name, "import " + imports[name]) for name in imports]

    def assertGroups(self, *expected, configs):
        """Check which sites share, and which share among themselves in another project zygote, and so on."""
        for group in expected:
            answer = self.prepared(*configs)
            self.assertEqual([config["site"] for config in configs if config["site"] not in answer["others"]], group)
            configs = [dict(config, learn=True) for config in configs if config["site"] in answer["others"]]
            self.again()
        self.assertEqual(configs, [])

    def packages_named(self, letters):
        for letter in letters:
            self.package(letter)

    def test_one_odd_site(self):
        self.packages_named("abcde")
        configs = self.sites(one="a, b, c, d", tiny="a", two="a, b, c, d, e")
        answer = self.prepared(*configs)
        self.assertEqual((answer["modules"], answer["others"]), (4, ["tiny"]))
        self.assertEqual(self.shared(configs[2]), ["a", "b", "c", "d"])
        with self.assertRaisesRegex(Refused, "site tiny is none of those for which this zygote was prepared"):
            self.worker(self.zygote, **configs[1])

    def test_one_that_is_a_little_different(self):
        """It costs the others less than it saves."""
        self.packages_named("abcd")
        configs = self.sites(one="a, b, c, d", two="a, b, c, d", three="a, b, c")
        self.assertGroups(["one", "two", "three"], configs=configs)

    def test_two_kinds_of_sites(self):
        self.packages_named("abcdefgh")
        self.assertGroups(["c", "d", "e"], ["a", "b"], configs=self.sites(
            a="a, b, c, d", b="a, b, c, d", c="a, e, f, g, h", d="a, e, f, g, h", e="a, e, f, g, h"))

    def test_nothing_in_common(self):
        self.packages_named("abc")
        self.assertGroups(["one", "two", "three"], configs=self.sites(one="a", two="b", three="c"))

    def test_environment_of_one(self):
        """A variable that the others do not have is read by what all of them import."""
        self.package("reads", "import os\nX = os.environ.get('X')")
        self.package("a", "import reads")
        self.package("b", "import a")
        configs = self.sites(one="b", two="b", three="b")
        configs[0]["env"] = dict(configs[0]["env"], X="1")
        answer = self.prepared(*configs)
        self.assertEqual((answer["modules"], answer["others"]), (3, ["one"]))


class Relocation(Shared):
    def test_code_that_requests_run(self):
        self.package("busy", """
def hot():
    def inner():
        return 1
    return inner()
def cold():
    pass
BEFORE = [hot.__code__, cold.__code__]
""")
        one, two = self.two("import busy")
        for config in one, two:
            home = os.path.join(self.dir, config["site"])
            self.write(config["site"] + "/site_app.py", """
                import busy, json

                def application(environ, start_response):
                    busy.hot()
                    start_response("200 OK", [])
                    inside = [busy.BEFORE[0].co_consts, busy.hot.__code__.co_consts]
                    moved = [busy.hot.__code__ is not busy.BEFORE[0], busy.cold.__code__ is not busy.BEFORE[1]]
                    moved.append(all(a is not b for a, b in zip(*inside) if hasattr(a, "co_code")))
                    return [json.dumps([moved, busy.hot.__code__ == busy.BEFORE[0]]).encode()]
            """)
        for tricks in ["relocate"], []:
            self.again()
            configs = [dict(config, tricks=tricks) for config in (one, two)]
            expected = bool(tricks) and sys.version_info >= (3, 11)
            self.assertEqual(self.prepared(*configs)["tricks"], tricks if expected else [])
            worker = self.worker(self.zygote, **configs[0])
            worker.event()
            self.assertEqual(json.loads(self.get(worker).body), [[expected, False, expected], True])


class Trouble(Shared):
    def third_time(self, what):
        """Return source that does something only when a module is loaded for the third time, after two learners."""
        return """
import os
path = os.path.join(%r, "count")
with open(path, "a") as file:
    file.write("x")
if os.path.getsize(path) == 3:
    %s
""" % (self.dir, what)

    def test_module_that_cannot_be_imported(self):
        self.package("breaks", self.third_time("raise LookupError('not here')"))
        self.package("user", "import breaks")
        self.package("good")
        configs = self.two("import good, user")
        answer = self.prepare(*configs)
        self.assertEqual(answer, {"failed_import": "user", "error": "LookupError: not here"})
        self.again()
        self.prepared(*configs, without=["user"])
        self.assertEqual(self.shared(configs[0]), ["breaks", "good"])

    def test_without_what_others_import(self):
        self.package("breaks")
        self.package("user", "import breaks")
        configs = self.two("import user")
        self.prepared(*configs, without=["breaks"])
        self.assertEqual(self.shared(configs[0]), [])

    def test_thread_that_no_learner_recorded(self):
        self.package("late", self.third_time("import threading; stop = threading.Event();"
                                             " threading.Thread(target=stop.wait, name='t', daemon=True).start()"))
        answer = self.prepare(*self.two("import late"))
        self.assertEqual(answer, {"failed_import": "late", "error": 'thread "t"'})

    def test_import_that_no_learner_recorded(self):
        self.package("unknown")
        self.package("late", self.third_time("import unknown"))
        answer = self.prepare(*self.two("import late"))
        self.assertEqual(answer, {"failed_import": "late", "error": "it imports unknown, which cannot be shared"})

    def test_site_that_fails(self):
        self.package("both")
        one, two = self.two("import both")
        bad = self.project("bad", "import missing_module")
        answer = self.prepare(one, bad, two)
        self.assertEqual(answer["left_out"], ["bad: ModuleNotFoundError: No module named 'missing_module'"])
        self.assertEqual(self.shared(one), ["both"])
        with self.assertRaisesRegex(Refused, "site bad is none of those for which this zygote was prepared"):
            self.worker(self.zygote, **bad)

    def test_site_that_works_too_much(self):
        self.package("both")
        one, two = self.two("import both")
        busy = self.project("busy", "import both; exec('while True: pass')")
        answer = self.prepare(busy, one, two, processor=0.5)
        self.assertEqual(answer["left_out"], ["busy: it used more than 0.5 s of processor time while it loaded"])
        self.assertEqual(self.shared(one), ["both"])

    def test_site_that_takes_too_long(self):
        busy = self.project("busy", "exec('while True: pass')")
        answer = self.prepare(dict(busy, learn=True), deadline=0.5)
        self.assertEqual(answer["left_out"], ["busy: it was not loaded after 0.5 s (startup_timeout)"])

    def test_sites_for_which_no_time_is_left(self):
        configs = [self.project(name, "exec('while True: pass')") for name in ("one", "two", "three")]
        answer = self.prepare(*configs, deadline=0.5)
        self.assertEqual(answer["left_out"][2], "three: loading the other sites took 0.5 s (startup_timeout)")
        self.assertFalse(os.path.exists(configs[2]["learned"]))

    def test_site_that_waits(self):
        self.package("both")
        one, two = self.two("import both")
        waits = self.project("waits", "import both, time; time.sleep(600)")
        answer = self.prepare(waits, one, two, deadline=600)
        self.assertEqual(answer["left_out"], ["waits: it waited for 2 s while it loaded"])
        self.assertEqual(self.shared(one), ["both"])

    def test_site_that_dies(self):
        answer = self.prepare(*self.two("os._exit(3)"))
        expected = ["%s: the process that loaded it died" % site for site in ("one", "two")]
        self.assertEqual(sorted(answer["left_out"]), expected)
        self.assertEqual(answer["modules"], 0)

    def test_learner_leaves_no_process(self):
        path = os.path.join(self.dir, "pid")
        self.prepared(*self.two("import subprocess; p = subprocess.Popen(['sleep', '60']);"
                                " open(%r, 'a').write('%%d ' %% p.pid)" % path))
        with open(path) as file:
            pids = file.read().split()
        self.assertEqual(len(pids), 2)
        for pid in map(int, pids):  # it was killed and is our child now, as we are the subreaper
            end = os.pidfd_open(pid)
            self.assertTrue(select.select([end], [], [], 10)[0], "process %d lives on" % pid)
            os.close(end)
            os.waitpid(pid, 0)


class Cache(Shared):
    def setUp(self):
        super().setUp()
        self.log = os.path.join(self.dir, "log")
        self.package("both")
        source = "import both; open(%r, 'a').write('x')" % self.log
        self.configs = self.two(source)
        self.prepared(*self.configs)
        self.assertEqual(self.loads(), 2)

    def loads(self):
        """Return how often a site was loaded since the last call."""
        size = os.path.getsize(self.log)
        os.truncate(self.log, 0)
        return size

    def assertLearns(self, number, *configs):
        self.again()
        self.prepared(*configs)
        self.assertEqual(self.loads(), number)
        self.assertEqual(self.shared(configs[0]), ["both"])
        self.loads()

    def test_unchanged(self):
        self.assertLearns(0, *self.configs)

    def test_changed_file(self):
        with open(os.path.join(self.dir, "one", "site_app.py"), "a") as file:
            file.write("# changed")
        self.assertLearns(1, *self.configs)
        self.package("both")
        self.assertLearns(2, *self.configs)

    def test_changed_configuration(self):
        one, two = self.configs
        self.assertLearns(1, one, dict(two, env=dict(two["env"], NEW="1")))
        self.assertLearns(1, dict(one, warmup=["/", "/x"]), dict(two, env=dict(two["env"], NEW="1")))

    def test_broken_file(self):
        with open(self.configs[0]["learned"], "w") as file:
            file.write("{")
        self.assertLearns(1, *self.configs)

    def fails(self, imports, **more):
        """Return a site about which nothing is learned."""
        config = self.project("bad", "open(%r, 'a').write('x')\n    %s" % (self.log, imports))
        config["learn"] = True
        self.assertFails(1, config, **more)
        return config

    def assertFails(self, number, config, **more):
        self.again()
        answer = self.prepare(config, **more)
        self.assertEqual(len(answer["left_out"]), 1, answer)
        self.assertEqual(self.loads(), number)

    def change(self, config, **values):
        """Change what is known about a site."""
        with open(config["learned"]) as file:
            record = json.load(file)
        with open(config["learned"], "w") as file:
            json.dump(dict(record, **values), file)

    def test_site_that_works_too_much(self):
        self.package("busy", "while True: pass")
        config = self.fails("import busy", processor=0.3)
        self.assertFails(0, config, processor=0.3)
        self.package("busy", "if True:\n    while True: pass")
        self.assertFails(1, config, processor=0.3)
        with open(os.path.join(self.dir, "bad", "site_app.py"), "a") as file:
            file.write("# changed")
        self.assertFails(1, config, processor=0.3)

    def test_site_that_takes_too_long(self):
        """The reason may pass: it is tried again after a day, or when it may take more time."""
        config = self.fails("exec('while True: pass')", deadline=0.3)
        self.assertFails(0, config, deadline=0.3)
        self.assertFails(1, config, deadline=0.4)
        self.change(config, until=time.time() - 1)
        self.assertFails(1, config, deadline=0.4)
        self.change(config, until=time.time() + 2 * 24 * 60 * 60)  # the clock was set back
        self.assertFails(1, config, deadline=0.4)

    def test_site_that_dies(self):
        config = self.fails("os._exit(3)")
        self.assertFails(0, config)

    def test_site_that_raises(self):
        """It costs no time, and may depend on what was installed since."""
        config = self.fails("raise LookupError")
        self.assertFails(1, config)

    def test_secrets_stay_out(self):
        two = dict(self.configs[1], env=dict(self.configs[1]["env"], PASSWORD="hunter2"))
        self.assertLearns(1, self.configs[0], two)
        with open(two["learned"]) as file:
            self.assertNotIn("hunter2", file.read())


if __name__ == "__main__":
    unittest.main()
