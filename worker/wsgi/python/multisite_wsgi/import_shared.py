"""Import what several sites share, and check each import again.

The plan says which modules these are. An import fails if it reads settings,
imports a module that is not in the plan, or leaves a thread, process or
descriptor behind.
"""

import gc
import importlib
import importlib.util
import os
import site
import sys

from . import fork, hazards, sharing_plan
from .log import error_line


class FailedImport(Exception):
    """An import failed. A module may be half imported, so this process must not be used any more."""

    def __init__(self, module, problem):
        super().__init__(module, problem)
        self.module = module
        self.problem = problem


def import_modules(modules, configs, own):
    """Import modules, as [name, origin], which these sites share; own are the descriptors of this process."""
    before = dict(os.environ), list(sys.path), os.getcwd()
    allowed = set(sys.modules).union(name for name, _ in modules)
    try:
        _enter_common_environment(configs)
        with _SettingsGuard() as guard:
            for name, origin in modules:
                _import(name, origin, allowed)
                _check(name, own)
                guard.arm()
    finally:
        sys.path[:] = before[1]
        os.chdir(before[2])
        fork.set_environment(before[0])
        gc.disable()  # a module may have enabled it


def _import(name, origin, allowed):
    known = len(sys.modules)
    try:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin != origin:
            raise ImportError("it is not at %s" % origin)
        importlib.import_module(name)
    except _SettingsRead as error:
        raise FailedImport(name, str(error)) from None
    except BaseException as error:  # also SystemExit, raised by a module
        raise FailedImport(name, error_line(error)) from None
    strange = [new for new in list(sys.modules)[known:] if new not in allowed and _is_imported(new)]
    if strange:
        raise FailedImport(name, "it imports %s, which cannot be shared" % ", ".join(strange))


def _is_imported(name):
    """Return whether this entry of sys.modules was imported, and is not just another name of some object."""
    return getattr(getattr(sys.modules[name], "__spec__", None), "name", None) == name


def _check(name, own):
    if hazards.has_neither_threads_nor_children() and hazards.descriptors() == own:
        return
    found = hazards.find(own)
    if found:
        raise FailedImport(name, "; ".join(found))


def _enter_common_environment(configs):
    """Set the variables, the working directory and the part of sys.path that are the same for all sites."""
    differing = sharing_plan.differing(configs)
    env = configs[0].env or {}
    fork.set_environment({name: env[name] for name in env if name not in differing})
    if sharing_plan.CWD not in differing and configs[0].home:
        os.chdir(configs[0].home)
    for entry in reversed(sharing_plan.common_packages(configs)):
        site.addsitedir(entry)
        sys.path.remove(entry)
        sys.path.insert(0, entry)


class _SettingsRead(BaseException):
    """A module has read settings. This is no Exception, so that no module catches it."""


class _SettingsGuard:
    """While it is armed, reading Django's settings raises _SettingsRead. arm() does so once django.conf is imported."""

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
            raise _SettingsRead("it reads settings.%s" % name)

        self._lazy._setup = stop

    def __exit__(self, *_):
        if self._lazy is not None:
            self._lazy._setup = self._setup
