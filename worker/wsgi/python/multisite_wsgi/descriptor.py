"""A descriptor of the worker's own."""

import os


class Descriptor:
    """It is closed once: what gets its number then belongs to somebody else.

    No file object: CPython 3.9 crashes of one that a signal handler keeps until the interpreter's end.
    """

    def __init__(self, number):
        self.number = number  # -1: closed

    def close(self):
        number, self.number = self.number, -1
        if number >= 0:
            os.close(number)
