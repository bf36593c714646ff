"""Keep memory shared after a fork: the tricks, each by its name, in the order that they need."""

import gc

from . import immortal, relocate, seal


def apply(wanted, hot=None):
    """Do what is wanted and possible in this interpreter; return the names of what was done.

    hot() returns the keys of the code to relocate.
    """
    applied = []
    if "gc" in wanted:
        gc.collect()
        applied.append("gc")
    if "relocate" in wanted and hot is not None:
        if "seal" in wanted:
            seal.seal()
        if relocate.relocate(hot()):
            applied.append("relocate")
    if "seal" in wanted and seal.seal():
        applied.append("seal")
    if "immortal" in wanted and immortal.immortalise():
        applied.append("immortal")
    if "freeze" in wanted:
        gc.freeze()  # no collection in a child visits, and so writes to, what is there now
        applied.append("freeze")
    if "seal" in applied:
        seal.seal_objects()
    return applied
