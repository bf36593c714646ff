"""Make every object alive now immortal, as None is: nobody counts references to it any more.

What it does: CPython 3.12 and later leave the reference count of an object
alone when it has a certain value. This writes that value into the objects that
are about to be shared.

Why: merely looking at an object writes to its reference count, and the first
write to a page costs a child a copy of it. It is what keeps most pages shared.

Why it is safe: immortal objects are part of CPython since PEP 683; a mortal one
that becomes immortal only leaks, and these are as many as the zygote had. Left
mortal is what acts when it dies, and what runs. It is outside the contract of
CPython's API all the same, so it is a trick with a switch.

The objects are searched in a child, whose addresses are the same: the search
would leave holes in this process's heap. gc.freeze() has to come after it: an
immortal object in a young generation confuses the collector (gh-137110).
"""

import array
import bisect
import ctypes
import gc
import mmap
import os
import struct
import sys
import traceback
import types
import weakref

_MANY = 100_000_000  # references to one object: more cannot be true


def immortalise():
    """Return whether it was done."""
    count = _immortal_count()
    if count is None:
        return False
    memory = _private_memory()
    with open(os.memfd_create("objects"), "r+b") as file:
        pid = os.fork()
        if pid == 0:
            _list_objects_and_exit(file, memory)
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass  # the application ignores SIGCHLD; the wait lasted until the end all the same
        return _mark(file, count)


def _immortal_count():
    """Return the lower half of the reference count of an immortal object, if there are any."""
    free_threaded = not getattr(sys, "_is_gil_enabled", lambda: True)()
    if sys.implementation.name != "cpython" or sys.maxsize < 2 ** 32 or free_threaded:
        return None
    if sys.version_info < (3, 12):
        return None
    return 0xFFFFFFFF if sys.version_info < (3, 14) else 3 << 30


def _list_objects_and_exit(file, memory):
    """Write the number of objects, then the address and the type of each."""
    code = 1
    try:
        gc.disable()
        gc.unfreeze()  # in this child alone: get_objects() shows the frozen ones too
        roots = gc.get_objects()  # before this child makes objects of its own
        mortal = _with_finalisers()
        pairs = array.array("Q")
        for address, thing in _reachable(roots).items():
            if _may_be_immortal(type(thing)) and address not in mortal and _is_within(address, memory):
                pairs.append(address)
                pairs.append(id(type(thing)))
        file.write(bytes(8))
        pairs.tofile(file)
        file.seek(0)
        file.write(struct.pack("Q", len(pairs)))  # last: the list is complete
        file.flush()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _reachable(roots):
    """Return {address: object} of everything that can be reached from roots.

    The garbage collector does not look into code objects.
    """
    seen = {}
    todo = roots
    referents = gc.get_referents
    while todo:
        thing = todo.pop()
        address = id(thing)
        if address in seen:
            continue
        seen[address] = thing
        if type(thing) is types.CodeType:
            todo += (thing.co_consts, thing.co_names, thing.co_filename, thing.co_name, thing.co_qualname,
                     thing.co_linetable, thing.co_exceptiontable)
        todo += referents(thing)
    return seen


def _with_finalisers():
    """Return the addresses of what has a weakref.finalize, such as a TemporaryDirectory."""
    alive = [finaliser.peek() for finaliser in list(weakref.finalize._registry)]
    return {id(found[0]) for found in alive if found is not None}


def _may_be_immortal(kind):
    return kind is not types.FrameType and not hasattr(kind, "__del__")  # generators have one too


def _private_memory():
    """Return where this process can write, as a sorted list: start, end, start, end..."""
    bounds = []
    with open("/proc/self/maps", encoding="utf-8") as maps:
        for line in maps:
            addresses, permissions = line.split(None, 2)[:2]
            if permissions.startswith("rw") and permissions.endswith("p"):
                bounds += [int(part, 16) for part in addresses.split("-")]
    return bounds


def _is_within(address, bounds):
    return bisect.bisect_right(bounds, address) % 2 == 1


def _mark(file, count):
    """Write the reference counts; skip what is not the object that the child saw."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory, memoryview(memory) as raw:
        with raw.cast("Q") as numbers:
            size = numbers[0]
            words = (ctypes.c_uint64 * (1 << 45)).from_address(0)  # all memory there is
            halves = (ctypes.c_uint32 * (1 << 46)).from_address(0)
            for n in range(1, size, 2):
                address = numbers[n]
                if words[(address >> 3) + 1] == numbers[n + 1] and 0 < words[address >> 3] % (1 << 32) < _MANY:
                    halves[address >> 2] = count
            return size > 0
