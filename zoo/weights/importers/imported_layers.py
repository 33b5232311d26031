"""Layers that were read from another program's file -> canonical arrays: what the readers of all models share.

Who reads files (keras_h5.py, state_dict.py) turns kernels to (filter, channel, position) or (output, input) and hands
the layers over in the order of the network. Here they are checked one against the other, and base order, flatten order
and epsilon become canonical. What is a model's own (its Config, how its length shrinks), it says itself.
Needs NumPy only.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from zoo.errors import OtherArchitecture, ZooError
from zoo.spec import ALPHABET

NORM = ("weight", "bias", "running_mean", "running_var")
"""Arrays of a batch normalization, by the ends of their canonical names."""


@dataclasses.dataclass(frozen=True)
class ImportedLayer:
    """A convolution or a dense layer with its batch normalization, which an output layer has not.

    kernel: (filter, channel, position) or (output, input).  bias: (filter,) or (output,).  norm: by the names of NORM.
    norm_name: what the file calls it.
    """

    name: str
    kernel: np.ndarray
    bias: np.ndarray
    norm: dict[str, np.ndarray] | None = None
    norm_name: str | None = None


@dataclasses.dataclass(frozen=True)
class ImportedNetwork:
    """Convolutions, hidden dense layers and outputs that fit together, in order.

    positions: that are left of the sequence where it is flattened.  where: the file, for messages.
    """

    where: str
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


def network(layers: Sequence[ImportedLayer], where: str) -> ImportedNetwork:
    """Layers in the order of the network, each checked against the one before.

    Raises OtherArchitecture that names `where` and the first layer that is not as in a network of convolutions, then
    hidden dense layers, each with batch normalization, then outputs without.
    """
    convolutions, hidden, outputs = _sort(layers, where)
    inputs = len(ALPHABET)
    for layer in convolutions:
        _check(layer, inputs, where)
        inputs = len(layer.kernel)
    positions = _positions(hidden[0], inputs, where)
    inputs *= positions
    for layer in hidden:
        _check(layer, inputs, where)
        inputs = len(layer.kernel)
    for layer in outputs:
        _check(layer, inputs, where)
    return ImportedNetwork(where, tuple(convolutions), tuple(hidden), tuple(outputs), positions)


def sequence_length(found: ImportedNetwork, positions: Callable[[int], int], given: int | None, default: int) -> int:
    """The length in bases that leaves as many positions as were found: the given one, else the default.

    positions: how many are left of a sequence of that length, never fewer of a longer one; under 1 of one too short.
    Raises OtherArchitecture if that length leaves another number, and says which lengths fit.
    """
    lengths = range(1, sys.maxsize)
    shortest = lengths[bisect.bisect_left(lengths, found.positions, key=positions)]
    longest = lengths[bisect.bisect_right(lengths, found.positions, key=positions)] - 1
    if longest < shortest:
        raise OtherArchitecture(f"{found.where}: no sequence length leaves {found.positions} positions")
    length = default if given is None else given
    if shortest <= length <= longest:
        return length
    if given is None:
        raise OtherArchitecture(
            f"{found.where}: does not say for which sequence length it was made, {shortest} to {longest} bases fit; "
            "give it with --length"
        )
    raise OtherArchitecture(f"{found.where}: expected a sequence length of {shortest} to {longest} bases, got {length}")


def targets(
    found: ImportedNetwork, given: Sequence[str], told: Sequence[str] | None, default: Sequence[str]
) -> tuple[str, ...]:
    """Names of the outputs: the given ones, else what the file tells, else the default where there are as many.

    Raises ZooError if no names are known, or another number of them.
    """
    outputs = sum(len(layer.bias) for layer in found.outputs)
    names = tuple(given or told or default)
    if not given and not told and len(names) != outputs:
        raise ZooError(f"{found.where}: cannot tell the names of its {outputs} outputs; give them with --targets")
    if len(names) != outputs:
        raise ZooError(f"{found.where}: expected names for {outputs} outputs, got {', '.join(names)}")
    return names


def unsaid(
    found: ImportedNetwork, flatten: str | None, epsilon: float | None, norms: Mapping[str, str], head: str
) -> str:
    """How a PyTorch network flattens: as given. A file says neither that nor the epsilon of its batch normalization.

    norms, head: as `arrays` takes them. Where all layers are called as the zoo calls its own, "channel" and the model's
    own epsilon go without saying. Raises ZooError that names what is missing otherwise.
    """
    hidden = [*found.convolutions, *found.hidden]
    called = {layer.name: layer.norm_name for layer in hidden}
    if called == dict(norms) and [layer.name for layer in found.outputs] == [head]:
        return flatten or "channel"
    missing = {
        "how the network flattens": (flatten, "--flatten channel (plain PyTorch) or length (as in Keras)"),
        "its epsilon": (epsilon, "--epsilon 1e-5 (PyTorch's default) or 1e-3 (Keras's)"),
    }
    missing = {what: option for what, option in missing.items() if option[0] is None}
    if flatten is None or epsilon is None:
        options = " and ".join(option for _, option in missing.values())
        raise ZooError(f"{found.where}: cannot tell {' nor '.join(missing)}; give {options}, or let --match find out")
    return flatten


def arrays(
    found: ImportedNetwork,
    norms: Mapping[str, str],
    head: str,
    *,
    flatten: str,
    alphabet: str,
    epsilon: float | None,
    own_epsilon: float,
) -> dict[str, np.ndarray]:
    """Canonical arrays by name.

    norms: layer -> its batch norm, in the order of the network, as the model's `layer_norms` has it.  head: the model's
    HEAD.  flatten: which axis of the last convolution's output changes slowest in the first dense layer's inputs:
    "length" as in Keras, "channel" as in PyTorch.  alphabet: base order of the first kernel's channels.  epsilon: of
    the imported batch normalizations, None if it is the model's `own_epsilon`.
    """
    hidden = [*found.convolutions, *found.hidden]
    hidden[0] = dataclasses.replace(hidden[0], kernel=_in_base_order(hidden[0].kernel, alphabet))
    if flatten == "length":
        first = len(found.convolutions)
        hidden[first] = dataclasses.replace(
            hidden[first], kernel=_channels_first(hidden[first].kernel, found.positions)
        )
    named: dict[str, np.ndarray] = {}
    for (name, norm), layer in zip(norms.items(), hidden, strict=True):
        values = _with_epsilon(layer.norm or {}, epsilon, own_epsilon)
        named |= {f"{name}.weight": layer.kernel, f"{name}.bias": layer.bias}
        named |= {f"{norm}.{end}": array for end, array in values.items()}
    named[f"{head}.weight"] = np.concatenate([layer.kernel for layer in found.outputs])
    named[f"{head}.bias"] = np.concatenate([layer.bias for layer in found.outputs])
    return {name: np.ascontiguousarray(array) for name, array in named.items()}


def _sort(
    layers: Sequence[ImportedLayer], where: str
) -> tuple[list[ImportedLayer], list[ImportedLayer], list[ImportedLayer]]:
    """Convolutions, hidden dense layers, outputs. Raises OtherArchitecture at a layer that has no place where it is."""
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
    """Raise OtherArchitecture at the first array that does not fit the layer before or the layer's own kernel."""
    outputs, got = layer.kernel.shape[:2]
    if got != inputs:
        raise OtherArchitecture(
            f"{where}: layer {layer.name}: expected a kernel for {inputs} inputs, got one for {got}"
        )
    norm = {f"norm {name}": array for name, array in (layer.norm or {}).items()}
    for name, array in itertools.chain([("bias", layer.bias)], norm.items()):
        if array.shape != (outputs,):
            raise OtherArchitecture(
                f"{where}: layer {layer.name}: expected {outputs} values in {name}, got {list(array.shape)}"
            )


