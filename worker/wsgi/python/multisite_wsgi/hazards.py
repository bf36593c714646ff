"""List the hazards of this process: state that its children would share or lose, so that it is not fork-safe."""

import gc
import os
import signal
import socket
import stat
import sys
import time

from . import origins

_COMM = 15  # how many bytes of a thread's name the kernel keeps
_HARMLESS = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def find(allowed):
    """Return one line for each hazard; allowed are the descriptors that belong to the zygote itself."""
    loops, theirs = _event_loops()
    found = (_threads() + _children() + _timers() + _databases() + loops
             + _descriptors(theirs.union(allowed)) + _mappings())
    return list(dict.fromkeys(found))


def descriptors():
    """Return the open descriptors of this process."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink("/proc/self/fd/" + fd)
        except OSError:
            continue  # closed meanwhile: by a thread, or it was the descriptor of the directory itself
        if not target.startswith("/proc/"):
            found.add(int(fd))
    return found


def resources():
    """Return (kind, number) of all files, threads and processes, to see what an import leaves behind."""
    found = {("file", fd) for fd in descriptors()} | {("thread", tid) for tid in os.listdir("/proc/self/task")}
    return found | ({("process", 0)} if _has_children() else set())


def has_neither_threads_nor_children():
    """Return whether this process has one thread and no child. This is a cheap check."""
    return len(os.listdir("/proc/self/task")) == 1 and not _has_children()


def other_threads():
    """Return the numbers of all threads but the first."""
    deadline = time.monotonic() + 0.2
    while len(os.listdir("/proc/self/task")) > 1 and time.monotonic() < deadline:
        time.sleep(0.002)  # a thread that was joined may still be about to exit
    return {int(tid) for tid in os.listdir("/proc/self/task")} - {os.getpid()}


def _threads():
    others = other_threads()
    if not others:
        return []
    found = []
    for thread in sys.modules["threading"].enumerate():
        if thread.native_id in others:
            others.remove(thread.native_id)
            found.append('thread "%s"%s' % (thread.name, origins.of_thread(thread)))
    return found + _native([name for name in map(_comm, sorted(others)) if name])


def _native(names):
    """Describe threads that Python does not know; those whose package is known come first."""
    packages = _packages(names)
    known = ['thread "%s" of %s' % (name, packages[name]) for name in names if name in packages]
    return known + ['thread "%s" of a C library' % name for name in names if name not in packages]


def _packages(names):
    """Return {name: package} of threads that are named after the class of an object, as those of ddtrace are."""
    found = {}
    for kind in {type(thing) for thing in gc.get_objects()}:
        name = kind.__name__[:_COMM]
        if name in names:
            found[name] = kind.__module__.partition(".")[0]
    return found


def _comm(tid):
    return _read("/proc/self/task/%d/comm" % tid).strip()


def _children():
    if not _has_children():
        return []
    pids = [pid for tid in os.listdir("/proc/self/task")
            for pid in _read("/proc/self/task/%s/children" % tid).split()]
    return ["child process %s (%s)" % (pid, _command(pid)) for pid in pids if _is_alive(pid)]


def _has_children():
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _is_alive(pid):
    return _read("/proc/%s/stat" % pid).rpartition(")")[2].split()[:1] not in ([], ["Z"])


def _command(pid):
    command = _read("/proc/%s/cmdline" % pid)
    if command == _read("/proc/self/cmdline"):
        return "a fork of this process"
    return " ".join(command.split("\0")).strip()[:80]


def _timers():
    timers = [signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF]
    return ["an interval timer (signal.setitimer or alarm)"] if any(map(_is_set, timers)) else []


def _is_set(timer):
    return signal.getitimer(timer)[0] > 0


def _databases():
    """Return Django's connections that could not be closed."""
    conf, db = sys.modules.get("django.conf"), sys.modules.get("django.db")
    if db is None or not conf.settings.configured:
        return []
    opened = [getattr(db.connections._connections, alias, None) for alias in db.connections]
    return ['database connection "%s" is open' % wrapper.alias for wrapper in opened
            if wrapper is not None and wrapper.connection is not None]


def _event_loops():
    """Return (hazards, descriptors) of asyncio event loops that are not closed."""
    base = getattr(sys.modules.get("asyncio.base_events"), "BaseEventLoop", None)
    if base is None:
        return [], set()
    loops = [thing for thing in gc.get_objects() if issubclass(type(thing), base) and not thing.is_closed()]
    parts = [getattr(loop, name, None) for loop in loops for name in ("_selector", "_ssock", "_csock")]
    return ["asyncio event loop"] if loops else [], {part.fileno() for part in parts if part is not None}


def _descriptors(allowed):
    found = []
    for fd in sorted(descriptors() - set(allowed)):
        try:
            problem = _descriptor(fd, os.readlink("/proc/self/fd/%d" % fd))
        except OSError:
            continue  # closed meanwhile
        if problem:
            found.append(problem)
    return found


def _descriptor(fd, target):
    """Return why a descriptor must not be shared, or None."""
    if target.startswith("socket:"):
        return _socket(fd)
    if not target.startswith("/"):
        kind = target.partition(":")[0] if target.startswith("pipe:") else target.replace("anon_inode:", "").strip("[]")
        return "%s (descriptor %d)" % (kind, fd)
    flags = _flags(fd)
    if flags & os.O_ACCMODE == os.O_RDONLY or flags & os.O_APPEND or target in _HARMLESS:
        return None
    if stat.S_ISCHR(os.fstat(fd).st_mode):
        return None
    return "file %s open for writing (descriptor %d)" % (target, fd)


def _flags(fd):
    lines = _read("/proc/self/fdinfo/%d" % fd).splitlines()
    return int(next(line for line in lines if line.startswith("flags:")).split()[1], 8)


def _socket(fd):
    """Return why a socket must not be shared; None for a datagram socket (syslog, statsd), which has no stream."""
    with socket.socket(fileno=os.dup(fd)) as sock:
        if sock.type == socket.SOCK_DGRAM:
            return None
        return _peer(sock) + (origins.of_socket(fd) or " (descriptor %d)" % fd)


def _peer(sock):
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "socket listening on %s" % _address(sock.getsockname())
    try:
        return "socket connected to %s" % _address(sock.getpeername())
    except OSError:
        return "socket"


def _address(address):
    if isinstance(address, tuple):
        return "%s:%s" % address[:2]
    if isinstance(address, bytes):
        address = "@" + address[1:].decode("utf-8", "replace")
    return address or "another socket of this machine"


def _mappings():
    """Return shared memory, to which children would write together."""
    found = []
    for line in _read("/proc/self/maps").splitlines():
        parts = line.split(None, 5)
        if "w" in parts[1] and parts[1].endswith("s"):
            found.append("shared memory %s" % (parts[5] if len(parts) > 5 else "without a name"))
    return found


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
