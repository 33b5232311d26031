"""A legacy Keras .h5, of weights alone or of a whole model -> its layers in order, its JSON graph and its ModelSpec.

Layers have the order of `layer_names`, those of a model inside the model the order of its `weight_names`; their own
names do not matter. Knows no architecture. Keras kernels are
(position, channel, filter) and (input, output); the returned ones are (filter, channel, position) and (output, input).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import OtherArchitecture, ZooError, require
from zoo.layers.keras_layers import NORM_NAMES
from zoo.spec import SPEC_KEY
from zoo.weights import file_checks
from zoo.weights.checkpoint import read_spec
from zoo.weights.importers.keras_graph import WITH_WEIGHTS, KerasGraph
from zoo.weights.importers.layers import ImportedFile, ImportedLayer

if TYPE_CHECKING:
    import h5py

READ_ERRORS = (OSError, LookupError, RuntimeError, AttributeError, TypeError, ValueError, ArithmeticError, MemoryError)
"""Errors that h5py raises for a file that is damaged or has another format."""


def read(path: Path, graph: Path | None = None) -> ImportedFile:
    """Read an .h5, and the .json of the model if it is given.

    Raises ZooError for a file that is missing, damaged or in another format; OtherArchitecture for layers other than
    convolutions, dense layers and batch normalizations; MissingDependency without h5py.
    """
    file_checks.check_file(path)
    file_checks.check_unopened(path)
    require("h5py", "", "Keras .h5 files")
    import h5py

    try:
        with h5py.File(path, "r") as file:
            check_contained(file, str(path))
            group = file.get("model_weights", file)
            if "layer_names" not in group.attrs and "layer_names0" not in group.attrs:
                raise ZooError(
                    f"{path}: expected a legacy Keras .h5 with the attribute layer_names, got another HDF5 layout; "
                    "write it with tf_keras: model.save_weights('weights.h5')"
                )
            stored = list(_stored(group, str(path)))
            text, spec = file.attrs.get("model_config"), file.attrs.get(SPEC_KEY)
    except READ_ERRORS as error:
        reason = " ".join(str(error).split())
        raise ZooError(
            f"{path}: cannot be read as a Keras .h5 file; it is damaged or has another format ({reason})"
        ) from None
    found = None if text is None else (text, f"{path}: model_config")
    if graph is not None:
        file_checks.check_file(graph, "the .json of a Keras model")
        try:
            found = (graph.read_bytes(), str(graph))
        except OSError as error:
            raise ZooError(f"{graph}: cannot be read ({error.strerror})") from None
    layers = tuple(_layers(stored, str(path)))
    known = None if found is None else _graph(*found, str(graph or path))
    if spec is None and layers and layers[-1].norm is None:
        _check_end(*stored[-1], known, path)
    return ImportedFile(
        path,
        "Keras",
        lambda: layers,
        known,
        None if spec is None else read_spec(spec, path),
    )


def _check_end(last: str, arrays: dict[str, np.ndarray], graph: KerasGraph | None, path: Path) -> None:
    """Raise ZooError if the last layer of a file has no weights, as the activation of the outputs has none, and the
    graph lacks such a layer or is unknown."""
    if graph is None and not arrays:
        raise ZooError(
            f"{path}: its last layer, {last}, has no weights and may be an activation of the outputs; give the .json "
            "of the model with --graph"
        )
    kind = graph.nodes[-1][0] if graph and graph.nodes else ""
    if graph is not None and bool(arrays) != (kind in WITH_WEIGHTS):
        raise ZooError(
            f"{graph.where}: ends with {kind or 'no layer'}, {path} with {last}, "
            f"{'which has' if arrays else 'without'} weights; give the .json of this model"
        )


def _layers(stored: list[tuple[str, dict[str, np.ndarray]]], where: str) -> list[ImportedLayer]:
    """Each kernel with its bias and the batch normalization after it."""
    found: list[ImportedLayer] = []
    for name, arrays in stored:
        if set(arrays) == set(NORM_NAMES) and found and found[-1].norm is None:
            norm = {end: arrays[keras_name] for keras_name, end in NORM_NAMES.items()}
            last = found.pop()
            found.append(ImportedLayer(last.name, last.kernel, last.bias, norm, name))
        elif set(arrays) == {"kernel", "bias"}:
            found.append(ImportedLayer(name, arrays["kernel"].T, arrays["bias"]))
        elif arrays:
            got = ", ".join(f"{end} {list(array.shape)}" for end, array in arrays.items())
            raise OtherArchitecture(
                f"{where}: layer {name}: expected kernel and bias, or the four arrays of a batch normalization after "
                f"them, got {got}"
            )
    return found


def check_contained(file: h5py.File, where: str) -> None:
    """Raise ZooError if a part of a file is stored elsewhere, or its arrays are larger than weights may be."""
    import h5py

    todo: list[h5py.Group] = [file]
    seen: set[int] = set()
    declared = 0
    while todo:
        group = todo.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ZooError(f"{where}: refused, {name} is a link to another place; Keras writes no links")
            member = group[name]
            if isinstance(member, h5py.Dataset) and (member.external is not None or member.is_virtual):
                raise ZooError(f"{where}: refused, the numbers of {name} are in another file; Keras writes one file")
            if isinstance(member, h5py.Dataset):
                declared += int(member.size or 0) * member.dtype.itemsize
                file_checks.check_bytes(declared, where)
            address = h5py.h5o.get_info(member.id).addr
            if isinstance(member, h5py.Group) and address not in seen:
                seen.add(address)
                todo.append(member)


def _stored(group: h5py.Group, where: str) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Name and float32 arrays of each layer in order; the array Conv1D_1st_11/kernel:0 gets the name kernel. The layers
    of a network that is a layer itself follow each other, named outer/inner."""
    read = 0
    for layer in _text_list(group, "layer_names"):
        parts: dict[str, dict[str, np.ndarray]] = {}
        for name in _text_list(group[layer], "weight_names"):
            stored = group[layer][name]
            if stored.dtype.kind != "f":
                raise ZooError(f"{where}: {name}: expected floating point numbers, got {stored.dtype}")
            read += int(stored.size or 0) * max(stored.dtype.itemsize, np.dtype(np.float32).itemsize)
            file_checks.check_bytes(read, where)
            inner, _, last = name.rpartition("/")
            with np.errstate(over="ignore"):  # infinite values are found by the check of all arrays
                parts.setdefault(inner, {})[last.partition(":")[0]] = np.asarray(stored).astype(np.float32)
        for inner, arrays in parts.items() or [("", {})]:
            yield (layer if len(parts) < 2 else f"{layer}/{inner.rpartition('/')[2]}"), arrays


def _text_list(group: h5py.Group, name: str) -> list[str]:
    """An attribute that is a list of names; Keras splits a list too long for HDF5 into name0, name1, ..."""
    values = list(group.attrs.get(name, ()))
    number = 0
    while f"{name}{number}" in group.attrs:
        values += list(group.attrs[f"{name}{number}"])
        number += 1
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _graph(text: str | bytes, source: str, where: str) -> KerasGraph:
    """source: where the text is, for an error about its JSON.  where: the file, for errors about the graph."""
    try:
        content = file_checks.parse_json(text)
    except (ValueError, TypeError) as error:
        raise ZooError(f"{source}: is not JSON of a Keras model ({error})") from None
    return KerasGraph.of(content, where)
