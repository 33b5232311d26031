"""Plug-ins: models, runtimes and exporters, each a module that is found by its name and imported when it is needed.

Modules of the packages in PACKAGES are plug-ins, except those whose names begin with "_". Another package adds its own
through an entry point in the group "deepstarr_zoo.models", "deepstarr_zoo.runtimes" or "deepstarr_zoo.exporters".
contracts.py says what a plug-in offers. A plug-in that cannot be imported or lacks an obligatory name is reported by
`problems` and left out everywhere else; only loading it by name is an error.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import os
import pkgutil
import time
from collections.abc import Mapping
from functools import cache
from importlib import machinery, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import BadPlugin, ZooError
from zoo.options import check_names

if TYPE_CHECKING:
    from zoo.card import Card

PACKAGES = {"models": "zoo.models", "runtimes": "zoo_runtimes", "exporters": "zoo_exporters"}
"""Kind of plug-in -> package whose modules are the plug-ins."""

LAYERS = "zoo.layers"
"""Package with what several architectures share."""

CODE = tuple(machinery.all_suffixes())
"""Suffixes of source files and compiled modules."""

_loaded_at: dict[tuple[str, str], int] = {}
"""Kind and name of a plug-in -> when it was loaded, in nanoseconds as time.time_ns gives them."""

REQUIRED = {
    "models": ("Config", "VARIANTS", "network"),
    "runtimes": ("DEVICES", "PRECISIONS", "missing", "refuses", "start"),
    "exporters": ("SUFFIX", "refuses", "export"),
}
"""Kind of plug-in -> its obligatory names: those of its Protocol in contracts.py."""


def names(kind: str) -> list[str]:
    """Names of all plug-ins of a kind ("models", "runtimes" or "exporters"), sorted. Imports none of them."""
    return list(_entry_points(kind))


def load(kind: str, name: str) -> Any:
    """Import a plug-in: a module with the names of its Protocol in contracts.py.

    Raises ZooError for an unknown name, and BadPlugin for a plug-in that does not work.
    """
    check_names([name], names(kind), f"unknown {kind[:-1]}")
    plugin = _load(kind, name)
    if isinstance(plugin, str):
        raise BadPlugin(plugin)
    return plugin


def recipe(plugin: Any, config: Any) -> dict[str, Any]:
    """Default training settings of a model's network: its RECIPE, see contracts.ModelExtras."""
    found = getattr(plugin, "RECIPE", {})
    return dict(found(config) if callable(found) else found)


def card(plugin: Any, variant: str) -> Card | None:
    """The card of a model's variant: its CARD, see contracts.ModelExtras."""
    found = getattr(plugin, "CARD", None)
    return found.get(variant) if isinstance(found, Mapping) else found


def working(kind: str) -> dict[str, Any]:
    """Name -> module of all plug-ins of a kind that work, sorted by name."""
    plugins = {name: _load(kind, name) for name in names(kind)}
    return {name: plugin for name, plugin in plugins.items() if not isinstance(plugin, str)}


def problems(kind: str) -> dict[str, str]:
    """Name -> message, for each plug-in that does not work or is hidden by another one of the same name."""
    broken = {name: plugin for name in names(kind) if isinstance(plugin := _load(kind, name), str)}
    hidden = {
        point.name: f"{kind[:-1]} {point.name!r} in {point.value} is not used: {used.value} has the same name"
        for point in _installed(kind)
        if (used := _entry_points(kind)[point.name]) != point
    }
    return {**broken, **hidden}


def code_digest(kind: str, name: str) -> str:
    """sha256 (hex) of the code of a plug-in: its distribution and version, and every module of its package.

    The package is the folder of all bundled plug-ins of this kind, or the top-level one of another package. What the
    zoo's layers compute is part of it. If a file has changed since this program loaded the plug-in, the digest is one
    that no other call returns, since the file is not what runs.
    """
    load(kind, name)
    point = _entry_points(kind)[name]
    made_of = hashlib.sha256(repr((point.value, point.dist and (point.dist.name, point.dist.version))).encode())
    bundled = point.module.startswith(f"{PACKAGES[kind]}.")
    for root in (PACKAGES[kind] if bundled else point.module.partition(".")[0], LAYERS):
        for path in _code_files(root):
            if path.stat().st_mtime_ns > _loaded_at.get((kind, name), 0):
                made_of.update(os.urandom(made_of.digest_size))
            made_of.update(repr((root, path.name, path.stat().st_size)).encode() + path.read_bytes())
    return made_of.hexdigest()


def _code_files(root: str) -> list[Path]:
    """The source files and compiled modules of a package, or the file of a module, sorted."""
    spec = importlib.util.find_spec(root)
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        return [Path(spec.origin)] if spec.origin and Path(spec.origin).is_file() else []
    files = (path for folder in spec.submodule_search_locations for path in Path(folder).rglob("*") if path.is_file())
    return sorted(path for path in files if path.name.endswith(CODE) and path.parent.name != "__pycache__")


def forget() -> None:
    """Look for plug-ins again, in a program that installs one while it runs."""
    _of_other_packages.cache_clear()
    _entry_points.cache_clear()
    _load.cache_clear()


def complaint(kind: str, plugin: Any) -> str | None:
    """The first obligatory name that a plug-in lacks, in one line; None if it has them all."""
    for name in REQUIRED[kind]:
        if not hasattr(plugin, name):
            return f"it lacks {name}"
    if kind != "models":
        return None
    config = plugin.Config
    if not dataclasses.is_dataclass(config) or not getattr(config, "__dataclass_params__").frozen:  # noqa: B009
        return "Config: expected a frozen dataclass"
    for name in ("sequence_length", "targets"):
        if name not in {field.name for field in dataclasses.fields(config)}:
            return f"Config: it lacks the field {name}"
    return None if callable(getattr(config, "to_dict", None)) else "Config: it lacks to_dict()"


@cache
def _entry_points(kind: str) -> dict[str, metadata.EntryPoint]:
    """Name -> entry point, sorted by name; a bundled plug-in hides an installed one of the same name."""
    package = importlib.util.find_spec(PACKAGES[kind])
    if package is None or package.submodule_search_locations is None:
        raise ZooError(f"the package {PACKAGES[kind]!r} is missing from this installation; reinstall deepstarr-zoo")
    modules = [module.name for module in pkgutil.iter_modules(package.submodule_search_locations)]
    bundled = [
        metadata.EntryPoint(name, f"{PACKAGES[kind]}.{name}", "") for name in modules if not name.startswith("_")
    ]
    return dict(sorted({point.name: point for point in (*_installed(kind), *bundled)}.items()))


def _installed(kind: str) -> metadata.EntryPoints:
    return _of_other_packages().select(group=f"deepstarr_zoo.{kind}")


@cache
def _of_other_packages() -> Any:
    """All entry points. Reading them opens a file of every distribution in the environment."""
    return metadata.entry_points()


@cache
def _load(kind: str, name: str) -> Any:
    """The module of a plug-in, or, as text, what is wrong with it."""
    _loaded_at[kind, name] = time.time_ns()
    try:
        plugin = _entry_points(kind)[name].load()
        reason = complaint(kind, plugin)
    except Exception as error:  # noqa: BLE001 - a mistake in another package, whatever it is, is one line
        reason = f"it cannot be imported ({type(error).__name__}: {' '.join(str(error).split())})"
    return f"{kind[:-1]} {name!r} does not work: {reason}" if reason else plugin
