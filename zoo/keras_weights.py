"""The legacy Keras .h5 (weights alone or a whole model) <-> canonical weights, bit for bit.

Layers are taken by the order in `layer_names`, never by the number in a name; the Config is read from the array shapes.
Kernels: Keras (position, channel, filter) and (input, output); canonical (filter, channel, position) and (output,
input); the inputs of the first dense layer go from (position, channel) to (channel, position) order.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import checkpoint, keras_graph
from zoo.atomic import replacing
from zoo.checkpoint import Checkpoint
from zoo.errors import MissingDependency, ZooError
from zoo.models.deepstarr import POOL_SIZE, Config
from zoo.spec import ALPHABET, SPEC_KEY, ModelSpec

if TYPE_CHECKING:
    import h5py

KERNEL = ("kernel", "bias")
NORM = ("gamma", "beta", "moving_mean", "moving_variance")
NORM_NAMES = dict(zip(NORM, ("weight", "bias", "running_mean", "running_var"), strict=True))
"""Keras name of a batch normalisation array -> the end of its canonical name."""

KNOWN_FILES = {
    "7e53a9351b2520a4713a5ffdb5f1566c": (
        "de Almeida et al., Nature Genetics 2022, doi:10.1038/s41588-022-01048-5, Zenodo record 5502060",
        "MIT",
    )
}
"""md5 of a published weights file -> citation and licence."""


@dataclasses.dataclass(frozen=True)
class _Layer:
    """A Keras layer that has weights: their last names ("kernel") -> arrays."""

    name: str
    arrays: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class _File:
    """What an .h5 holds: layers with weights in order, the JSON graph and the ModelSpec if they are there."""

    layers: list[_Layer]
    graph: Any
    spec: ModelSpec | None


def read_h5(
    path: Path,
    *,
    length: int | None = None,
    targets: Sequence[str] | None = None,
    graph: Path | None = None,
    source: str | None = None,
    licence: str | None = None,
) -> Checkpoint:
    """A Keras DeepSTARR of any size -> canonical weights.

    length: of the input sequences in bases, if neither the file nor `graph` (the model's .json) says; 249 where that
    fits the arrays.  targets: names of the outputs, by default those of the output layers (Dense_Dev -> dev).
    source, licence: for the ModelSpec; by default the file's name and md5, and the citation of a published file.

    Raises ZooError that names the file and the first layer which is not as in DeepSTARR.
    """
    file = _read_file(path)
    facts = _facts(file, path, graph)
    config, arrays = _canonical(file, path, facts, length, targets)
    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    cited, terms = KNOWN_FILES.get(digest, ("imported from", "unknown"))
    cited = f"{cited} {path.name} (md5 {digest})"
    if file.spec and checkpoint.weights_id(arrays) == file.spec.weights_id:
        cited, terms = file.spec.source, file.spec.licence
    return checkpoint.make("deepstarr", config, arrays, source or cited, licence or terms)


def write_h5(weights: Checkpoint, path: Path, overwrite: bool = False) -> None:
    """Canonical weights -> .h5 with the layer names and the layout of the published file, whole or not at all.

    `load_weights` of a Keras model with the published graph takes it. The ModelSpec goes along as an attribute, which
    Keras ignores, so that read_h5(write_h5(x)) is x.
    """
    if weights.spec.architecture != "deepstarr":
        raise ZooError(f"expected weights of a deepstarr network for the Keras layout, got {weights.spec.architecture}")
    _require_h5py()
    import h5py

    layers = keras_graph.layers(weights.config)
    with replacing(path, overwrite) as partial, h5py.File(partial, "w") as file:
        names = [keras_graph.INPUT, *(layer.name for layer in layers)]
        file.attrs["layer_names"] = np.array([name.encode() for name in names])
        file.attrs["backend"] = np.bytes_("tensorflow")
        file.attrs["keras_version"] = np.bytes_("2.2.4")
        file.attrs[SPEC_KEY] = weights.spec.to_json()
        file.create_group(keras_graph.INPUT).attrs["weight_names"] = np.array([])
        for layer in layers:
            group = file.create_group(layer.name)
            arrays = layer_arrays(weights, layer)
            group.attrs["weight_names"] = np.array([f"{layer.name}/{name}:0".encode() for name in arrays])
            for name, array in arrays.items():
                group[f"{layer.name}/{name}:0"] = array


def layer_arrays(weights: Checkpoint, layer: keras_graph.Layer) -> dict[str, np.ndarray]:
    """Arrays of one Keras layer in the order of its `set_weights`: "kernel", "bias" or "gamma" ...; may be empty."""
    if layer.class_name == "BatchNormalization":
        return {name: weights.arrays[f"{layer.module}.{end}"] for name, end in NORM_NAMES.items()}
    if layer.class_name not in ("Conv1D", "Dense"):
        return {}
    kernel, bias = weights.arrays[f"{layer.module}.weight"], weights.arrays[f"{layer.module}.bias"]
    if layer.row is not None:
        kernel, bias = kernel[layer.row : layer.row + 1], bias[layer.row : layer.row + 1]
    if layer.module == "dense1":
        config = weights.config
        kernel = kernel.reshape(len(kernel), config.filters[-1], config.positions[-1])
        kernel = kernel.transpose(0, 2, 1).reshape(len(kernel), -1)
    return {"kernel": np.ascontiguousarray(kernel.T), "bias": bias}


def _require_h5py() -> None:
    if importlib.util.find_spec("h5py") is None:
        raise MissingDependency("h5py (Keras .h5 files) is not installed; pip install 'deepstarr-zoo[train]' brings it")


def _read_file(path: Path) -> _File:
    if not path.is_file():
        raise ZooError(f"{path}: no such file")
    _require_h5py()
    import h5py

    try:
        with h5py.File(path, "r") as file:
            group = file.get("model_weights", file)
            if "layer_names" not in group.attrs and "layer_names0" not in group.attrs:
                raise ZooError(
                    f"{path}: expected a legacy Keras .h5 with the attribute layer_names, got another HDF5 layout; "
                    "write it with tf_keras: model.save_weights('weights.h5')"
                )
            layers = [_Layer(name, _weights(group[name])) for name in _text_list(group, "layer_names")]
            text = file.attrs.get("model_config")
            spec = file.attrs.get(SPEC_KEY)
    except (OSError, KeyError, RuntimeError, AttributeError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ZooError(f"{path}: cannot be read as a Keras .h5 file, cut off or of another kind ({reason})") from None
    return _File(
        [layer for layer in layers if layer.arrays],
        None if text is None else _json(text, f"{path}: model_config"),
        None if spec is None else ModelSpec.from_json(spec, str(path)),
    )


def _weights(group: h5py.Group) -> dict[str, np.ndarray]:
    """ "Conv1D_1st_11/kernel:0" -> {"kernel": array}, in order."""
    names = _text_list(group, "weight_names")
    return {name.rpartition("/")[2].partition(":")[0]: np.asarray(group[name]) for name in names}


def _text_list(group: h5py.Group, name: str) -> list[str]:
    """An attribute that is a list of names; Keras cuts a list too long for HDF5 into name0, name1, ..."""
    values = list(group.attrs.get(name, ()))
    number = 0
    while f"{name}{number}" in group.attrs:
        values += list(group.attrs[f"{name}{number}"])
        number += 1
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _json(text: str | bytes, where: str) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ZooError(f"{where}: is not JSON ({error})") from None


def _facts(file: _File, path: Path, graph: Path | None) -> keras_graph.Facts:
    """What is known beside the arrays: from the graph given, from the one in the file, from our ModelSpec."""
    if graph is not None:
        try:
            return keras_graph.read(_json(graph.read_bytes(), str(graph)), str(graph))
        except OSError as error:
            raise ZooError(f"{graph}: cannot be read ({error.strerror})") from None
    if file.graph is not None:
        return keras_graph.read(file.graph, str(path))
    if file.spec is not None:
        return keras_graph.Facts(file.spec.sequence_length, file.spec.config.get("dropout"))
    return keras_graph.Facts()


def _canonical(
    file: _File, path: Path, facts: keras_graph.Facts, length: int | None, targets: Sequence[str] | None
) -> tuple[Config, dict[str, np.ndarray]]:
    """Walk the layers, check each against the one before, and give the Config with the canonical arrays."""
    arrays: dict[str, np.ndarray] = {}
    filters: list[int] = []
    sizes: list[int] = []
    units: list[int] = []
    heads: list[_Layer] = []
    flat = positions = 0
    inputs = len(ALPHABET)
    waiting = list(file.layers)
    while waiting:
        layer = waiting.pop(0)
        if set(layer.arrays) != set(KERNEL):
            raise ZooError(f"{path}: layer {layer.name}: expected a kernel and a bias, got {_names(layer)}")
        kernel = layer.arrays["kernel"]
        norm = waiting.pop(0) if waiting and set(waiting[0].arrays) == set(NORM) else None
        if kernel.ndim == 3 and norm and not units and not heads:
            module = f"conv{len(filters) + 1}"
            _check(path, layer, norm, (kernel.shape[0], inputs, kernel.shape[2]))
            sizes.append(kernel.shape[0])
            filters.append(kernel.shape[2])
            inputs = kernel.shape[2]
        elif kernel.ndim == 2 and filters and not (norm and heads):
            module = f"dense{len(units) + 1}"
            if not units:
                flat = inputs = kernel.shape[0]
                positions = flat // filters[-1]
                if flat % filters[-1] or not positions or not norm:
                    raise ZooError(
                        f"{path}: layer {layer.name}: expected a dense layer on a multiple of {filters[-1]} features, "
                        f"with batch normalization behind it, got kernel shape {list(kernel.shape)}"
                    )
                # (position, channel) order -> (channel, position) order
                kernel = kernel.reshape(positions, filters[-1], -1).transpose(1, 0, 2).reshape(kernel.shape)
            _check(path, layer, norm, (inputs, kernel.shape[1]))
            if norm:
                units.append(kernel.shape[1])
                inputs = kernel.shape[1]
            else:
                heads.append(layer)
                continue
        else:
            raise ZooError(
                f"{path}: layer {layer.name}: expected convolutions and then dense layers, each with batch "
                f"normalization, and then the outputs; got kernel shape {list(kernel.shape)} "
                f"{'with' if norm else 'without'} batch normalization"
            )
        arrays |= {f"{module}.weight": kernel.T, f"{module}.bias": layer.arrays["bias"]}
        arrays |= {f"{module}_norm.{end}": norm.arrays[name] for name, end in NORM_NAMES.items()}
    if not heads:
        raise ZooError(f"{path}: expected output layers behind the last hidden layer, got none")
    heads.sort(key=lambda head: facts.outputs.index(head.name) if head.name in facts.outputs else 0)
    arrays["head.weight"] = np.concatenate([head.arrays["kernel"].T for head in heads])
    arrays["head.bias"] = np.concatenate([head.arrays["bias"] for head in heads])
    named = targets or (file.spec.targets if file.spec else _target_names(heads, path))
    if len(named) != len(arrays["head.bias"]):
        raise ZooError(f"{path}: expected names for {len(arrays['head.bias'])} outputs, got {', '.join(named)}")
    config = Config(
        filters=tuple(filters),
        kernel_sizes=tuple(sizes),
        dense_units=tuple(units),
        dropout=Config.dropout if facts.dropout is None else facts.dropout,
        sequence_length=_length(path, positions, len(filters), length or facts.sequence_length),
        targets=tuple(named),
    )
    return config, {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _check(path: Path, layer: _Layer, norm: _Layer | None, kernel: tuple[int, ...]) -> None:
    """Raise ZooError at the first array of a layer, or of its batch normalisation, that has another shape."""
    expected = [(layer, "kernel", kernel), (layer, "bias", kernel[-1:])]
    expected += [(norm, name, kernel[-1:]) for name in NORM] if norm else []
    for owner, name, shape in expected:
        got = owner.arrays[name].shape
        if got != shape:
            raise ZooError(f"{path}: layer {owner.name}: expected {name} of shape {list(shape)}, got {list(got)}")


def _names(layer: _Layer) -> str:
    return ", ".join(f"{name} {list(array.shape)}" for name, array in layer.arrays.items())


def _target_names(heads: list[_Layer], path: Path) -> tuple[str, ...]:
    """Dense_Dev -> dev; two outputs that only Keras named (dense_3, or one layer of two units) are dev, hk."""
    names = [head.name for head in heads]
    outputs = sum(len(head.arrays["bias"]) for head in heads)
    if outputs == len(heads) and not any(re.fullmatch(r"dense(_\d+)?", name) for name in names):
        return tuple(name.removeprefix("Dense_").lower() for name in names)
    if outputs == len(Config.targets):
        return Config.targets
    raise ZooError(f"{path}: cannot tell the names of its {outputs} outputs; give them with --targets")


def _length(path: Path, positions: int, depth: int, given: int | None) -> int:
    """The sequence length, in bases, which must leave `positions` after `depth` poolings."""
    shortest = positions * POOL_SIZE**depth
    longest = shortest + POOL_SIZE**depth - 1
    if given is None and not shortest <= Config.sequence_length <= longest:
        raise ZooError(
            f"{path}: does not say for which sequence length it was made, {shortest} to {longest} fit; give --length"
        )
    length = Config.sequence_length if given is None else given
    if not shortest <= length <= longest:
        raise ZooError(f"{path}: expected a sequence length of {shortest} to {longest} bases, got {length}")
    return length
