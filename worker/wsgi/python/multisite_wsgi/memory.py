"""Keep memory shared after a fork: the tricks, each by its name, in the order that they need."""

import gc

from . import immortal, seal


def apply(wanted):
    """Do what is wanted and possible in this interpreter; return the names of what was done."""
    applied = []
    if "gc" in wanted:
        gc.collect()
        applied.append("gc")
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
