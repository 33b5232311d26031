"""Plug-ins by file name: a model, a runtime or an exporter is one module, found where it lies.

Rules: nothing is imported until it is asked for; no list is kept. Another package adds its own through an entry
point in the group "deepstarr_zoo.models", "deepstarr_zoo.runtimes" or "deepstarr_zoo.exporters".
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from functools import cache
from importlib import metadata
from types import ModuleType

from zoo.errors import ZooError

PACKAGES = {"models": "zoo.models", "runtimes": "runtimes", "exporters": "exporters"}
"""Kind of plug-in -> package whose modules are the plug-ins."""


@cache
def _bundled(kind: str) -> tuple[str, ...]:
    package = importlib.util.find_spec(PACKAGES[kind])
    if package is None or package.submodule_search_locations is None:
        raise ZooError(f"the package {PACKAGES[kind]!r} is missing from this installation; reinstall deepstarr-zoo")
    return tuple(module.name for module in pkgutil.iter_modules(package.submodule_search_locations))


@cache
def _installed(kind: str) -> dict[str, metadata.EntryPoint]:
    return {point.name: point for point in metadata.entry_points(group=f"deepstarr_zoo.{kind}")}


def names(kind: str) -> list[str]:
    """Names of all plug-ins of a kind ("models", "runtimes", "exporters"), sorted."""
    return sorted({*_bundled(kind), *_installed(kind)})


def load(kind: str, name: str) -> ModuleType:
    """Import the plug-in `name`. Raises ZooError if there is none, and lists those that exist."""
    if name in _bundled(kind):
        return importlib.import_module(f"{PACKAGES[kind]}.{name}")
    if name in _installed(kind):
        return _installed(kind)[name].load()
    raise ZooError(f"no {kind[:-1]} is called {name!r}; there are {', '.join(names(kind))}")
