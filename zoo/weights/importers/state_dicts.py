"""A state dict whose arrays are those of a model's network -> weights, whatever its layers are.

Names are those of the network, or become them by the model's table ARRAY_NAMES. A prefix that all names share, such as
"model.", does not matter. What arrays do not show, such as a flank or the size of a pooling, is that of a variant; if
several variants fit, the user must choose one.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from zoo import registry
from zoo.errors import OtherArchitecture, ZooError, did_you_mean, nearest_first
from zoo.options import check_kind
from zoo.spec import ALPHABET, listed
from zoo.weights import checkpoint, lookup, model_arrays
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.importers.layers import ImportOptions
from zoo.weights.importers.pytorch import without_common
from zoo.weights.model_arrays import COUNTER, Shapes

if TYPE_CHECKING:
    import torch

MOST_ARRAYS = 20_000
"""Arrays of a file whose names are compared; no network has as many."""

MOST = 0.5
"""Share of a network's names that a file must have for the message to say what else it lacks."""


class NamedArrays(Protocol):
    """Optional for a model whose weights are read by the names of their arrays.

    ARRAY_NAMES: regular expression for the whole name of an array in another program's state dict -> its name in the
        network, as re.sub writes it. Other names stay.
    BASE_ARRAYS: arrays whose second axis are the bases, those of all variants; with them `zoo import` can try other
        base orders.
    """

    ARRAY_NAMES: Mapping[str, str]
    BASE_ARRAYS: tuple[str, ...]

    def sizes(self, shapes: Shapes) -> Mapping[str, Any]:
        """Fields of the Config that the shapes of the arrays show; all others are those of a variant. Without this
        function, only networks of the variants' sizes are read. It may raise LookupError or ValueError for arrays of
        another architecture."""


@dataclasses.dataclass(frozen=True)
class Named:
    """A network whose arrays are those of a file. description: how the file was read, for its ModelSpec.
    base_arrays: see NamedArrays."""

    architecture: str
    config: Any
    arrays: dict[str, np.ndarray]
    description: str
    base_arrays: tuple[str, ...]


def find(arrays: Mapping[str, np.ndarray], options: ImportOptions, model: str | None, where: str) -> Named | None:
    """The network whose names and shapes these arrays have; None if there is none.

    model: an architecture or a variant, the only one to try. Without it, models that are not read by names are
    left out.
    Raises ZooError if several networks fit, an option is missing or does not apply, the only one to try does not fit,
    or a file has most names of a network and is another one.
    """
    if len(arrays) > MOST_ARRAYS:
        return None
    fitting: dict[str, Named] = {}
    nearest: tuple[float, OtherArchitecture] | None = None
    for architecture, variants in _tried(model).items():
        try:
            found = _fitting(arrays, options, architecture, variants, where)
        except OtherArchitecture as error:
            share = _share(arrays, architecture, variants)
            nearest = max(nearest or (0.0, error), (share, error), key=lambda one: one[0])
        else:
            fitting |= found
    if len(fitting) > 1:
        raise ZooError(
            f"{where}: its arrays fit {' and '.join(fitting)}, which differ in what no array shows; choose one with "
            "--architecture"
        )
    if not fitting and nearest is not None and (model is not None or nearest[0] >= MOST):
        raise nearest[1]
    return next(iter(fitting.values()), None)


def by_names(plugin: Any) -> bool:
    """Whether state dicts of a model are read by the names of their arrays: of any with a table of names, or without
    importer.Reader."""
    return hasattr(plugin, "ARRAY_NAMES") or not hasattr(plugin, "read_layers")


