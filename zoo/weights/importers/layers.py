"""Layers of a network in another program's file -> canonical arrays, for networks of convolutions and dense layers.

keras.py and pytorch.py read files and hand over their layers in network order, with kernels as (filter, channel,
position) or (output, input). Here the layers are checked against each other, and base order, flatten order and epsilon
become canonical. Each model adds its Config (`read_layers`). Needs only NumPy.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from zoo.card import Card
from zoo.errors import OtherArchitecture, ZooError
from zoo.options import Bounds, check
from zoo.spec import ALPHABET, ModelSpec
from zoo.weights.importers.keras_graph import KERAS_EPSILON, KerasGraph

NORM = ("weight", "bias", "running_mean", "running_var")
"""Arrays of a batch normalization: the last parts of their canonical names."""

Flatten = Literal["channel", "length"]


@dataclasses.dataclass(frozen=True)
class ImportOptions:
    """What a file of another program may not say. None and () mean that the file says it."""

    alphabet: str | None = None
    """Base order of the first layer's channels, such as ACGT. Needed unless the file is a published one."""

    flatten: Flatten | None = None
    """Order in which a PyTorch network flattens: channel (PyTorch's own) or length (as in Keras)."""

    epsilon: Annotated[float | None, Bounds(above=0, below=math.inf)] = None
    """Epsilon of the batch normalizations: 1e-5 is PyTorch's default, 1e-3 Keras's."""

    length: int | None = None
    """Sequence length in bases, if the file does not say."""

    targets: tuple[str, ...] = ()
    """Names of the outputs: dev,hk."""

    prefix: str | None = None
    """Start of the names of the arrays to read, such as ema_model., if a PyTorch file holds several networks."""

    graph: Path | None = None
    """The .json of a Keras model whose .h5 holds only weights."""

    control: Literal["zero"] | None = None
    """What the inputs for a control of a profile network get: zero, as without a control."""

    source: str | None = None
    """Where the weights come from; stored with them."""

    licence: str | None = None
    """Licence of the weights; stored with them."""

    def __post_init__(self) -> None:
        check(self)
        if self.alphabet is not None and sorted(self.alphabet.upper()) != sorted(ALPHABET):
            raise ZooError(f"alphabet: expected the letters {ALPHABET} in some order, got {self.alphabet!r}")


@dataclasses.dataclass(frozen=True)
class ImportedLayer:
    """A convolution or a dense layer, with its batch normalization unless it is an output.

    kernel: (filter, channel, position) or (output, input).  bias: (filter,) or (output,).  norm: name in NORM -> array.
    norm_name: name of the batch normalization in the file.
    """

    name: str
    kernel: np.ndarray
    bias: np.ndarray
    norm: dict[str, np.ndarray] | None = None
    norm_name: str | None = None


@dataclasses.dataclass(frozen=True)
class ImportedFile:
    """What a weights file of another program holds.

    find_layers: gives the layers in the order of the network; see `layers`.  graph: JSON graph of a Keras model, if
    known.  spec: ModelSpec in a file that the zoo exported.  source, licence, card: see ModelSpec.  alphabet: base
    order, if the file is a published one.  arrays: those of a PyTorch file by name, as they are.
    """

    path: Path
    format: Literal["Keras", "PyTorch"]
    find_layers: Callable[[], Iterable[ImportedLayer]]
    graph: KerasGraph | None = None
    spec: ModelSpec | None = None
    source: str = ""
    licence: str = "unknown"
    alphabet: str | None = None
    card: Card | None = None
    arrays: Mapping[str, np.ndarray] | None = None

    @functools.cached_property
    def layers(self) -> tuple[ImportedLayer, ...]:
        """Convolutions and dense layers in the order of the network. Raises ZooError for a file with other arrays."""
        return tuple(self.find_layers())

    @property
    def sequence_length(self) -> int | None:
        """Length in bases in the graph, else in the spec; None if neither says."""
        if self.graph is not None:
            return self.graph.sequence_length
        return None if self.spec is None else self.spec.sequence_length

    @property
    def dropout(self) -> float | None:
        """Probability after a dense layer in the graph, else in the spec; None if neither says."""
        if self.graph is not None:
            return self.graph.dropout
        return None if self.spec is None else self.spec.config.get("dropout")


