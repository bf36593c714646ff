"""Make all existing objects immortal, as None is, so that references to them are not counted.

What it does: CPython 3.12 and later do not change the reference count of an
object if it has a certain value. This module writes that value into the objects
that are about to be shared.

Why: merely using an object writes to its reference count, and the first write to
a page costs a child a copy of it. Most pages stay shared because of this trick.

Why it is safe: immortal objects are part of CPython since PEP 683. An object that
becomes immortal is never freed, and these are no more than the zygote had.
Objects with a finaliser and frames stay mortal. Still, CPython's API promises
nothing of this, so the trick can be switched off (key immortal).

A child searches for the objects, since their addresses are the same there and the
search would leave holes in this process's heap. gc.freeze() has to come after it:
an immortal object in a young generation confuses the collector (gh-137110).
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

_MANY = 100_000_000  # a reference count above it means that this is no object


def immortalise():
    """Make the objects immortal; return whether that was possible."""
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
            pass  # the application ignores SIGCHLD; waitpid() has waited for the exit nevertheless
        return _mark(file, count)


def _immortal_count():
    """Return the lower half of the reference count of an immortal object; None: this interpreter has none."""
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
        gc.unfreeze()  # only in this child, so that get_objects() returns frozen objects too
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
        file.write(struct.pack("Q", len(pairs)))  # written last, so it is not 0 only if the list is complete
        file.flush()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _reachable(roots):
    """Return {address: object} of everything that can be reached from roots, also through code objects.

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
    """Return the addresses of objects with a weakref.finalize, such as a TemporaryDirectory."""
    alive = [finaliser.peek() for finaliser in list(weakref.finalize._registry)]
    return {id(found[0]) for found in alive if found is not None}


def _may_be_immortal(kind):
    return kind is not types.FrameType and not hasattr(kind, "__del__")  # generators have a __del__, too


def _private_memory():
    """Return the private writable memory of this process, as a sorted list: start, end, start, end..."""
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
    """Write the reference counts; skip an address at which there is no longer an object of the same type."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory, memoryview(memory) as raw:
        with raw.cast("Q") as numbers:
            size = numbers[0]
            words = (ctypes.c_uint64 * (1 << 45)).from_address(0)  # all memory, as an array
            halves = (ctypes.c_uint32 * (1 << 46)).from_address(0)
            for n in range(1, size, 2):
                address = numbers[n]
                if words[(address >> 3) + 1] == numbers[n + 1] and 0 < words[address >> 3] % (1 << 32) < _MANY:
                    halves[address >> 2] = count
            return size > 0
