"""Threads of C libraries: a test fork shows whether they are a hazard."""

import os
import shutil
import signal
import subprocess
import unittest

from test_hazards import Hazards

# A library with one thread, which it starts at first use. With end_before_fork() it ends it before each fork,
# as OpenBLAS does, and starts another one at the next use.
LIBRARY = r"""
#include <pthread.h>
#include <semaphore.h>
static pthread_t thread;
static sem_t asked, answered;
static int running, number;
static void *work(void *unused) {
    for (;;) {
        sem_wait(&asked);
        if (number < 0) return 0;
        number *= 2;
        sem_post(&answered);
    }
}
static void begin(void) {
    if (running) return;
    sem_init(&asked, 0, 0);
    sem_init(&answered, 0, 0);
    running = pthread_create(&thread, 0, work, 0) == 0;
}
static void end(void) {
    if (!running) return;
    number = -1;
    sem_post(&asked);
    pthread_join(thread, 0);
    running = 0;
}
int twice(int n) {
    begin();
    number = n;
    sem_post(&asked);
    sem_wait(&answered);
    return number;
}
void end_before_fork(void) { pthread_atfork(end, 0, 0); }
void end_and_begin_again(void) { pthread_atfork(end, begin, 0); }
"""
SITE = """
    import ctypes, %s
    library = ctypes.CDLL(%r)
    %s
    assert library.twice(4) == 8
"""


@unittest.skipUnless(shutil.which("cc"), "needs a C compiler")
class NativeThreads(Hazards):
    def site(self, prepare="pass", modules="os", **config):
        path = os.path.join(self.dir, "library.so")
        source = self.write("library.c", LIBRARY)
        subprocess.run(["cc", "-shared", "-fPIC", "-pthread", "-w", "-o", path, source], check=True)
        self.app(SITE % (modules, path, prepare), "library.twice(21)")
        return super().site(**config)

    def test_ended_before_a_fork(self):
        zygote = self.site("library.end_before_fork()", wsgi="site_app")
        event = zygote.event()
        self.assertEqual((event["event"], event.get("ended_by_fork")), ("ready", 1), event)
        for name in "site/1", "site/2":
            worker = self.serving(zygote, name)
            self.assertEqual(self.get(worker).body, b"42")  # its own thread has computed it
            worker.signal(signal.SIGTERM)
            self.assertEqual(worker.wait(), 0)

    def test_where_python_knows_no_pidfd(self):
        zygote = self.site("library.end_before_fork(); vars(os).pop('pidfd_open', None)", wsgi="site_app")
        self.assertEqual(zygote.event()["event"], "ready")

    def check_hazards(self, *reasons, **config):
        zygote = self.site(wsgi="site_app", **config)
        event = zygote.event()
        self.assertEqual(event["event"], "unsafe", event)
        self.assertEqual(len(event["reasons"]), len(reasons), event["reasons"])
        for reason, pattern in zip(event["reasons"], reasons):
            self.assertRegex(reason, pattern)
        self.assertEqual(zygote.wait(), 0)

    def test_not_ended(self):
        self.check_hazards('^thread ".+" of a C library$')

    def test_started_again_after_a_fork(self):
        self.check_hazards('^thread ".+" of a C library$', prepare="library.end_and_begin_again()")

    def test_beside_a_thread_of_python(self):
        self.check_hazards('^thread "other" started in site_app.py', '^thread ".+" of a C library$', modules="threading",
                        prepare="library.end_before_fork(); threading.Thread("
                                "target=threading.Event().wait, name='other', daemon=True).start()")

    def test_beside_a_thread_that_python_does_not_list(self):
        self.check_hazards('^thread ".+" of a C library$', modules="_thread",  # both have the name of the process
                        prepare="library.end_before_fork(); lock = _thread.allocate_lock(); lock.acquire(); "
                                "_thread.start_new_thread(lock.acquire, ())")

    def test_a_child_that_hangs(self):
        """A child that hangs in the test fork would hang in each worker."""
        self.check_hazards('^thread ".+" of a C library$', modules="os, time", warmup=[],
                        prepare="os.register_at_fork(after_in_child=lambda: time.sleep(1000))")

    def test_named_after_its_class(self):
        self.check_hazards('^thread "ExporterOfTrace" of site_app$', prepare="""
    class ExporterOfTraces: pass
    kept = ExporterOfTraces()
    library.twice(1)
    open("/proc/self/task/%s/comm" % max(os.listdir("/proc/self/task"), key=int), "w").write("ExporterOfTrace")
""".strip())


if __name__ == "__main__":
    unittest.main()
