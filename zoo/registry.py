"""Plug-ins by file name: a model, a runtime or an exporter is one module, found where it lies.

Rules: nothing is imported until it is asked for; no list is kept; a name that begins with "_" is no plug-in. Another
package adds its own through an entry point in the group "deepstarr_zoo.models", "deepstarr_zoo.runtimes" or
"deepstarr_zoo.exporters". What a plug-in has to offer is in contracts.py; one that does not, or that cannot be
imported, is left out of everything but `problems`, and is an error only for who asks for it by name.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import pkgutil
from functools import cache
from importlib import metadata
from types import ModuleType
from typing import Any

from zoo.errors import BadPlugin, ZooError, did_you_mean

PACKAGES = {"models": "zoo.models", "runtimes": "zoo_runtimes", "exporters": "zoo_exporters"}
"""Kind of plug-in -> package whose modules are the plug-ins."""

REQUIRED = {
    "models": ("Config", "VARIANTS", "HEAD", "array_shapes", "layer_norms", "network"),
    "runtimes": ("DEVICES", "PRECISIONS", "missing", "refuses", "start"),
    "exporters": ("SUFFIX", "refuses", "export"),
}
"""Kind of plug-in -> the names that it must have: those of its Protocol in contracts.py."""


@cache
def _bundled(kind: str) -> tuple[str, ...]:
    package = importlib.util.find_spec(PACKAGES[kind])
    if package is None or package.submodule_search_locations is None:
        raise ZooError(f"the package {PACKAGES[kind]!r} is missing from this installation; reinstall deepstarr-zoo")
    modules = pkgutil.iter_modules(package.submodule_search_locations)
    return tuple(module.name for module in modules if not module.name.startswith("_"))


@cache
def _installed(kind: str) -> dict[str, metadata.EntryPoint]:
    """Entry points that no bundled file hides."""
    return {point.name: point for point in _entry_points(kind) if point.name not in _bundled(kind)}


@cache
def _entry_points(kind: str) -> tuple[metadata.EntryPoint, ...]:
    return tuple(metadata.entry_points(group=f"deepstarr_zoo.{kind}"))


def names(kind: str) -> list[str]:
    """Names of all plug-ins of a kind ("models", "runtimes", "exporters"), sorted; none of them is imported."""
    return sorted({*_bundled(kind), *_installed(kind)})


def load(kind: str, name: str) -> Any:
    """Import the plug-in `name`, a module as its Protocol in contracts.py says.

    Raises ZooError if there is none, and lists those that exist; BadPlugin if it does not keep its contract.
    """
    if name not in names(kind):
        raise ZooError(
            f"no {kind[:-1]} is called {name!r}{did_you_mean(name, names(kind))}; there are {', '.join(names(kind))}"
        )
    return _loaded(kind, name)


@cache
def _loaded(kind: str, name: str) -> ModuleType:
    try:
        if name in _bundled(kind):
            module = importlib.import_module(f"{PACKAGES[kind]}.{name}")
        else:
            module = _installed(kind)[name].load()
        reason = complaint(kind, module)
    except Exception as error:  # noqa: BLE001 - whatever another package does wrong is one line
        reason = f"it cannot be imported ({type(error).__name__}: {' '.join(str(error).split())})"
    if reason:
        raise BadPlugin(f"the {kind[:-1]} {name!r} is no plug-in that works: {reason}")
    return module


def working(kind: str) -> dict[str, Any]:
    """Name -> module of all plug-ins of a kind that keep their contract, sorted by name."""
    return {name: _loaded(kind, name) for name in names(kind) if name not in _broken(kind)}


def problems(kind: str) -> dict[str, str]:
    """Name -> what is wrong with a plug-in: it does not work, or a bundled one of the same name hides it."""
    hidden = {
        point.name: f"the {kind[:-1]} {point.name!r} of {point.value} is not used: one of that name comes with the zoo"
        for point in _entry_points(kind)
        if point.name in _bundled(kind)
    }
    return {**_broken(kind), **hidden}


@cache
def _broken(kind: str) -> dict[str, str]:
    found = {}
    for name in names(kind):
        try:
            _loaded(kind, name)
        except BadPlugin as error:
            found[name] = str(error)
    return found


def forget() -> None:
    """Look again: for a program that installs a plug-in while it runs, such as a test."""
    for kept in (_bundled, _installed, _entry_points, _loaded, _broken):
        kept.cache_clear()


def complaint(kind: str, plugin: Any) -> str | None:
    """The first obligatory name that a plug-in lacks, in one line; None if it has them all."""
    for name in REQUIRED[kind]:
        if not hasattr(plugin, name):
            return f"it lacks {name}"
    return _config_complaint(plugin.Config) if kind == "models" else None


def _config_complaint(config: Any) -> str | None:
    if not dataclasses.is_dataclass(config) or not getattr(config, "__dataclass_params__").frozen:  # noqa: B009
        return "Config: expected a frozen dataclass"
    fields = {field.name for field in dataclasses.fields(config)}
    for name in ("sequence_length", "targets"):
        if name not in fields:
            return f"Config: it lacks the field {name}"
    return None if callable(getattr(config, "to_dict", None)) else "Config: it lacks to_dict()"
