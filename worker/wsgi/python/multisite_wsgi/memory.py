"""Keep memory shared after a fork: the tricks, each by its name, in the order that they need."""

import gc
import sys

from . import immortal, relocate, seal


def apply(wanted, hot=None):
    """Do what is wanted and possible in this interpreter; return the names of what was done.

    hot() returns the keys of the code to relocate.
    """
    applied = []
    if "gc" in wanted:
        gc.collect()
        _forget_lookups()
        applied.append("gc")
    if "relocate" in wanted and hot is not None:
        if "seal" in wanted:
            seal.seal()
        if relocate.relocate(hot()):
            applied.append("relocate")
    if "seal" in wanted and seal.seal():
        applied.append("seal")
    if _immortal(wanted) and immortal.immortalise():
        applied.append("immortal")
    if "freeze" in wanted or "immortal" in applied:
        gc.freeze()  # no collection in a child visits, and so writes to, what is there now
        applied.append("freeze")
    if "seal" in applied:
        seal.seal_objects()
    return applied


def _immortal(wanted):
    """Tell whether to immortalise: always, or where the tests of all versions showed it to hold up."""
    return "immortal" in wanted or "immortal-auto" in wanted and sys.version_info[:2] == (3, 13)


def _forget_lookups():
    """Empty the cache of attribute lookups, which counts references to the names in it.

    Whenever a child looks up something else, it would give up a name here and a
    name there, each with a page. From 3.12 on names are immortal.
    """
    if sys.version_info < (3, 12):
        sys._clear_type_cache()