def weights_from_state_dict(
    state: Mapping[str, torch.Tensor | np.ndarray],
    model: str | Any,
    *,
    source: str = "unknown",
    licence: str = "unknown",
    output: str | Path | None = None,
    overwrite: bool = False,
) -> Checkpoint:
    """Make weights of the zoo from a PyTorch state dict, and write them to a .safetensors file if `output` is given.

    state: name -> tensor or array of floating point numbers, with the names of the model's network or those that its
        table ARRAY_NAMES knows; batch counters and a prefix that all names share do not matter.
    model: the name of a model, such as "original", or a Config of any size.
    source, licence: where the weights come from and their licence; stored with them.

    Raises ZooError that names the first array that is missing, unexpected, misshapen or not finite, and
    MissingDependency if only the network knows its arrays and PyTorch is not installed.
    """
    check_kind("state", state, Mapping)
    if isinstance(model, str):
        known = lookup.variants()
        if model not in known:
            shown = ", ".join(nearest_first(model, sorted(known)))
            raise ZooError(f"unknown model {model!r}{did_you_mean(model, known)}; known models: {shown}")
        architecture = known[model]
        config = registry.load("models", architecture).VARIANTS[model]
    else:
        kinds = {plugin.Config: name for name, plugin in registry.working("models").items()}
        if type(model) not in kinds:
            raise ZooError(f"model: expected the name of a model or a Config, got {type(model).__name__}")
        architecture, config = kinds[type(model)], model
    arrays = {name: _array(name, value) for name, value in state.items() if not name.endswith(COUNTER)}
    found = _renamed(architecture, arrays, model_arrays.shapes(architecture, config), "state dict")
    made = checkpoint.make(architecture, config, found, source, licence)
    if output is not None:
        path = Path(output)
        if path.suffix != checkpoint.SUFFIX:
            raise ZooError(f"{path}: expected an output name that ends in {checkpoint.SUFFIX}")
        checkpoint.save(made, path, overwrite)
    return made


def _array(name: str, value: Any) -> np.ndarray:
    """A tensor or an array as float32."""
    array = value.detach().cpu().double().numpy() if hasattr(value, "detach") else np.asarray(value)
    if (hasattr(value, "is_floating_point") and not value.is_floating_point()) or array.dtype.kind != "f":
        raise ZooError(
            f"state dict: array {name}: expected floating point numbers, got {getattr(value, 'dtype', array)}"
        )
    with np.errstate(over="ignore"):  # infinite values are found by the check of all arrays
        return array.astype(np.float32)


def _tried(model: str | None) -> dict[str, Mapping[str, Any]]:
    """Architecture -> its variants to try."""
    models = registry.working("models")
    if model is None:
        return {name: plugin.VARIANTS for name, plugin in models.items() if by_names(plugin)}
    variants = lookup.variants()
    if model in variants:
        return {variants[model]: {model: models[variants[model]].VARIANTS[model]}}
    return {model: registry.load("models", model).VARIANTS}


def _fitting(
    arrays: Mapping[str, np.ndarray], options: ImportOptions, architecture: str, variants: Mapping[str, Any], where: str
) -> dict[str, Named]:
    """Variant -> the network with its settings and the sizes of the arrays, if it has their names and shapes.

    Raises OtherArchitecture if none has, ZooError if a missing or wrong option may be the reason.
    """
    plugin = registry.load("models", architecture)
    renamed = _table(plugin, arrays)
    shown: Mapping[str, Any] = {}
    if hasattr(plugin, "sizes"):
        try:
            shown = plugin.sizes({name: array.shape for name, array in renamed.items()})
        except (LookupError, ValueError, TypeError, ArithmeticError) as error:
            raise OtherArchitecture(f"{where}: has no arrays of {architecture} ({error})") from None
    found: dict[str, Named] = {}
    reason: ZooError | None = None
    for name, variant in variants.items():
        length = options.length or shown.get("sequence_length", variant.sequence_length)
        targets = options.targets or variant.targets
        try:
            control = {"control": options.control} if options.control and "control" in vars(variant) else {}
            fields = {**shown, **control, "sequence_length": length, "targets": targets}
            config = dataclasses.replace(variant, **fields)
            shapes = model_arrays.shapes(architecture, config)
        except ZooError as error:
            # where no array has shown that the file holds this network, it may be another one
            reason = (ZooError if shown else OtherArchitecture)(f"{where}: {architecture}: {error}")
            continue
        try:
            ours = _renamed(architecture, arrays, shapes, where)
            _check(ours, shapes, config, architecture, where)
        except ZooError as error:
            reason = error
            continue
        if all(config != other.config for other in found.values()):
            bases = tuple(name for name in getattr(plugin, "BASE_ARRAYS", ()) if name in ours)
            description = _description(config, {"sequence_length", "targets", *shown}, options)
            found[name] = Named(architecture, config, _ordered(bases, ours, options, where), description, bases)
    if not found:
        raise reason or OtherArchitecture(f"{where}: {architecture} has no variants")
    return found


