"""Models, weights, runtimes and formats for `zoo list`, and the content of a weights file for `zoo info`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.checks import catalogue
from zoo.checks.catalogue import KnownModel
from zoo.prediction import session
from zoo.spec import ModelSpec, listed
from zoo.weights import checkpoint, ensembles, lookup, model_arrays
from zoo.weights.ensembles import Weights


@dataclasses.dataclass(frozen=True)
class Entry:
    """One line of `zoo list`. obstacle: why it cannot be used here, and what to do; None if it can."""

    name: str
    about: str
    obstacle: str | None = None


def everything() -> dict[str, list[Entry]]:
    """Section -> its entries."""
    return {"models": models(), "weights": known_weights(), "runtimes": runtimes(), "formats": formats()}


def models() -> list[Entry]:
    """The variants of every architecture."""
    entries = []
    for name, architecture in lookup.variants().items():
        module = registry.load("models", architecture)
        config = module.VARIANTS[name]
        shapes = model_arrays.known_shapes(architecture, config)
        numbers = "" if shapes is None else f", {sum(map(math.prod, shapes.values())):,} numbers"
        targets = listed(config.targets)
        spec = checkpoint.describe(architecture, config)
        refusing = [runtime for runtime in session.runtime_names() if session.refuses(runtime, spec)]
        about = f"{architecture}, {config.sequence_length} bases to {targets}{numbers}"
        entries.append(Entry(name, about + (f"; not on {', '.join(refusing)}" if refusing else "")))
    return [*entries, *_left_out("models")]


def known_weights() -> list[Entry]:
    """Weights by name: bundled and published ones, and those of hubs in the cache."""
    return [Entry(one.name, _about(one), one.obstacle) for one in catalogue.list_models(pretrained=True)]


def _about(one: KnownModel) -> str:
    """What helps to choose weights, in a few words; for bundled ones, how far they are from those that they imitate."""
    texts = [one.species, one.tissue, one.assay, f"{one.sequence_length} bases", one.licence]
    bundled = lookup.catalog().get(one.name) if one.weights == "bundled" else None
    caution = lookup.caution(bundled["weights_id"]) if bundled else None
    kind = "the weights of the paper" if one.weights == "published" else ""
    return "; ".join(filter(None, (kind, ", ".join(filter(None, texts)), caution)))


def runtimes() -> list[Entry]:
    """Every engine on every device that it knows."""
    entries = []
    for name in session.runtime_names():
        taken = ", ".join((checkpoint.SUFFIX, *session.files(name)))
        entries.append(Entry(name, f"runs {taken}", session.missing(name)))
    return [*entries, *_left_out("runtimes")]


def formats() -> list[Entry]:
    """Export formats, each described by the first line of its exporter."""
    entries = []
    for name, module in registry.working("exporters").items():
        entries.append(Entry(name, f"{module.SUFFIX or 'a folder'}; {(module.__doc__ or '').strip().splitlines()[0]}"))
    return [*entries, *_left_out("exporters")]


def _left_out(kind: str) -> list[Entry]:
    """Plug-ins that do not work, or that a bundled one hides, with the reason."""
    return [Entry(name, "", why) for name, why in registry.problems(kind).items()]


def describe(weights: Weights) -> dict[str, Any]:
    """Describe weights: what the file says and, for bundled weights, what catalog.toml says; JSON types only.

    weights: a file or a name, or several. For a model whose weights are not bundled, only the network is described.
    members: of an ensemble, the fields of spec.Member, and `weights`, the file or name of each.
    recipe: the model's default training settings, by the fields of TrainConfig.  arrays, numbers: None if only the
    network knows them and PyTorch is not installed.
    Raises ZooError as lookup.read_spec does, and for published weights that are not on this machine.
    """
    members = ensembles.members_of(weights)
    if len(members) > 1:
        return _of_ensemble(members)
    (weights,) = members
    bare = lookup.is_name(weights) and weights in lookup.variants() and weights not in lookup.catalog()
    path = None if bare else lookup.path_of(weights)
    spec = _of_model(str(weights)) if path is None else lookup.read_spec(path)
    architecture = registry.load("models", spec.architecture)
    shapes = model_arrays.known_shapes(spec.architecture, checkpoint.config_of(spec))
    if path is not None and spec.frame is not None:
        shapes = registry.load("exporters", "onnx").network_shapes(path)
    bundled, card = lookup.bundled_as(spec.weights_id), lookup.card(spec)
    imitated = lookup.published_instead(spec.architecture) if bundled else None
    return {
        "bundled": bundled,
        "published": lookup.published_as(spec.weights_id),
        "imitates": imitated and f"{imitated}:{lookup.PUBLISHED}",
        "caution": lookup.caution(spec.weights_id),
        "fidelity": lookup.catalog()[bundled].get("fidelity", {}) if bundled else {},
        "file": path and str(path),
        "bytes": path and path.stat().st_size,
        "recipe": registry.recipe(architecture, architecture.Config(**spec.config)),
        **dataclasses.asdict(spec),
        "card": card and card.to_dict(),
        "targets": list(spec.targets),
        "members": [dataclasses.asdict(member) for member in spec.members],
        "arrays": shapes and {name: list(shape) for name, shape in shapes.items()},
        "numbers": shapes and sum(map(math.prod, shapes.values())),
    }


def _of_ensemble(members: Sequence[str | Path]) -> dict[str, Any]:
    """The description of several weights as one model; `members` also has the file or name of each."""
    each = [describe(one) for one in members]
    specs = [lookup.read_spec(lookup.path_of(one)) for one in members]
    whole = ensembles.combined(members, specs)
    names = [name for name, spec in zip(members, specs, strict=True) for _ in spec.members or (spec,)]
    found = [
        {"weights": str(name), **dataclasses.asdict(member)} for name, member in zip(names, whole.members, strict=True)
    ]
    nothing = dict.fromkeys(("bundled", "published", "imitates", "caution", "arrays"))
    sums = {key: sum(one[key] or 0 for one in each) for key in ("bytes", "numbers")}
    return {
        **nothing,
        **sums,
        "fidelity": {},
        "recipe": {},
        "file": ", ".join(str(one["file"]) for one in each),
        **dataclasses.asdict(whole),
        "card": whole.card and whole.card.to_dict(),
        "targets": list(whole.targets),
        "members": found,
    }


def _of_model(name: str) -> ModelSpec:
    architecture = lookup.variants()[name]
    return checkpoint.describe(architecture, registry.load("models", architecture).VARIANTS[name])
