"""Immortal objects: in which interpreters there are any, and what must stay mortal."""

import os
import sys
import types
import unittest
import unittest.mock

from process import PACKAGE

sys.path.insert(0, os.path.dirname(PACKAGE))
from multisite_wsgi import constants, immortal  # noqa: E402

from test_hazards import Hazards  # noqa: E402

WHY_NOT = immortal.why_not()


class Interpreters(unittest.TestCase):
    def test_versions(self):
        for version, why in ((3, 11), "counts references"), ((3, 12), ""), ((3, 15), ""), ((3, 16), "Python 3.16 has not"):
            with unittest.mock.patch.multiple(sys, version_info=version + (0,), abiflags=""):
                self.assertRegex(immortal.why_not(), why or "^$")

    def test_builds(self):
        with unittest.mock.patch.multiple(sys, version_info=(3, 14, 0), abiflags="t"):
            self.assertIn("free-threaded", immortal.why_not())
        with unittest.mock.patch.multiple(sys, create=True, version_info=(3, 14, 0), abiflags="", gettotalrefcount=len):
            self.assertIn("debug build", immortal.why_not())
        with unittest.mock.patch.multiple(sys, version_info=(3, 14, 0), implementation=types.SimpleNamespace(name="pypy")):
            self.assertIn("counts references", immortal.why_not())

    def test_instructions_that_count(self):
        """Only real instructions are replaced, not caches that look like them."""
        load = constants.opcode.opmap["LOAD_CONST"]
        code = types.SimpleNamespace(_co_code_adaptive=bytes([9, 0, 191, 1, 191, 0]), co_code=bytes([9, 0, load, 1, 0, 0]))
        with unittest.mock.patch.multiple(constants, MORTAL=191):
            found = list(constants.counting_loads(code))
        self.assertEqual(found, [id(code) + types.SimpleNamespace.__basicsize__ + 2])


class FreeThreaded(Hazards):
    def test_it_is_not_shared(self):
        """The build is asked for before the code is loaded; here it is pretended by a sitecustomize."""
        self.write("sitecustomize.py", "import sys\nsys.abiflags = 't'")
        control = self.start_project(env=dict(os.environ, PYTHONPATH=self.dir))
        self.app("")
        event = self.site(control, wsgi="site_app").event()
        self.assertEqual(event["event"], "unsafe")
        self.assertRegex(event["reasons"][0], "^free-threaded Python")


@unittest.skipIf(WHY_NOT, WHY_NOT)
class Mortal(Hazards):
    def test_weak_reference_to_what_stays_mortal(self):
        """From 3.14 on the collector would crash if it found it immortal in a generation."""
        self.app("""
            import gc, sys, weakref
            class Finaliser:
                def __del__(self): pass
            class Plain: pass
            mortal, plain, seen = Finaliser(), Plain(), []
            mortal.cycle = mortal
            watches = [weakref.ref(mortal, seen.append), weakref.ref(plain, seen.append)]
            def collect():
                global mortal
                counts = [sys.getrefcount(watch) >= 1 << 30 for watch in watches]
                gc.unfreeze()
                gc.collect()
                mortal = None
                gc.collect()
                return counts, len(seen)
        """, "collect()")
        worker = self.serving(self.ready(wsgi="site_app", warmup=[]))
        self.assertEqual(self.get(worker).body, b"([False, True], 1)")

    def test_counts_of_constants_stay(self):
        """On 3.14 code that has run before the fork adds to them without end."""
        self.app("""
            import sys
            def use(box):
                box.append("a text of more words")
                box.append(("a pair", 1.5))
            use([])
            def counts():
                return [sys.getrefcount(constant) for constant in use.__code__.co_consts]
            def grow():
                before = counts()
                for _ in range(1000):
                    use([])
                return max(abs(now - was) for now, was in zip(counts(), before) if was >= 1 << 30)
        """, "grow() < 10")
        worker = self.serving(self.ready(wsgi="site_app", warmup=[]))
        self.assertEqual(self.get(worker).body, b"True")


if __name__ == "__main__":
    unittest.main()
