"""Find out by its path whether a file belongs to the interpreter or to an installed package."""

import os

PACKAGES = ("site-packages", "dist-packages")
STDLIB = os.path.dirname(os.__file__) + os.sep


def is_installed(path):
    return path.startswith(STDLIB) or any(part in PACKAGES for part in path.split(os.sep))
