"""The legacy Keras .h5 (weights alone or a whole model) -> canonical weights, bit for bit.

Layers are taken by the order in `layer_names`, never by the number in a name; the Config is read from the array shapes.
Kernels: Keras (position, channel, filter) and (input, output); canonical (filter, channel, position) and (output,
input); the inputs of the first dense layer go from (position, channel) to (channel, position) order.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import ZooError
from zoo.models.deepstarr import Config, importer, keras_graph
from zoo.spec import ALPHABET, SPEC_KEY, ModelSpec
from zoo.weights import checkpoint
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.keras_layers import require_h5py

if TYPE_CHECKING:
    import h5py

NORM_NAMES = dict(zip(("gamma", "beta", "moving_mean", "moving_variance"), importer.NORM, strict=True))
"""Keras name of a batch normalisation array -> the end of its canonical name."""


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
    alphabet: str = ALPHABET,
    length: int | None = None,
    targets: Sequence[str] | None = None,
    graph: Path | None = None,
    source: str | None = None,
    licence: str | None = None,
) -> Checkpoint:
    """A Keras DeepSTARR of any size -> canonical weights.

    alphabet: base order that the network was trained on.  length: of the input sequences in bases, if neither the file
    nor `graph` (the model's .json) says; 249 where that fits the arrays.  targets: names of the outputs, by default
    those of the output layers (Dense_Dev -> dev).  source, licence: for the ModelSpec; by default the file's name and
    md5, and the citation of a published file.

    Raises ZooError that names the file and the first layer which is not as in DeepSTARR.
    """
    file = _read_file(path)
    facts = _facts(file, path, graph)
    layers = _layers(file, path)
    *_, heads = importer.sort(layers, str(path))
    if set(facts.outputs) == {head.name for head in heads}:
        heads.sort(key=lambda head: facts.outputs.index(head.name))
    config, arrays = importer.assemble(
        [*(layer for layer in layers if layer.norm), *heads],
        str(path),
        flatten="length",
        alphabet=alphabet,
        length=length or facts.sequence_length,
        targets=targets or (file.spec.targets if file.spec else _target_names(heads, path)),
        dropout=facts.dropout,
    )
    cited, terms = importer.provenance(path)
    if file.spec and checkpoint.weights_id(arrays) == file.spec.weights_id:
        cited, terms = file.spec.source, file.spec.licence
    return checkpoint.make("deepstarr", config, arrays, source or cited, licence or terms)


def _read_file(path: Path) -> _File:
    if not path.is_file():
        raise ZooError(f"{path}: no such file")
    require_h5py()
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
    except (OSError, KeyError, RuntimeError, AttributeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ZooError(f"{path}: cannot be read as a Keras .h5 file, cut off or of another kind ({reason})") from None
    return _File(
        [layer for layer in layers if layer.arrays],
        None if text is None else _json(text, f"{path}: model_config"),
        None if spec is None else ModelSpec.from_json(spec, str(path)),
    )


def _weights(group: h5py.Group) -> dict[str, np.ndarray]:
    """ "Conv1D_1st_11/kernel:0" -> {"kernel": float32 array}, in order, whatever precision it was trained in."""
    names = _text_list(group, "weight_names")
    return {name.rpartition("/")[2].partition(":")[0]: np.asarray(group[name], np.float32) for name in names}


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


def _layers(file: _File, path: Path) -> list[importer.Layer]:
    """Kernels turned to canonical axes, each with the batch normalization that follows it."""
    found: list[importer.Layer] = []
    for layer in file.layers:
        if set(layer.arrays) == set(NORM_NAMES) and found and found[-1].norm is None:
            norm = {end: layer.arrays[name] for name, end in NORM_NAMES.items()}
            found[-1] = dataclasses.replace(found[-1], norm=norm)
        elif set(layer.arrays) == {"kernel", "bias"}:
            found.append(importer.Layer(layer.name, layer.arrays["kernel"].T, layer.arrays["bias"]))
        else:
            got = ", ".join(f"{name} {list(array.shape)}" for name, array in layer.arrays.items())
            raise ZooError(
                f"{path}: layer {layer.name}: expected kernel and bias, or the four arrays of a batch normalization "
                f"behind them, got {got}"
            )
    return found


def _target_names(heads: list[importer.Layer], path: Path) -> tuple[str, ...]:
    """Dense_Dev -> dev; two outputs that only Keras named (dense_3, or one layer of two units) are dev, hk."""
    names = [head.name for head in heads]
    outputs = sum(len(head.bias) for head in heads)
    if outputs == len(heads) and not any(re.fullmatch(r"dense(_\d+)?", name) for name in names):
        return tuple(name.removeprefix("Dense_").lower() for name in names)
    if outputs == len(Config.targets):
        return Config.targets
    raise ZooError(f"{path}: cannot tell the names of its {outputs} outputs; give them with --targets")
