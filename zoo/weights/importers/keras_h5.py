"""The legacy Keras .h5, weights alone or a whole model -> its layers in order, the JSON graph and the ModelSpec in it.

Layers are taken by the order in `layer_names`, never by the number in a name. Knows no architecture; such files are
written in keras_layers.py. Kernels: Keras (position, channel, filter) and (input, output), as the file has them in a
`KerasFile`; canonical (filter, channel, position) and (output, input) in what `network` gives.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import OtherArchitecture, ZooError, require
from zoo.layers.keras_layers import NORM_NAMES
from zoo.spec import SPEC_KEY, ModelSpec
from zoo.weights import seal, sizes
from zoo.weights.checkpoint import read_spec
from zoo.weights.importers import imported_layers, keras_graph
from zoo.weights.importers.imported_layers import ImportedLayer, ImportedNetwork
from zoo.weights.importers.keras_graph import KerasGraph

if TYPE_CHECKING:
    import h5py

READ_ERRORS = (OSError, LookupError, RuntimeError, AttributeError, TypeError, ValueError, ArithmeticError, MemoryError)
"""What h5py raises for a file that is damaged or of another kind."""


@dataclasses.dataclass(frozen=True)
class StoredLayer:
    """A Keras layer that has weights: their last names ("kernel") -> float32 arrays."""

    name: str
    arrays: Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class KerasFile:
    """What an .h5 holds.

    where: the file, for messages.  layers: those with weights, in order.  graph: of the model's .json if one was given,
    else of the file; None if neither.  spec: of a file that the zoo wrote.
    """

    where: str
    layers: tuple[StoredLayer, ...]
    graph: KerasGraph | None
    spec: ModelSpec | None

    @property
    def sequence_length(self) -> int | None:
        """In bases, as the graph says, else the spec; None if neither does."""
        if self.graph is not None:
            return self.graph.sequence_length
        return None if self.spec is None else self.spec.sequence_length

    @property
    def default_epsilon(self) -> float | None:
        """Of batch normalizations: Keras's own for weights alone; None where the graph or the spec vouches for it."""
        return (
            keras_graph.DEFAULTS["BatchNormalization"]["epsilon"] if self.graph is None and self.spec is None else None
        )

    @property
    def dropout(self) -> float | None:
        """Probability after a dense layer, as the graph says, else the spec; None if neither does."""
        if self.graph is not None:
            return self.graph.dropout
        return None if self.spec is None else self.spec.config.get("dropout")


def read(path: Path, graph: Path | None = None) -> KerasFile:
    """Read an .h5, and the .json of the model if it is given.

    Raises ZooError for a file that is not there, damaged or of another kind; MissingDependency without h5py.
    """
    sizes.check_file(path)
    seal.check_unopened(path)
    require("h5py", "", "Keras .h5 files")
    import h5py

    try:
        with h5py.File(path, "r") as file:
            _check_contained(file, str(path))
            group = file.get("model_weights", file)
            if "layer_names" not in group.attrs and "layer_names0" not in group.attrs:
                raise ZooError(
                    f"{path}: expected a legacy Keras .h5 with the attribute layer_names, got another HDF5 layout; "
                    "write it with tf_keras: model.save_weights('weights.h5')"
                )
            layers = list(_stored(group, str(path)))
            text = file.attrs.get("model_config")
            spec = file.attrs.get(SPEC_KEY)
    except READ_ERRORS as error:
        reason = " ".join(str(error).split())
        raise ZooError(f"{path}: cannot be read as a Keras .h5 file, cut off or of another kind ({reason})") from None
    return KerasFile(
        str(path),
        tuple(layer for layer in layers if layer.arrays),
        _graph_file(graph) if graph else None if text is None else _graph(text, str(path), f"{path}: model_config"),
        None if spec is None else read_spec(spec, path),
    )


def network(file: KerasFile) -> ImportedNetwork:
    """The layers with canonical kernels, each with the batch normalization behind it, outputs in the graph's order.

    Raises OtherArchitecture that names the first layer which has no place in a network of convolutions, hidden dense
    layers and outputs.
    """
    found = imported_layers.network(_layers(file), file.where)
    order = file.graph.outputs if file.graph else ()
    if {layer.name for layer in found.outputs} != set(order):
        return found
    outputs = sorted(found.outputs, key=lambda layer: order.index(layer.name))
    return dataclasses.replace(found, outputs=tuple(outputs))