def _description(config: Any, shown: set[str], options: ImportOptions) -> str:
    """How a file was read, with the fields of the Config that no array shows."""
    assumed = [f"{name} {value or 'none'}" for name, value in config.to_dict().items() if name not in shown]
    prefix = [f"prefix {options.prefix}"] if options.prefix else []
    return ", ".join([*prefix, "arrays by their names", f"alphabet {(options.alphabet or ALPHABET).upper()}", *assumed])


def _check(arrays: Mapping[str, np.ndarray], shapes: Shapes, config: Any, architecture: str, where: str) -> None:
    """Raise OtherArchitecture for the first array that differs, ZooError if only the number of targets may differ."""
    differing = [name for name in {**shapes, **arrays} if name not in arrays or shapes.get(name) != arrays[name].shape]
    if not differing:
        return
    name = differing[0]
    there = list(arrays[name].shape) if name in arrays else "absent"
    here = list(shapes[name]) if name in shapes else "absent"
    if all(model_arrays.in_head(architecture, one) for one in differing):
        raise ZooError(
            f"{where}: {name} is {there}, the targets {listed(config.targets)} need {here}; give the names of its "
            "outputs with --targets"
        )
    raise OtherArchitecture(f"{where}: {name} is {there}, the network {architecture} has {here}")


def _table(plugin: Any, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays by the names that the model's table gives them."""
    table = getattr(plugin, "ARRAY_NAMES", {})

    def new(name: str) -> str:
        fitting = ((pattern, found) for pattern, found in table.items() if re.fullmatch(pattern, name))
        return next((re.sub(f"^(?:{pattern})$", found, name) for pattern, found in fitting), name)

    return {new(name): array for name, array in arrays.items()}


def _renamed(architecture: str, arrays: Mapping[str, np.ndarray], shapes: Shapes, where: str) -> dict[str, np.ndarray]:
    """Arrays by the network's own names, as far as they have names that it knows."""
    plugin = registry.load("models", architecture)
    short = {new: arrays[old] for new, old in without_common({name: name for name in arrays}).items()}
    full = without_common({name: name for name in shapes})
    for given in (arrays, short):
        renamed = _table(plugin, given)
        if len(renamed) < len(given):
            raise ZooError(f"{where}: the table of {architecture} gives two arrays one name")
        if len(renamed.keys() & shapes.keys()) > len(renamed) / 2:
            return renamed
        if len(renamed.keys() & full.keys()) > len(renamed) / 2:
            return {full.get(name, name): array for name, array in renamed.items()}
    return dict(arrays)


def _ordered(
    bases: tuple[str, ...], arrays: dict[str, np.ndarray], options: ImportOptions, where: str
) -> dict[str, np.ndarray]:
    """The arrays with bases in our order. Raises ZooError for an option that the model does not take."""
    for name in ("flatten", "epsilon"):
        if getattr(options, name) is not None:
            raise ZooError(f"{where}: --{name} does not apply; its arrays are those of the network, which has its own")
    alphabet = (options.alphabet or ALPHABET).upper()
    if alphabet == ALPHABET:
        return arrays
    if not bases:
        raise ZooError(f"{where}: --alphabet {alphabet} does not apply; the model does not say which arrays bases meet")
    order = [alphabet.index(base) for base in ALPHABET]
    return arrays | {name: np.concatenate([arrays[name][:, order], arrays[name][:, len(order) :]], 1) for name in bases}


def _share(arrays: Mapping[str, np.ndarray], architecture: str, variants: Mapping[str, Any]) -> float:
    """Share of a network's names that a file has, in its nearest variant."""
    renamed = _table(registry.load("models", architecture), arrays)
    shapes = (model_arrays.known_shapes(architecture, variant) or {} for variant in variants.values())
    return max((len(renamed.keys() & one.keys()) / max(1, len(one)) for one in shapes), default=0.0)
