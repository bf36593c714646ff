"""The tricks that keep memory shared: each has its effect, and only when it is wanted."""

import sys
import unittest

from test_hazards import Hazards

IMMORTAL = sys.version_info >= (3, 12) and getattr(sys, "_is_gil_enabled", lambda: True)()


class Tricks(Hazards):
    def test_names(self):
        self.app("")
        for tricks in [], ["gc"], ["freeze", "gc"], ["seal"], ["immortal"], ["unknown"]:
            zygote = self.ready(wsgi="site_app", tricks=tricks)
            expected = set(tricks) - {"unknown"}
            if "immortal" in tricks:
                expected = {"immortal", "freeze"} if IMMORTAL else set()
            self.assertEqual(set(zygote.ready["tricks"]), expected)

    def test_freeze(self):
        self.app("import gc", "gc.get_freeze_count()")
        zygote = self.ready(wsgi="site_app", tricks=["freeze"])
        self.assertGreater(int(self.get(self.serving(zygote)).body), 1000)
        zygote = self.ready(wsgi="site_app", tricks=[])
        self.assertLess(int(self.get(self.serving(zygote)).body), 1000)  # 3.12 freezes some of its own

    def test_garbage_is_collected_first(self):
        self.app("""
            import weakref
            class Cycle: pass
            cycle = Cycle()
            cycle.cycle = cycle
            seen = weakref.ref(cycle)
            del cycle
        """, "seen()")
        self.assertEqual(self.get(self.serving(self.ready(wsgi="site_app"))).body, b"None")

    @unittest.skipIf(sys.version_info < (3, 12), "looking up writes to the type anyway: it counts references")
    def test_types_are_numbered(self):
        """A child writes no number into a type by looking something up in it."""
        try:
            import _testcapi  # noqa: F401
        except ImportError:
            self.skipTest("this Python has no _testcapi")
        self.app("""
            import _testcapi
            class Kind:
                def __getattribute__(self, name): raise SystemExit("runs code of the application")
            number = _testcapi.type_get_version(Kind)
        """, "number, _testcapi.type_get_version(Kind)")
        for tricks, numbered in ([], False), (["gc"], True):
            body = self.get(self.serving(self.ready(wsgi="site_app", tricks=tricks))).body
            before, after = eval(body.decode())
            self.assertEqual((before, bool(after)), (0, numbered))

    @unittest.skipIf(sys.version_info >= (3, 12), "names are immortal")
    def test_lookups_are_forgotten(self):
        self.app("""
            import sys
            names = [sys.intern("unusual%d" % n) for n in range(50)]
            Thing = type("Thing", (), dict.fromkeys(names))
            before = []
            for n in range(50):
                getattr(Thing(), names[n])
                before.append(sys.getrefcount(names[n]))
            def forgotten(n):
                return sys.getrefcount(names[n]) < before[n]
        """, "all(map(forgotten, range(50)))")  # other lookups may replace one or the other anyway
        for tricks, expected in (["gc"], b"True"), ([], b"False"):
            zygote = self.ready(wsgi="site_app", warmup=[], tricks=tricks)
            self.assertEqual(self.get(self.serving(zygote)).body, expected)

    def test_seal(self):
        """A worker that makes many small objects does not write to the zygote's pages."""
        self.app("""
            holes = [bytes(100) for _ in range(100000)]
            del holes[::2]
            def private():
                with open("/proc/self/smaps_rollup") as file:
                    return sum(int(line.split()[1]) for line in file if line.startswith("Private"))
            def grow():
                before = private()
                objects = [bytes(100) for _ in range(20000)]
                return private() - before
        """, "grow()")
        needed = 20000 * 144 // 1024 + 500
        sealed = self.ready(wsgi="site_app", warmup=[], tricks=["seal"])
        self.assertLess(int(self.get(self.serving(sealed)).body), needed)
        plain = self.ready(wsgi="site_app", warmup=[], tricks=[])
        self.assertGreater(int(self.get(self.serving(plain)).body), needed)


@unittest.skipUnless(IMMORTAL, "this interpreter counts references to every object")
class Immortal(Hazards):
    def test_what_becomes_immortal(self):
        self.app("""
            import io, sys
            class Finaliser:
                def __del__(self): pass
            def generate(): yield [1.5, 2.5][0]
            kinds = {"list": [object()], "text": "".join(["a", "b"]), "number": 10 ** 20, "class": Finaliser,
                     "finaliser": Finaliser(), "generator": generate(), "frame": sys._getframe(),
                     "file": open("/dev/null")}
            threshold = 1 << 30
            def found():
                things = dict(kinds, constants=generate.__code__.co_consts)
                return sorted(name for name, thing in things.items() if sys.getrefcount(thing) >= threshold)
        """, "found()")
        expected = sorted(["list", "text", "number", "class", "constants"])
        zygote = self.ready(wsgi="site_app")
        self.assertEqual(self.get(self.serving(zygote)).body.decode(), str(expected))
        zygote = self.ready(wsgi="site_app", tricks=["freeze"])
        self.assertEqual(self.get(self.serving(zygote)).body, b"[]")

    def test_collector_does_not_see_them(self):
        """gh-137110: an immortal object in a young generation confuses the collector."""
        self.app("import gc, sys", "sum(sys.getrefcount(thing) >= 1 << 30 for thing in gc.get_objects())")
        self.assertEqual(self.get(self.serving(self.ready(wsgi="site_app"))).body, b"0")

    def test_counts_stay(self):
        self.app("""
            import gc, sys
            things = [{str(n): [n]} for n in range(1000)]
            def use():
                copies = [list(things) for _ in range(100)]
                del copies
                gc.collect()
                return len({sys.getrefcount(thing) for thing in things})
        """, "use()")
        with self.serving(self.ready(wsgi="site_app")).front() as front:
            self.assertEqual({front.request().body for _ in range(50)}, {b"1"})


if __name__ == "__main__":
    unittest.main()
