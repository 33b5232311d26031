"""What a user chose to train: a model's name or a TOML file -> the network and the settings of its training.

Needs no PyTorch, so that the command line can ask before anything heavy is imported.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.defaults import MODEL
from zoo.errors import ZooError, did_you_mean
from zoo.options import check_kind, check_names, names
from zoo.training.config import TrainConfig, make, read_toml
from zoo.weights import lookup


def read_model(
    model: str, changes: dict[str, Any] | None = None, kind: type[TrainConfig] = TrainConfig
) -> tuple[str, Any, dict[str, Any]]:
    """A variant's name or a TOML file -> architecture, its Config, and settings of a training by name.

    The table [model] holds `architecture` and fields of its Config, or `variant` and the fields that differ from it;
    `changes` are laid over either. The settings are the architecture's RECIPE, with the table [train] laid over it;
    where `kind`, what they are for, has a default of its own that is not TrainConfig's, the RECIPE has no say.
    Raises ZooError for an unknown name or field, or a value that Config refuses.
    """
    if Path(model).suffix == ".toml":
        tables = read_toml(Path(model))
        table, where = dict(tables["model"]), f"{model}, [model]"
        variant, architecture = table.pop("variant", None), table.pop("architecture", None)
        for name, value in (("variant", variant), ("architecture", architecture)):
            check_kind(f"{where}: {name}", value, str | None)
        architecture = architecture or _architecture(variant or MODEL)
    else:
        tables, table, where, variant = {"train": {}}, {}, model, model
        architecture = _architecture(model)
    plugin = registry.load("models", architecture)
    if variant and variant not in plugin.VARIANTS:
        known = ", ".join(plugin.VARIANTS)
        raise ZooError(f"{where}: {architecture} has no variant {variant!r}; there are {known}")
    base = plugin.VARIANTS[variant].to_dict() if variant else {}
    check_names(tables["train"], names(kind), f"{model}, [train]: no setting")
    general = TrainConfig()
    own = {field.name for field in dataclasses.fields(kind) if field.default != getattr(general, field.name)}
    recipe = {name: value for name, value in getattr(plugin, "RECIPE", {}).items() if name not in own}
    return (
        architecture,
        make(plugin.Config, {**base, **table, **(changes or {})}, where),
        {**recipe, **tables["train"]},
    )


def _architecture(variant: str) -> str:
    found = lookup.variants()
    if variant not in found:
        there = f"{did_you_mean(variant, found)}; there are {', '.join(sorted(found))}"
        raise ZooError(f"no model is called {variant!r}{there}, or give a .toml file")
    return found[variant]
