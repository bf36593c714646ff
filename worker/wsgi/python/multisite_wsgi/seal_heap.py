"""Seal the heaps: leave no free block in the pages that are about to be shared.

What it does: it allocates every free block of partly used pymalloc pools and
every free chunk of the C heap, and never frees them.

Why: a child allocates free blocks first. They lie between shared objects, so each
one that it uses costs it the copy of a whole page. With sealed heaps it allocates
in fresh pages, and the shared ones stay shared.

Why it is safe: it only calls malloc. It works with pymalloc and with glibc's
malloc, and does nothing with any other allocator.
"""

import ctypes
import os
import re
import sys

_LARGEST = 64 << 10
_LIMIT = 32 << 20  # bytes of the C heap, in case an allocator behaves differently from glibc's
_SIZE_CLASS = re.compile(rb"^ *\d+ +(\d+) +\d+ +\d+ +(\d+) *$", re.MULTILINE)


def seal():
    """Seal both heaps; return whether this interpreter's allocator is pymalloc."""
    if not seal_objects():
        return False
    seal_c_heap()
    seal_objects()  # the line above has freed objects
    return True


def seal_objects():
    """Fill the pools of pymalloc; return whether there are any pools."""
    allocate = ctypes.pythonapi.PyObject_Malloc
    allocate.argtypes = [ctypes.c_size_t]
    allocate.restype = None
    classes = [(int(size), int(free)) for size, free in _SIZE_CLASS.findall(_malloc_stats())]
    for size, free in classes:
        for _ in range(free):
            allocate(size)
    return bool(classes)


def _malloc_stats():
    """Return what sys._debugmallocstats() writes to stderr."""
    with open(os.memfd_create("malloc"), "r+b") as file:
        stderr = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            sys._debugmallocstats()
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        file.seek(0)
        return file.read()


class _MallInfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]


def seal_c_heap():
    """Fill the free chunks of glibc's heap, the large ones first."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):  # glibc before 2.33, or another C library
        return
    libc.mallinfo2.restype = _MallInfo
    libc.sbrk.argtypes, libc.sbrk.restype = [ctypes.c_ssize_t], ctypes.c_void_p
    libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    libc.malloc_trim(ctypes.c_size_t(0))
    top = libc.sbrk(0) - libc.mallinfo2().keepcost  # above it nothing is allocated
    filled = 0
    for size in _sizes():
        while filled < _LIMIT:
            block = libc.malloc(size)
            if block is None or block >= top:  # there is no free chunk of this size any more
                libc.free(block)
                break
            filled += size


def _sizes():
    """Yield sizes in descending order: in steps of an eighth, then each of the small chunk sizes of malloc."""
    size = _LARGEST
    while size > 512:
        yield size - 8
        size -= max(size >> 3, 16)
    for size in range(504, 23, -16):
        yield size
