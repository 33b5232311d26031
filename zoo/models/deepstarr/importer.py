"""Layers of a foreign file -> Config and canonical arrays: what every importer shares, so that all refuse alike.

An importer turns its kernels to (filter, channel, position) or (output, input) and hands them over in the order of the
network; here they are checked one against the other, the base order and the flatten order become canonical, and the
Config is read from the shapes. Needs NumPy only.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zoo.errors import ZooError
from zoo.models.deepstarr import BATCH_NORM_EPSILON, POOL_SIZE, PUBLISHED, Config
from zoo.spec import ALPHABET

FLATTEN_ORDERS = ("length", "channel")
"""Which axis of the last convolution's output changes slowest in the first dense layer's inputs: Keras's, PyTorch's."""

NORM = ("weight", "bias", "running_mean", "running_var")
"""Arrays of a batch normalization, by the ends of their canonical names."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution or a dense layer with its batch normalization, which an output layer has not.

    kernel: (filter, channel, position) or (output, input).  bias: (filter,) or (output,).  norm: by the names of NORM.
    """

    name: str
    kernel: np.ndarray
    bias: np.ndarray
    norm: dict[str, np.ndarray] | None = None


def assemble(
    layers: Sequence[Layer],
    where: str,
    *,
    flatten: str,
    alphabet: str = ALPHABET,
    epsilon: float = BATCH_NORM_EPSILON,
    length: int | None = None,
    targets: Sequence[str],
    dropout: float | None = None,
) -> tuple[Config, dict[str, np.ndarray]]:
    """Layers in the order of the network -> Config and canonical arrays.

    flatten: one of FLATTEN_ORDERS.  alphabet: base order of the first kernel's channels.  epsilon: of the batch
    normalizations.  length: in bases, None takes the default where it fits.  targets: names of the outputs, in order.
    dropout: None takes the default.
    Raises ZooError that names `where` and the first layer that is not as in DeepSTARR.
    """
    if flatten not in FLATTEN_ORDERS:
        raise ZooError(f"flatten: expected {' or '.join(FLATTEN_ORDERS)}, got {flatten!r}")
    convolutions, dense, heads = sort([_with_own_epsilon(layer, epsilon) for layer in layers], where)
    arrays: dict[str, np.ndarray] = {}
    inputs = len(ALPHABET)
    for number, layer in enumerate(convolutions, 1):
        _check(layer, inputs, where)
        kernel = layer.kernel[:, _channels(alphabet)] if number == 1 else layer.kernel
        arrays |= _named(f"conv{number}", layer, kernel)
        inputs = len(layer.kernel)
    positions = _positions(dense[0], inputs, where)
    inputs *= positions
    for number, layer in enumerate(dense, 1):
        _check(layer, inputs, where)
        kernel = layer.kernel
        if number == 1 and flatten == "length":
            kernel = kernel.reshape(len(kernel), positions, -1).transpose(0, 2, 1).reshape(kernel.shape)
        arrays |= _named(f"dense{number}", layer, kernel)
        inputs = len(layer.kernel)
    for layer in heads:
        _check(layer, inputs, where)
    arrays["head.weight"] = np.concatenate([layer.kernel for layer in heads])
    arrays["head.bias"] = np.concatenate([layer.bias for layer in heads])
    if len(targets) != len(arrays["head.bias"]):
        raise ZooError(f"{where}: expected names for {len(arrays['head.bias'])} outputs, got {', '.join(targets)}")
    config = Config(
        filters=tuple(len(layer.kernel) for layer in convolutions),
        kernel_sizes=tuple(layer.kernel.shape[2] for layer in convolutions),
        dense_units=tuple(len(layer.kernel) for layer in dense),
        dropout=Config.dropout if dropout is None else dropout,
        sequence_length=_length(positions, len(convolutions), length, where),
        targets=tuple(targets),
    )
    return config, {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def kind(path: Path) -> str:
    """What a file is by its first bytes: "hdf5", "zip", "pickle", "safetensors", else "unknown"."""
    with path.open("rb") as file:
        start = file.read(9)
    for name, magic in {"hdf5": b"\x89HDF\r\n\x1a\n", "zip": b"PK\x03\x04", "pickle": b"\x80"}.items():
        if start.startswith(magic):
            return name
    return "safetensors" if start[8:] == b"{" else "unknown"


def provenance(path: Path) -> tuple[str, str]:
    """Source and licence of a file: its name and md5, after the citation if it is a published one."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    citation, licence = PUBLISHED.citations.get(digest, ("", "unknown"))
    name = f"{path.name} (md5 {digest})"
    return (f"{citation}; {name}" if citation else f"imported from {name}"), licence


