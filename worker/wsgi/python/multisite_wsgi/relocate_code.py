"""Move the code that requests run to one place.

What it does: functions whose code is known to be called by requests get an
equal code object. The new code objects are made one after the other in a sealed
heap, so they lie side by side.

Why: CPython 3.11 and later specialise code while it runs, and keep counters
among its instructions. A code object that is written to costs a child the copy
of its page. Spread over the heap, each one costs a page; side by side, many
share one.

Why it is safe: code.replace() without arguments makes an equal code object, and
assigning __code__ is a documented feature of functions.
"""

import gc
import sys
import types


def relocate(hot):
    """Move the code objects with these keys; return False for a Python version that does not write to code."""
    if sys.version_info < (3, 11):
        return False
    hot = set(map(tuple, hot))
    functions = [thing for thing in gc.get_objects() if type(thing) is types.FunctionType
                 and code_key(thing.__code__) in hot]
    moved = {}
    for function in sorted(functions, key=lambda function: code_key(function.__code__)):
        function.__code__ = _moved(function.__code__, hot, moved)
    return True


def code_key(code):
    """Return what identifies a code object in every process that loads the same source."""
    return code.co_filename, code.co_firstlineno, code.co_name


def _moved(code, hot, moved):
    """Return the copy of a code object, in which the hot functions within it are copies too."""
    if id(code) not in moved:
        constants = tuple(
            _moved(constant, hot, moved) if type(constant) is types.CodeType and code_key(constant) in hot else constant
            for constant in code.co_consts)
        same = all(old is new for old, new in zip(code.co_consts, constants))
        new = code.replace() if same else code.replace(co_consts=constants)
        moved[id(code)] = code, new  # keeping the old one alive keeps its id unique
    return moved[id(code)][1]
