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
search would leave holes in this process's heap.

gc.freeze() has to come after it. From 3.14 on the collector untracks an immortal object
that it finds in a generation (update_refs), but takes a weak reference with a callback
whose object is garbage for a tracked one and moves it between its lists
(handle_weakrefs): it dereferences NULL. So no immortal object is left in a generation,
and a weak reference to an object that stays mortal stays mortal as well, in case the
application calls gc.unfreeze().
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

from . import constants

_NEWEST = (3, 15)  # for which this has been tested
_MANY = 100_000_000  # a reference count above it means that this is no object


def immortalise():
    """Make the objects immortal; return whether that was possible."""
    if why_not():
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
        return _mark(file)


def why_not():
    """Return why this interpreter cannot have its objects made immortal; "": it can."""
    version = sys.version_info[:2]
    if sys.implementation.name != "cpython" or version < (3, 12):
        return "this Python counts references to every object"
    if version > _NEWEST:
        return "Python %d.%d has not been tested with it" % version
    if sys.maxsize < 2 ** 32:
        return "it needs a 64-bit Python"
    if is_free_threaded():
        return "free-threaded Python counts references in another way"
    if hasattr(sys, "gettotalrefcount"):
        return "a debug build asserts that such strings are mortal"
    return ""


def is_free_threaded():
    """Return whether this interpreter was built to run without a GIL, also if it has one now."""
    return "t" in getattr(sys, "abiflags", "")


def _immortal_count():
    """Return the lower half of the reference count of an immortal object."""
    return 0xFFFFFFFF if sys.version_info < (3, 14) else 3 << 30


def _list_objects_and_exit(file, memory):
    """Write how many numbers follow in each of two lists, and the lists.

    These are the address and the type of each object, and the address of each
    instruction to replace.
    """
    code = 1
    try:
        gc.disable()
        gc.unfreeze()  # only in this child, so that get_objects() returns frozen objects too
        roots = gc.get_objects()  # before this child makes objects of its own
        mortal = _with_finalisers()
        pairs, loads = array.array("Q"), array.array("Q")
        for address, thing in _reachable(roots).items():
            if _may_be_immortal(thing, mortal) and _is_within(address, memory):
                pairs.extend((address, id(type(thing))))
                if type(thing) is types.CodeType:
                    loads.extend(constants.counting_loads(thing))
        file.write(bytes(16))
        pairs.tofile(file)
        loads.tofile(file)
        file.seek(0)
        file.write(struct.pack("QQ", len(pairs), len(loads)))  # written last, so it is not 0 only if the list is complete
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


def _may_be_immortal(thing, mortal):
    """Return whether an object may become immortal; mortal has the addresses of some that may not."""
    if id(thing) in mortal:
        return False
    kind = type(thing)
    if kind in (weakref.ProxyType, weakref.CallableProxyType):
        return False
    if issubclass(kind, weakref.ref):
        referent = weakref.ref.__call__(thing)
        return referent is None or _may_be_immortal(referent, mortal)
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


def _mark(file):
    """Write the reference counts and the instructions; return whether there were any.

    An address at which there is no longer an object of the same type is skipped.
    """
    count = _immortal_count()
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory, memoryview(memory) as raw:
        with raw.cast("Q") as numbers:
            end = 2 + numbers[0]
            words = (ctypes.c_uint64 * (1 << 45)).from_address(0)  # all memory, as an array
            halves = (ctypes.c_uint32 * (1 << 46)).from_address(0)
            for n in range(2, end, 2):
                address = numbers[n]
                if words[(address >> 3) + 1] == numbers[n + 1] and 0 < words[address >> 3] % (1 << 32) < _MANY:
                    halves[address >> 2] = count
            codes = (ctypes.c_uint8 * (1 << 48)).from_address(0)
            for address in numbers[end:end + numbers[1]]:
                if codes[address] == constants.MORTAL:
                    codes[address] = constants.IMMORTAL
            return end > 2
