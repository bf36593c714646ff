"""Keep memory shared after a fork: apply the tricks that are wanted, in the order that they require.

  gc        collect garbage, so that children do not inherit and then free it
  relocate  move the code that requests run to one place (relocate_code.py)
  seal      leave no free block in the pages that are shared (seal_heap.py)
  immortal  stop counting references to shared objects (immortal.py)
  freeze    exclude shared objects from later garbage collections (gc.freeze)
  merge     let the kernel merge equal pages, for the key merge_pages (merge_pages.py)
"""

import gc
import sys

from . import immortal, merge_pages, relocate_code, seal_heap


def apply(wanted, hot=None):
    """Apply the wanted tricks that are possible in this interpreter; return the names of those that were applied.

    hot() returns the keys of the code to relocate.
    """
    applied = []
    if "gc" in wanted:
        gc.collect()
        _forget_lookups()
        _number_types()
        applied.append("gc")
    if "relocate" in wanted and hot is not None:
        if "seal" in wanted:
            seal_heap.seal()
        if relocate_code.relocate(hot()):
            applied.append("relocate")
    if "seal" in wanted and seal_heap.seal():
        applied.append("seal")
    if ("immortal" in wanted or "immortal-auto" in wanted) and immortal.immortalise():
        applied.append("immortal")
    if "freeze" in wanted or "immortal" in applied:
        gc.freeze()  # no collection in a child visits these objects, which would write to them
        applied.append("freeze")
    if "seal" in applied:
        seal_heap.seal_objects()
    if "merge" in wanted:
        merge_pages.enable()
        applied.append("merge")
    return applied


def _forget_lookups():
    """Empty the cache of attribute lookups, which holds references to names.

    With each new lookup a child would replace an entry and so write to the reference
    count of the old name, which copies a page. From 3.12 on names are immortal.
    """
    if sys.version_info < (3, 12):
        sys._clear_type_cache()


def _number_types():
    """Look something up in each type, which then gets the number that the cache of lookups needs.

    A child would write that number into each type that it uses, which copies a page. Before
    3.12 it does that anyway, since it counts references to types.
    """
    if sys.version_info < (3, 12):
        return
    todo, seen = [object], set()
    while todo:
        kind = todo.pop()
        if kind in seen:
            continue
        seen.add(kind)
        todo += type.__subclasses__(kind)
        try:
            type.__getattribute__(kind, "_multisite_")  # runs no code of the application, as getattr() might
        except AttributeError:
            pass
