"""Fork processes that belong to the supervisor, and give them the environment of a site."""

import _locale
import ctypes
import os
import signal
import time
import traceback

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_THP_DISABLE = 41
_LOCALE = ("LC_ALL", "LC_CTYPE", "LANG")


def fork_for_supervisor(supervisor):
    """Fork a child of the supervisor; return its process id, and 0 in the child, as os.fork() does.

    This is a double fork. When the process in the middle has exited, the kernel makes
    the supervisor the parent, since it is a subreaper, so it sees the child's exit. The
    child leads a process group of its own and dies with the supervisor, whatever
    happens to the process that forked it.
    """
    reader, writer = os.pipe()
    middle = os.fork()
    if middle == 0:
        middle = os.getpid()
        pid = _fork_and_exit(writer)
        os.close(reader)
        os.close(writer)
        _belong_to(supervisor, middle)
        return pid
    os.close(writer)
    answer = os.read(reader, 32)
    os.close(reader)
    try:
        os.waitpid(middle, 0)  # from now on the supervisor is the parent
    except ChildProcessError:
        pass  # the application ignores SIGCHLD, or waits for every child itself
    if not answer:
        raise OSError("the new process could not be forked")
    return int(answer)


def _fork_and_exit(writer):
    """Fork once more and exit; return 0 in the new process."""
    code = 1
    try:
        pid = os.fork()
        if pid == 0:
            return 0
        os.setpgid(pid, pid)
        os.write(writer, b"%d" % pid)
        code = 0
    except OSError:
        traceback.print_exc()
    os._exit(code)


def _belong_to(supervisor, middle):
    while os.getppid() == middle:  # setting PDEATHSIG earlier would tie this process to the one in the middle
        time.sleep(0.0001)
    die_with(supervisor)


def die_with(parent):
    """Make the kernel kill this process when its parent dies; exit now if that has happened already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def disable_huge_pages():
    """Disable transparent huge pages, of which one write would copy 2 MB. Children inherit this."""
    _prctl(_PR_SET_THP_DISABLE, 1)


def set_name(name):
    """Set the name that ps and top show."""
    _prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()[:15]))


def _prctl(option, value):
    if isinstance(value, int):
        value = ctypes.c_ulong(value)
    zero = ctypes.c_ulong(0)
    ctypes.CDLL(None).prctl(option, value, zero, zero, zero)


def enter_output(output):
    """Make a descriptor stdout and stderr."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)


def enter_site(config, output):
    """Make output, umask and environment those of the site."""
    enter_output(output)
    set_umask(config.umask)
    if config.env is not None:
        set_environment(config.env)


def set_umask(umask):
    if umask is not None:
        os.umask(umask)


def set_environment(env):
    """Replace the environment, and what the interpreter has derived from it at its start."""
    before = dict(os.environ)
    env = dict(env)
    if "LC_CTYPE" in before and not any(name in env for name in _LOCALE):
        env["LC_CTYPE"] = before["LC_CTYPE"]  # as the interpreter does at its start (PEP 538)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    if any(before.get(name) != env.get(name) for name in _LOCALE):
        try:
            _locale.setlocale(_locale.LC_CTYPE, "")
        except _locale.Error:
            pass  # the interpreter accepts a locale that does not exist, too