@dataclasses.dataclass(frozen=True)
class ImportedNetwork:
    """Convolutions, hidden dense layers and outputs that fit together, in order.

    positions: length of the last convolution's output after pooling, where the network flattens.
    """

    convolutions: tuple[ImportedLayer, ...]
    hidden: tuple[ImportedLayer, ...]
    outputs: tuple[ImportedLayer, ...]
    positions: int

    @property
    def filters(self) -> tuple[int, ...]:
        return tuple(len(layer.kernel) for layer in self.convolutions)

    @property
    def kernel_sizes(self) -> tuple[int, ...]:
        return tuple(layer.kernel.shape[2] for layer in self.convolutions)

    @property
    def dense_units(self) -> tuple[int, ...]:
        return tuple(len(layer.kernel) for layer in self.hidden)


def network(file: ImportedFile) -> ImportedNetwork:
    """Sort the layers of a file, each checked against the one before; outputs are in the order of the Keras graph.

    Raises OtherArchitecture that names the file and the first layer that does not fit a network of convolutions, then
    hidden dense layers, each with batch normalization, then outputs without.
    """
    where = str(file.path)
    convolutions, hidden, outputs = _sort(file.layers, where)
    inputs = len(ALPHABET)
    for layer in convolutions:
        _check(layer, inputs, where)
        inputs = len(layer.kernel)
    features = hidden[0].kernel.shape[1]
    if not inputs or features % inputs or not features:
        raise OtherArchitecture(
            f"{where}: layer {hidden[0].name}: expected inputs that are a multiple of the last convolution's {inputs} "
            f"filters, got {features}"
        )
    positions = features // inputs
    inputs = features
    for layer in hidden:
        _check(layer, inputs, where)
        inputs = len(layer.kernel)
    for layer in outputs:
        _check(layer, inputs, where)
    order = file.graph.outputs if file.graph else ()
    if {layer.name for layer in outputs} == set(order):
        outputs.sort(key=lambda layer: order.index(layer.name))
    return ImportedNetwork(tuple(convolutions), tuple(hidden), tuple(outputs), positions)


def sequence_length(
    file: ImportedFile, positions: Callable[[int], int], found: int, given: int | None, default: int
) -> int:
    """The sequence length in bases: as given, else as the file says, else the default.

    positions: sequence length -> positions that remain after the last pooling; never fewer for a longer sequence.
    found: number of positions in the file's network.
    Raises OtherArchitecture if that length leaves another number of positions; the error says which lengths fit.
    """
    lengths = range(1, sys.maxsize)
    shortest = lengths[bisect.bisect_left(lengths, found, key=positions)]
    longest = lengths[bisect.bisect_right(lengths, found, key=positions)] - 1
    if longest < shortest:
        raise OtherArchitecture(f"{file.path}: no sequence length leaves {found} positions")
    given = file.sequence_length if given is None else given
    length = default if given is None else given
    if shortest <= length <= longest:
        return length
    if given is None:
        raise OtherArchitecture(
            f"{file.path}: does not say its sequence length, {shortest} to {longest} bases fit; give it with --length"
        )
    raise OtherArchitecture(f"{file.path}: expected a sequence length of {shortest} to {longest} bases, got {length}")


def targets(
    file: ImportedFile, found: ImportedNetwork, given: Sequence[str], prefix: str, default: Sequence[str]
) -> tuple[str, ...]:
    """Names of the outputs: as given, else as the file says, else the default names if their number fits.

    prefix: what precedes the name of a target in the name of a Keras output.
    Raises ZooError if the names are unknown, or if their number differs from that of the outputs.
    """
    outputs = sum(len(layer.bias) for layer in found.outputs)
    said = given or _targets_in(file, found, prefix, default)
    names = tuple(said or default)
    if len(names) != outputs:
        if not said:
            raise ZooError(f"{file.path}: does not say the names of its {outputs} outputs; give them with --targets")
        raise ZooError(f"{file.path}: expected names for {outputs} outputs, got {', '.join(names)}")
    return names


def _targets_in(
    file: ImportedFile, found: ImportedNetwork, prefix: str, default: Sequence[str]
) -> tuple[str, ...] | None:
    """Targets in the spec, or in the names of the outputs; None if these are numbered, or one layer holds several.

    In Keras, Dense_Dev is the target dev. In PyTorch, names that end in the default targets (out_hk) give their order.
    """
    if file.spec:
        return file.spec.targets
    names = [layer.name for layer in found.outputs]
    if file.format == "PyTorch":
        ends = tuple(re.split(r"[._]", name)[-1].lower() for name in names)
        return ends if sorted(ends) == sorted(default) else None
    numbered = any(re.fullmatch(r"(dense|output)(_\d+)?", name) for name in names)
    if numbered or any(len(layer.bias) > 1 for layer in found.outputs):
        return None
    return tuple(name.removeprefix(prefix).lower() for name in names)