def _positions(layer: ImportedLayer, filters: int, where: str) -> int:
    features = layer.kernel.shape[1]
    if features % filters or not features:
        raise OtherArchitecture(
            f"{where}: layer {layer.name}: expected inputs that are a multiple of the last convolution's {filters} "
            f"filters, got {features}"
        )
    return features // filters


def _in_base_order(kernel: np.ndarray, alphabet: str) -> np.ndarray:
    """A first kernel (filter, base, position) whose bases stand as in `alphabet` -> as in ALPHABET."""
    return kernel[:, [alphabet.upper().index(base) for base in ALPHABET]]


def _channels_first(kernel: np.ndarray, positions: int) -> np.ndarray:
    """A dense kernel (output, input) with inputs in (position, channel) order -> (channel, position) order."""
    return kernel.reshape(len(kernel), positions, -1).transpose(0, 2, 1).reshape(kernel.shape)


def _with_epsilon(norm: dict[str, np.ndarray], epsilon: float | None, own: float) -> dict[str, np.ndarray]:
    """The batch norm with a scale that gives, with the epsilon `own`, what it gave with `epsilon`."""
    if epsilon is None or epsilon == own or not norm:
        return norm
    variance = norm["running_var"].astype(np.float64)
    scale = norm["weight"] * np.sqrt((variance + own) / (variance + epsilon))
    return {**norm, "weight": scale.astype(np.float32)}
