"""Import what several sites share, under guard.

The plan says what that is. Here, a second look is taken at each import:
settings are out of bounds, no module outside the plan may appear, and no
thread, process or descriptor may be left behind.
"""

import gc
import importlib
import importlib.util
import os
import site
import sys

from . import hazards, offspring, plan
from .report import error_line


class FailedImport(Exception):
    """This process is of no use any more: half of a module may have been imported."""

    def __init__(self, module, problem):
        super().__init__(module, problem)
        self.module = module
        self.problem = problem


def load(modules, configs, own):
    """Import modules, as [name, origin], which these sites share; own are the descriptors of this process."""
    before = dict(os.environ), list(sys.path), os.getcwd()
    allowed = set(sys.modules).union(name for name, _ in modules)
    try:
        _enter_surroundings(configs)
        with _Tripwire() as tripwire:
            for name, origin in modules:
                _load(name, origin, allowed)
                _check(name, own)
                tripwire.arm()
    finally:
        sys.path[:] = before[1]
        os.chdir(before[2])
        offspring.set_environment(before[0])
        gc.disable()  # a module may have enabled it


def _load(name, origin, allowed):
    known = len(sys.modules)
    try:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin != origin:
            raise ImportError("it is not at %s" % origin)
        importlib.import_module(name)
    except _OutOfBounds as error:
        raise FailedImport(name, str(error)) from None
    except BaseException as error:  # SystemExit of a module too
        raise FailedImport(name, error_line(error)) from None
    strange = [new for new in list(sys.modules)[known:] if new not in allowed and _is_imported(new)]
    if strange:
        raise FailedImport(name, "it imports %s, which is not to be shared" % ", ".join(strange))


def _is_imported(name):
    """Whether it is more than another name in sys.modules for something else."""
    return getattr(getattr(sys.modules[name], "__spec__", None), "name", None) == name


def _check(name, own):
    if hazards.is_alone() and hazards.descriptors() == own:
        return
    unsafe = hazards.find(own)
    if unsafe:
        raise FailedImport(name, "; ".join(unsafe))


def _enter_surroundings(configs):
    """What is equal for all sites is so here."""
    differing = plan.differing(configs)
    env = configs[0].env or {}
    offspring.set_environment({name: env[name] for name in env if name not in differing})
    if plan.CWD not in differing and configs[0].home:
        os.chdir(configs[0].home)
    for entry in reversed(plan.common_packages(configs)):
        site.addsitedir(entry)
        sys.path.remove(entry)
        sys.path.insert(0, entry)


class _OutOfBounds(BaseException):
    """Not an Exception: nobody shall go on after it."""


class _Tripwire:
    """While it is armed, whoever reads Django's settings stops."""

    def __enter__(self):
        self._lazy = None
        return self

    def arm(self):
        conf = sys.modules.get("django.conf")
        if conf is None or self._lazy is not None:
            return
        self._lazy = type(conf.settings)
        self._setup = self._lazy._setup

        def stop(_settings, name=None):
            raise _OutOfBounds("it reads settings.%s" % name)

        self._lazy._setup = stop

    def __exit__(self, *_):
        if self._lazy is not None:
            self._lazy._setup = self._setup