def arrays(
    file: ImportedFile,
    found: ImportedNetwork,
    options: ImportOptions,
    norms: Mapping[str, str],
    head: str,
    epsilon: float,
) -> dict[str, np.ndarray]:
    """Canonical arrays by name.

    norms, head, epsilon: the model's `layer_norms`, HEAD and the epsilon of its batch norm. Without an option, base
    order is ACGT, a Keras network flattens by length and any other by channel, and epsilon is the model's, but Keras's
    default for a Keras file that holds only weights. importer.py refuses what must not be assumed.
    """
    theirs = options.epsilon
    if theirs is None:
        weights_alone = file.format == "Keras" and file.graph is None and file.spec is None
        theirs = KERAS_EPSILON if weights_alone else epsilon
    hidden = [*found.convolutions, *found.hidden]
    alphabet = (options.alphabet or file.alphabet or ALPHABET).upper()
    hidden[0] = dataclasses.replace(hidden[0], kernel=hidden[0].kernel[:, [alphabet.index(base) for base in ALPHABET]])
    if (options.flatten or ("length" if file.format == "Keras" else "channel")) == "length":
        first = len(found.convolutions)
        kernel = hidden[first].kernel
        by_channel = kernel.reshape(len(kernel), found.positions, -1).transpose(0, 2, 1).reshape(kernel.shape)
        hidden[first] = dataclasses.replace(hidden[first], kernel=by_channel)
    result: dict[str, np.ndarray] = {}
    for (name, norm), layer in zip(norms.items(), hidden, strict=True):
        result |= {f"{name}.weight": layer.kernel, f"{name}.bias": layer.bias}
        result |= {f"{norm}.{end}": array for end, array in _with_epsilon(layer.norm or {}, theirs, epsilon).items()}
    result[f"{head}.weight"] = np.concatenate([layer.kernel for layer in found.outputs])
    result[f"{head}.bias"] = np.concatenate([layer.bias for layer in found.outputs])
    return {name: np.ascontiguousarray(array) for name, array in result.items()}


def _sort(
    layers: Sequence[ImportedLayer], where: str
) -> tuple[list[ImportedLayer], list[ImportedLayer], list[ImportedLayer]]:
    """Convolutions, hidden dense layers, outputs. Raises OtherArchitecture at the first layer out of order."""
    kinds: tuple[list[ImportedLayer], list[ImportedLayer], list[ImportedLayer]] = ([], [], [])
    for layer in layers:
        dimensions, normed = layer.kernel.ndim, layer.norm is not None
        kind = {(3, True): 0, (2, True): 1, (2, False): 2}.get((dimensions, normed))
        if kind is None or any(kinds[kind + 1 :]) or (kind and not kinds[kind - 1]):
            raise OtherArchitecture(
                f"{where}: layer {layer.name}: expected convolutions, then hidden dense layers, each with batch "
                f"normalization, then outputs without; got a kernel of {dimensions} dimensions "
                f"{'with' if normed else 'without'} it"
            )
        kinds[kind].append(layer)
    if not kinds[2]:
        raise OtherArchitecture(
            f"{where}: expected convolutions, hidden dense layers and outputs, got {len(layers)} layers"
        )
    return kinds


def _check(layer: ImportedLayer, inputs: int, where: str) -> None:
    """Raise OtherArchitecture for the first array that does not fit the layer before or the layer's own kernel."""
    outputs, got = layer.kernel.shape[:2]
    if got != inputs:
        raise OtherArchitecture(
            f"{where}: layer {layer.name}: expected a kernel for {inputs} inputs, got one for {got}"
        )
    norm = {f"norm {name}": array for name, array in (layer.norm or {}).items()}
    for name, array in {"bias": layer.bias, **norm}.items():
        if array.shape != (outputs,):
            raise OtherArchitecture(
                f"{where}: layer {layer.name}: expected {outputs} values in {name}, got {list(array.shape)}"
            )


def _with_epsilon(norm: dict[str, np.ndarray], theirs: float, ours: float) -> dict[str, np.ndarray]:
    """The batch norm with a scale that gives with the epsilon `ours` what it gave with `theirs`."""
    if theirs == ours or not norm:
        return norm
    variance = norm["running_var"].astype(np.float64)
    scale = norm["weight"] * np.sqrt((variance + ours) / (variance + theirs))
    return {**norm, "weight": scale.astype(np.float32)}
