"""Fork processes that belong to the supervisor, and give them the surroundings of a site."""

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


def beget(supervisor):
    """Fork as os.fork() does, but a child of the supervisor; return its pid, and 0 in it.

    It is forked twice, so that the supervisor, a subreaper, becomes its parent
    and sees its end. It leads a process group of its own and dies with the
    supervisor, whatever happens to this process.
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
        pass  # the application ignores SIGCHLD, or waits for every child
    if not answer:
        raise OSError("the new process could not be forked")
    return int(answer)


def _fork_and_exit(writer):
    """Return 0 in the grandchild; the process in the middle ends here."""
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
    while os.getppid() == middle:
        time.sleep(0.0001)
    die_with(supervisor)


def die_with(parent):
    """Die when the process parent does, or now if it has."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def without_huge_pages():
    """One write would copy 2 MB. Forks and what they execute inherit it."""
    _prctl(_PR_SET_THP_DISABLE, 1)


def set_name(name):
    """What ps and top show."""
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


def enter_surroundings(config, output):
    """Make output, environment and umask those of the site."""
    enter_output(output)
    set_umask(config.umask)
    if config.env is not None:
        set_environment(config.env)


def set_umask(umask):
    if umask is not None:
        os.umask(umask)


def set_environment(env):
    """Replace the environment, and what the interpreter has taken from it."""
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
            pass  # the interpreter starts with such a locale too
