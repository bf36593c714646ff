"""A file descriptor that belongs to the worker and not to the application."""

import os


class Descriptor:
    """It is closed once: afterwards its number may belong to the application.

    This is no file object, since CPython 3.9 crashes when a signal handler holds one at the interpreter's exit.
    """

    def __init__(self, number):
        self.number = number  # -1: closed

    def close(self):
        number, self.number = self.number, -1
        if number >= 0:
            os.close(number)
