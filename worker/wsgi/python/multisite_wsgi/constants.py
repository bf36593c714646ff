"""Let code that has run already load its constants as immortal ones.

What it does: CPython 3.14 chooses, when code first runs, between an instruction that
counts the reference to a constant and one that does not (LOAD_CONST_MORTAL and
LOAD_CONST_IMMORTAL). For code whose constants become immortal later, this module
replaces the first by the second.

Why: the first one adds 1 without looking. Where the constant then goes into a list or an
attribute, the reference is given back by code that does look, and so takes nothing off.
The count of a constant that is stored a billion times would overflow, and the constant
would be freed while it is in use. Besides, every execution would write to a shared page.

Why it is safe: it is what the interpreter itself would have chosen, had the constant been
immortal then. Both instructions have the same size and argument, and constants become
immortal with the code that has them.
"""

import opcode

_CODES = getattr(opcode, "_specialized_opmap", {})
MORTAL = _CODES.get("LOAD_CONST_MORTAL")  # None: this version has no such instruction
IMMORTAL = _CODES.get("LOAD_CONST_IMMORTAL")


def counting_loads(code):
    """Yield the addresses of the instructions in code that count references to a constant."""
    if MORTAL is None:
        return
    running = code._co_code_adaptive
    if MORTAL not in running:
        return
    plain = code.co_code  # the same without the interpreter's choices: its caches, which may look like instructions, are 0
    start = id(code) + type(code).__basicsize__
    for n in range(0, len(running), 2):
        if running[n] == MORTAL and plain[n] == opcode.opmap["LOAD_CONST"]:
            yield start + n