def output_names(file: KerasFile, found: ImportedNetwork, prefix: str) -> tuple[str, ...] | None:
    """Targets as the spec tells them, else as the outputs are called behind `prefix`: Dense_Dev -> dev.

    None where the outputs are numbered and not named (dense_3, output_1), or one layer holds several.
    """
    if file.spec:
        return file.spec.targets
    names = [layer.name for layer in found.outputs]
    several = any(len(layer.bias) > 1 for layer in found.outputs)
    if several or any(re.fullmatch(r"(dense|output)(_\d+)?", name) for name in names):
        return None
    return tuple(name.removeprefix(prefix).lower() for name in names)


def _layers(file: KerasFile) -> list[ImportedLayer]:
    found: list[ImportedLayer] = []
    for layer in file.layers:
        if set(layer.arrays) == set(NORM_NAMES) and found and found[-1].norm is None:
            norm = {end: layer.arrays[name] for name, end in NORM_NAMES.items()}
            found[-1] = dataclasses.replace(found[-1], norm=norm)
        elif set(layer.arrays) == {"kernel", "bias"}:
            found.append(ImportedLayer(layer.name, layer.arrays["kernel"].T, layer.arrays["bias"]))
        else:
            got = ", ".join(f"{name} {list(array.shape)}" for name, array in layer.arrays.items())
            raise OtherArchitecture(
                f"{file.where}: layer {layer.name}: expected kernel and bias, or the four arrays of a batch "
                f"normalization behind them, got {got}"
            )
    return found


def _check_contained(file: h5py.File, where: str) -> None:
    """Raise ZooError unless all that a file holds is in the file itself."""
    import h5py

    todo: list[h5py.Group] = [file]
    seen: set[int] = set()
    while todo:
        group = todo.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ZooError(f"{where}: refused, {name} is a link to another place; a Keras file has none")
            member = group[name]
            if isinstance(member, h5py.Dataset) and (member.external is not None or member.is_virtual):
                raise ZooError(f"{where}: refused, the numbers of {name} are in another file; a Keras file has its own")
            address = h5py.h5o.get_info(member.id).addr
            if isinstance(member, h5py.Group) and address not in seen:
                seen.add(address)
                todo.append(member)


def _stored(group: h5py.Group, where: str) -> Iterator[StoredLayer]:
    """The layers of a file in order: "Conv1D_1st_11/kernel:0" -> "kernel", whatever precision it was trained in."""
    read = 0
    for layer in _text_list(group, "layer_names"):
        arrays = {}
        for name in _text_list(group[layer], "weight_names"):
            stored = group[layer][name]
            if stored.dtype.kind != "f":
                raise ZooError(f"{where}: {name}: expected floating point numbers, got {stored.dtype}")
            read += int(stored.size or 0) * max(stored.dtype.itemsize, np.dtype(np.float32).itemsize)
            sizes.check_bytes(read, where)
            with np.errstate(over="ignore"):  # what is too large for float32 is found by the check of all arrays
                arrays[name.rpartition("/")[2].partition(":")[0]] = np.asarray(stored).astype(np.float32)
        yield StoredLayer(layer, arrays)


def _text_list(group: h5py.Group, name: str) -> list[str]:
    """An attribute that is a list of names; Keras cuts a list too long for HDF5 into name0, name1, ..."""
    values = list(group.attrs.get(name, ()))
    number = 0
    while f"{name}{number}" in group.attrs:
        values += list(group.attrs[f"{name}{number}"])
        number += 1
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _graph_file(path: Path) -> KerasGraph:
    sizes.check_file(path, "the .json of a Keras model")
    try:
        return _graph(path.read_bytes(), str(path), str(path))
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror})") from None


def _graph(text: str | bytes, where: str, source: str) -> KerasGraph:
    """where: the file that messages about the graph name.  source: what is said of text that is not JSON."""
    try:
        content = sizes.parse_json(text)
    except (ValueError, TypeError) as error:
        raise ZooError(f"{source}: is not JSON of a Keras model ({error})") from None
    return KerasGraph.of(content, where)
