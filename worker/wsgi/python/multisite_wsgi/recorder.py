"""Record what a site imports, in a learner, which exits afterwards.

For each module: its file, what it imported, which environment variables it read
while it was imported, and whether it did something then that depends on the site.
sharing_plan.py draws the conclusions. Reads that happen later, when functions are
called, do not matter: they happen in the site's own process.
"""

import atexit
import builtins
import importlib
import os
import sys
import weakref

from . import hazards
from .relocate_code import code_key

CWD = "os.getcwd()"  # stands for the working directory among the reads; no variable can have this name

# Methods of Django's registry of apps whose results depend on the site.
_REGISTRY = ("check_apps_ready", "check_models_ready", "get_app_config", "get_app_configs", "get_containing_app_config",
             "get_model", "is_installed", "lazy_model_operation", "register_model")


class Module:
    """The record of one module."""

    def __init__(self, origin):
        self.origin = origin  # its file, or "built-in" or "frozen"
        self.imports = set()  # names of the modules that it imported
        self.reads = set()  # names of the environment variables that it read, and CWD
        self.taint = ""  # why other sites cannot share it; "": nothing is known against it

    def record(self):
        return {"origin": self.origin, "imports": sorted(self.imports), "reads": sorted(self.reads),
                "taint": self.taint}


class Recorder:
    """Records all imports from now on until this process exits.

    The modules that are imported already must be those that a project zygote has
    too, since they are not recorded.
    """

    def __init__(self, begun=lambda origin: None):
        self._begun = begun  # called with the file of each module whose import begins
        # By name, in the order in which their imports began, so that the zygote enters a cycle of imports at the
        # same module.
        self.modules = {}
        self._importing = []  # the modules whose code runs now, the innermost last
        self._resources = set()  # files, threads and processes that are attributed already
        self._watch_imports()
        self._watch_process()

    def begin(self, name, origin):
        self._begun(origin)
        if self._importing:
            self._importing[-1].imports.add(name)
        else:
            self._resources = hazards.resources()  # so that these are not attributed to this import
        module = self.modules[name] = Module(origin)
        self._importing.append(module)

    def end(self, name):
        """Note what the module has left behind; called when its code has run."""
        module = self._importing.pop()
        left = hazards.resources() - self._resources
        if left:
            module.taint = "it leaves a %s behind" % " and a ".join(sorted({kind for kind, _ in left}))
            self._resources |= left
        if name == "django.conf":
            self._watch_settings()
        if name == "django.apps.registry":
            self._watch_registry()

    def taint(self, why):
        if self._importing:
            self._importing[-1].taint = why

    def read(self, name):
        if self._importing:
            self._importing[-1].reads.add(name)

    def _imported(self, name):
        if self._importing:
            self._importing[-1].imports.add(name)

    def _watch_imports(self):
        sys.meta_path.insert(0, _Finder(self))
        original, import_module = builtins.__import__, importlib.import_module

        def watched(name, globals=None, locals=None, fromlist=(), level=0):
            module = original(name, globals, locals, fromlist, level)
            if self._importing:
                full = getattr(module, "__name__", name) if level else name
                self._imported(full)
                for part in fromlist or ():
                    if "%s.%s" % (full, part) in sys.modules:
                        self._imported("%s.%s" % (full, part))
            return module

        def watched_import_module(name, package=None):
            module = import_module(name, package)
            self._imported(getattr(module, "__name__", name))
            return module

        builtins.__import__ = watched
        importlib.import_module = watched_import_module

    def _watch_process(self):
        kind = type(os.environ)
        get_item, getcwd, register = kind.__getitem__, os.getcwd, atexit.register

        def watched_get_item(environ, key):
            self.read(os.fsdecode(key) if isinstance(key, (str, bytes)) else "")
            return get_item(environ, key)

        def watched_getcwd():
            self.read(CWD)
            return getcwd()

        def watched_register(function, *args, **kwargs):
            if function != weakref.finalize._exitfunc and getattr(function, "__module__", "") not in (
                    "logging", "multiprocessing.util"):  # see exit_work.py
                self.taint("it registers an exit handler")
            return register(function, *args, **kwargs)

        kind.__getitem__ = watched_get_item
        os.getcwd = watched_getcwd
        atexit.register = watched_register

    def _watch_settings(self):
        lazy = type(sys.modules["django.conf"].settings)

        def watched(settings, name):  # not __getattr__, which is not called for values that were read before
            if name.isupper():
                self.taint("it reads settings.%s" % name)
            value = object.__getattribute__(settings, name)
            if name == "configured" and value:  # in the project zygote they are not
                self.taint("it asks whether settings are configured")
            return value

        lazy.__getattribute__ = watched

    def _watch_registry(self):
        apps = sys.modules["django.apps.registry"].Apps
        for name in _REGISTRY:
            setattr(apps, name, self._watched_method(name, getattr(apps, name)))

    def _watched_method(self, name, method):
        def watched(*args, **kwargs):
            self.taint("it uses apps.%s" % name)
            return method(*args, **kwargs)

        return watched


class _Finder:
    """Finds modules with the other finders, and wraps their loaders."""

    def __init__(self, recorder):
        self._recorder = recorder

    def find_spec(self, name, path=None, target=None):
        for finder in sys.meta_path:
            spec = _ask(finder, name, path, target) if finder is not self else None
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader, self._recorder)
                return spec
        return None


def _ask(finder, name, path, target):
    """Ask a finder as the interpreter does: until Python 3.11 one without find_spec has find_module."""
    if hasattr(finder, "find_spec"):
        return finder.find_spec(name, path, target)
    legacy = getattr(importlib._bootstrap, "_find_spec_legacy", None)
    return legacy(finder, name, path) if legacy else None


class _Loader:
    """Notifies the recorder when a module's code begins and ends; the module keeps its own loader."""

    def __init__(self, loader, recorder):
        self._loader = loader
        self._recorder = recorder

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        spec = module.__spec__  # it has the name that was asked for; the module _decimal has the __name__ decimal
        spec.loader = module.__loader__ = self._loader
        self._recorder.begin(spec.name, spec.origin)
        try:
            self._loader.exec_module(module)
        finally:
            self._recorder.end(spec.name)


def hot_code(run):
    """Return the keys of the code objects that run() calls."""
    seen = set()

    def profile(frame, event, _argument):
        if event == "call":
            seen.add(code_key(frame.f_code))

    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)
    return seen

