"""A network as plain convolutions and matrices, with batch norms folded in, for engines without a framework.

Convolutions, each with ReLU and max-pooling, then matrices with ReLU, then the output layer, and a sigmoid where the
outputs are probabilities. Defines the order of axes
that k-mer tables, the compiled kernel and ONNX graphs share: (N, positions, channels). Needs only NumPy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

NORM = ("weight", "bias", "running_mean", "running_var")
"""Arrays of a batch norm: the last parts of their names."""

BLOCK = 64
"""Sequences in one batch of `activities`, which takes a few hundred megabytes."""


@dataclasses.dataclass(frozen=True)
class PlainShape:
    """Sizes of a network. The first four have one entry for each convolution.

    filters, kernel_sizes.  same: whether the input is padded with zeros to keep its length ('same') or not ('valid').
    pools: stride and window of the max-pooling; a last incomplete window is dropped.
    sequence_length: L, bases.  targets: T.  sigmoid: whether the outputs are probabilities.
    """

    filters: tuple[int, ...]
    kernel_sizes: tuple[int, ...]
    same: tuple[bool, ...]
    pools: tuple[int, ...]
    sequence_length: int
    targets: int
    sigmoid: bool = False

    @property
    def positions(self) -> tuple[int, ...]:
        """Length of the sequence axis before the first convolution and after each pooling."""
        found = [self.sequence_length]
        for size, same, pool in zip(self.kernel_sizes, self.same, self.pools, strict=True):
            found.append((found[-1] - (0 if same else size - 1)) // pool)
        return tuple(found)


@dataclasses.dataclass(frozen=True)
class Convolution:
    """Convolution, ReLU, max-pooling. weight: float32 (taps, in, out); bias: float32 (out,).

    positions: length of the input.  left, right: zeros put before and after it.  pool: stride and window.
    """

    weight: np.ndarray
    bias: np.ndarray
    positions: int
    left: int
    right: int
    pool: int

    @property
    def taps(self) -> int:
        return self.weight.shape[0]


@dataclasses.dataclass(frozen=True)
class Dense:
    """Matrix, then ReLU unless it is the head. weight: float32 (in, out); bias: float32 (out,)."""

    weight: np.ndarray
    bias: np.ndarray
    relu: bool


@dataclasses.dataclass(frozen=True)
class PlainLayers:
    """The whole network. The first matrix takes features in (position, channel) order."""

    shape: PlainShape
    convolutions: tuple[Convolution, ...]
    dense: tuple[Dense, ...]


def fold(
    shape: PlainShape,
    arrays: Mapping[str, np.ndarray],
    norms: Mapping[str, str],
    head: str,
    epsilon: float,
) -> PlainLayers:
    """Arrays of a weights file -> layers that compute the same. Batch norms are folded in float64.

    norms: layer -> the batch norm after it, convolutions first, in the order of the network.  head: the last layer.
    epsilon: added to the variance by the batch norms.
    """
    names = list(norms)
    depth = len(shape.filters)
    convolutions = []
    for number, layer in enumerate(names[:depth]):
        weight, bias = _normalised(arrays, layer, norms[layer], epsilon)
        padding = shape.kernel_sizes[number] - 1 if shape.same[number] else 0
        left = padding // 2  # an even kernel has one more zero after the last position
        convolutions.append(
            Convolution(
                _float32(weight.transpose(2, 1, 0)),
                bias,
                shape.positions[number],
                left,
                padding - left,
                shape.pools[number],
            )
        )
    dense = []
    for number, layer in enumerate(names[depth:]):
        weight, bias = _normalised(arrays, layer, norms[layer], epsilon)
        if number == 0:
            channels_first = weight.reshape(-1, shape.filters[-1], shape.positions[-1])
            weight = channels_first.transpose(0, 2, 1).reshape(weight.shape)
        dense.append(Dense(_float32(weight.T), bias, relu=True))
    last = arrays[f"{head}.weight"].astype(np.float64)
    dense.append(Dense(_float32(last.T), _float32(arrays[f"{head}.bias"]), relu=False))
    return PlainLayers(shape, tuple(convolutions), tuple(dense))


def activities(layers: PlainLayers, one_hot: np.ndarray) -> np.ndarray:
    """Compute the layers in float64, to check engines: one-hot bases (N, L, 4) -> (N, T)."""
    parts = [one_hot[first : first + BLOCK] for first in range(0, len(one_hot), BLOCK)]
    return np.concatenate([_activities(layers, part.astype(np.float64)) for part in parts])


def _activities(layers: PlainLayers, hidden: np.ndarray) -> np.ndarray:
    for layer, length in zip(layers.convolutions, layers.shape.positions[1:], strict=True):
        padded = np.pad(hidden, ((0, 0), (layer.left, layer.right), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, layer.taps, axis=1)  # (N, positions, in, taps)
        used = windows[:, : length * layer.pool]  # a last incomplete window of the pooling is dropped
        sums = np.tensordot(used, layer.weight.astype(np.float64), axes=([3, 2], [0, 1]))
        pooled = sums.reshape(len(hidden), length, layer.pool, -1).max(axis=2)
        hidden = np.maximum(pooled + layer.bias, 0)
    hidden = hidden.reshape(len(hidden), -1)
    for matrix in layers.dense:
        hidden = hidden @ matrix.weight.astype(np.float64) + matrix.bias
        hidden = np.maximum(hidden, 0) if matrix.relu else hidden
    return 1 / (1 + np.exp(-hidden)) if layers.shape.sigmoid else hidden


def _normalised(
    arrays: Mapping[str, np.ndarray], layer: str, norm: str, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel, float64 (out, ...), and bias, float32 (out,), of a layer and the batch norm after it."""
    weight, bias, gain, shift, mean, variance = (
        arrays[name].astype(np.float64)
        for name in (f"{layer}.weight", f"{layer}.bias", *(f"{norm}.{part}" for part in NORM))
    )
    scale = gain / np.sqrt(variance + epsilon)
    bias = (bias - mean) * scale + shift
    return weight * scale.reshape(-1, *[1] * (weight.ndim - 1)), _float32(bias)


def _float32(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, np.float32)
