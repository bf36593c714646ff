"""Choose the modules that several sites can share, so that they are imported once for all.

A module can be shared if every site imports it by itself, from the same file, and
while it is imported neither it nor anything that it imports
  - reads settings, the registry of apps, or the working directory or an
    environment variable that is not the same for all sites,
  - leaves a thread, a process or an open descriptor behind,
  - is code of a project.
"""

import os
import sys

from .installed import PACKAGES, is_installed
from .recorder import CWD


class SharingPlan:
    """What the sites with these configurations can share, given the learning result of each."""

    def __init__(self, configs, learned, without):
        self._sites = [learned[config.site]["modules"] for config in configs]  # {name: record} of each site
        self._hot = [key for config in configs for key in learned[config.site]["hot"]]  # code that requests call
        self._project = {folder for config in configs for folder in _project_folders(config)}  # directories of projects
        self._roots = {root for config in configs for root in _project_roots(config)}  # top packages of projects
        self._differing = differing(configs)
        self._excluded = set(without)  # modules that have failed to be imported for all sites

    def modules(self):
        """Return [name, origin] of each shared module, in the order in which the first site began to import them."""
        chosen = [name for name in self._sites[0] if self._is_neutral(name)]
        fixed = set(sys.modules)
        while True:  # until no module imports one that cannot be shared
            inside = set(chosen)
            kept = [name for name in chosen if all(
                dep in inside or dep in fixed for modules in self._sites for dep in needs(name, modules[name]))]
            if len(kept) == len(chosen):
                return [[name, self._sites[0][name]["origin"]] for name in kept]
            chosen = kept

    def hot(self, origins):
        """Return the keys of the code that requests call and that is in these files."""
        return sorted({tuple(key) for key in self._hot if key[0] in origins})

    def _is_neutral(self, name):
        """Return whether the module could be shared, apart from what it imports."""
        origin = self._sites[0][name]["origin"]
        if name in self._excluded or name.partition(".")[0] in self._roots or not self._is_public(origin):
            return False
        for modules in self._sites:
            module = modules.get(name)
            if module is None or module["taint"] or module["origin"] != origin:
                return False
            if not self._differing.isdisjoint(module["reads"]):
                return False
        return True

    def _is_public(self, origin):
        """Return whether a file belongs to the standard library or to an installed package, not to a project."""
        if origin in ("built-in", "frozen"):
            return True
        if not origin or not os.path.isabs(origin):
            return False
        if is_installed(origin):
            return True
        return (any(_is_below(origin, entry) for entry in sys.path)
                and not any(_is_below(origin, folder) for folder in self._project))


def differing(configs):
    """Return the names of the variables, and CWD, that are not the same for all sites."""
    names = {name for config in configs for name in config.env or {}}
    found = {name for name in names | {CWD} if len({value(config, name) for config in configs}) > 1}
    return found | {"DJANGO_SETTINGS_MODULE"}


def value(config, read):
    """Return what a site finds when it reads this variable, or CWD."""
    return config.home if read == CWD else (config.env or {}).get(read)


def common_packages(configs):
    """Return the directories of installed packages in python_path that all sites have in common.

    Configurations from mod_wsgi often name the site-packages of a venv there.
    """
    return [entry for entry in configs[0].python_path
            if _is_packages(entry) and all(entry in config.python_path for config in configs)]


def needs(name, module):
    """Return the modules that have to be imported when this one is."""
    parents = [name[:n] for n, letter in enumerate(name) if letter == "."]
    return [dep for dep in module["imports"] + parents if dep != name]


def _project_folders(config):
    folders = [config.home] + [entry for entry in config.python_path if not _is_packages(entry)]
    if os.path.isabs(config.wsgi):
        folders.append(os.path.dirname(config.wsgi))
    return filter(None, folders)


def _project_roots(config):
    """Return the packages of the settings and of the application: they belong to the project even if installed."""
    names = [config.settings]
    if not os.path.isabs(config.wsgi):
        names.append(config.wsgi.partition(":")[0])
    return [name.partition(".")[0] for name in names if name]


def _is_packages(entry):
    return os.path.basename(entry.rstrip(os.sep)) in PACKAGES


def _is_below(path, folder):
    return bool(folder) and path.startswith(folder.rstrip(os.sep) + os.sep)
