"""Merging of pages: zygotes and workers opt in with the trick "merge", and only then."""

import mmap
import unittest

from test_hazards import Hazards


def mergeable(pid):
    """Return how many mappings of a process may be merged."""
    with open("/proc/%d/smaps" % pid) as smaps:
        return sum(line.startswith("VmFlags:") and " mg" in line for line in smaps)


def kernel_merges():
    memory = mmap.mmap(-1, mmap.PAGESIZE)
    try:
        memory.madvise(mmap.MADV_MERGEABLE)
        return True
    except OSError:
        return False
    finally:
        memory.close()


@unittest.skipUnless(kernel_merges(), "this kernel merges no pages")
class MergePages(Hazards):
    def check(self, pid, wanted):
        mappings = mergeable(pid)
        self.assertEqual(mappings > 5, wanted, "%d mappings" % mappings)

    def test_forked_from_a_zygote(self):
        self.app("")
        for tricks in ["freeze", "merge"], ["freeze"]:
            zygote = self.ready(wsgi="site_app", tricks=tricks)
            worker = self.serving(zygote)
            self.assertEqual(self.get(worker).body, b"ok")
            self.check(zygote.pid, "merge" in tricks)
            self.check(worker.pid, "merge" in tricks)

    def test_worker_that_loads_the_site(self):
        self.app("")
        for tricks in ["merge"], []:
            worker = self.worker(wsgi="site_app", tricks=tricks)
            self.assertEqual(worker.event()["event"], "ready")
            self.check(worker.pid, "merge" in tricks)

    def test_programs_of_a_worker(self):
        """They do not take part: they may run as another user."""
        self.app("import subprocess", "subprocess.check_output(['cat', '/proc/self/smaps']).decode()")
        worker = self.serving(self.ready(wsgi="site_app", tricks=["merge"], warmup=[]))
        answer = self.get(worker).body.decode()
        self.assertIn("VmFlags:", answer)
        self.assertNotIn(" mg", answer)


if __name__ == "__main__":
    unittest.main()
