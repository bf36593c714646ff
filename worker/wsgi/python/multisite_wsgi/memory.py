"""Make memory stay shared after a fork: the tricks, each by its name, in their order."""

import gc


def apply(wanted):
    """Do what is wanted and possible in this interpreter; return the names of what was done."""
    applied = []
    if "gc" in wanted:
        gc.collect()
        applied.append("gc")
    if "freeze" in wanted:
        gc.freeze()
        applied.append("freeze")
    return applied