def sort(layers: Sequence[Layer], where: str) -> tuple[list[Layer], list[Layer], list[Layer]]:
    """Convolutions, hidden dense layers, outputs. Raises ZooError at a layer whose kind has no place where it is."""
    kinds: tuple[list[Layer], list[Layer], list[Layer]] = ([], [], [])
    for layer in layers:
        dimensions, normed = layer.kernel.ndim, layer.norm is not None
        kind = {(3, True): 0, (2, True): 1, (2, False): 2}.get((dimensions, normed))
        if kind is None or any(kinds[kind + 1 :]) or (kind and not kinds[kind - 1]):
            raise ZooError(
                f"{where}: layer {layer.name}: expected convolutions, then hidden dense layers, each with batch "
                f"normalization, then outputs without; got a kernel of {dimensions} dimensions "
                f"{'with' if normed else 'without'} it"
            )
        kinds[kind].append(layer)
    if not kinds[2]:
        raise ZooError(f"{where}: expected convolutions, hidden dense layers and outputs, got {len(layers)} layers")
    return kinds


def _check(layer: Layer, inputs: int, where: str) -> None:
    """Raise ZooError at the first array of a layer that does not fit the layer before or the layer's own kernel."""
    outputs, got = layer.kernel.shape[:2]
    if got != inputs:
        raise ZooError(f"{where}: layer {layer.name}: expected a kernel for {inputs} inputs, got one for {got}")
    for name, array in {"bias": layer.bias, **{f"norm {name}": a for name, a in (layer.norm or {}).items()}}.items():
        if array.shape != (outputs,):
            raise ZooError(f"{where}: layer {layer.name}: expected {outputs} values in {name}, got {list(array.shape)}")


def _with_own_epsilon(layer: Layer, epsilon: float) -> Layer:
    """The layer with a scale that gives, with the zoo's epsilon, what it gave with `epsilon`."""
    if layer.norm is None or epsilon == BATCH_NORM_EPSILON:
        return layer
    variance = layer.norm["running_var"].astype(np.float64)
    scale = layer.norm["weight"] * np.sqrt((variance + BATCH_NORM_EPSILON) / (variance + epsilon))
    return dataclasses.replace(layer, norm={**layer.norm, "weight": scale.astype(np.float32)})


def _named(module: str, layer: Layer, kernel: np.ndarray) -> dict[str, np.ndarray]:
    norm = {f"{module}_norm.{name}": array for name, array in (layer.norm or {}).items()}
    return {f"{module}.weight": kernel, f"{module}.bias": layer.bias, **norm}


def _channels(alphabet: str) -> list[int]:
    """Where each base of ALPHABET stands in `alphabet`."""
    if sorted(alphabet.upper()) != sorted(ALPHABET):
        raise ZooError(f"alphabet: expected the letters {ALPHABET} in some order, got {alphabet!r}")
    return [alphabet.upper().index(base) for base in ALPHABET]


def _positions(layer: Layer, filters: int, where: str) -> int:
    """Positions that are left of the sequence where it is flattened."""
    features = layer.kernel.shape[1]
    if features % filters or not features:
        raise ZooError(
            f"{where}: layer {layer.name}: expected inputs that are a multiple of the last convolution's {filters} "
            f"filters, got {features}"
        )
    return features // filters


def _length(positions: int, depth: int, given: int | None, where: str) -> int:
    """The sequence length, in bases, which must leave `positions` after `depth` poolings."""
    shortest = positions * POOL_SIZE**depth
    longest = shortest + POOL_SIZE**depth - 1
    if given is None and not shortest <= Config.sequence_length <= longest:
        raise ZooError(
            f"{where}: does not say for which sequence length it was made, {shortest} to {longest} bases fit; "
            "give it with --length"
        )
    length = Config.sequence_length if given is None else given
    if not shortest <= length <= longest:
        raise ZooError(f"{where}: expected a sequence length of {shortest} to {longest} bases, got {length}")
    return length
