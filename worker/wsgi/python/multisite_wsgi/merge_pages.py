"""Let the kernel merge equal pages of this process with those of the other workers (KSM).

What it does: it opts in with the private memory that is mapped now (MADV_MERGEABLE).
Forked processes inherit that; a program that they execute does not.

Why: two workers write to the same shared page, and often both get the same content again:
a reference count that went up and down. The kernel finds such copies and makes them one.

Why it is safe: the first write to a merged page copies it, as after a fork. But how long
a write takes tells whether another process has a page of that content, so this is for
processes of one user only. PR_SET_MEMORY_MERGE would include what is mapped later, which
saves no more, but every program that a worker executes would inherit it, also one that
runs as another user (setuid).
"""

import ctypes

_MADV_MERGEABLE = 12


def enable():
    """Opt in with all private memory that is mapped now."""
    madvise = ctypes.CDLL(None).madvise
    with open("/proc/self/maps", encoding="utf-8") as maps:
        for line in maps:
            addresses, permissions = line.split(None, 2)[:2]
            if permissions.startswith("rw") and permissions.endswith("p"):
                start, end = [int(part, 16) for part in addresses.split("-")]
                madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_MERGEABLE)
