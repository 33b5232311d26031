"""A DeepSTARR checkpoint as plain convolutions and matrices: batch normalisation folded in, channels last throughout.

Owns the order of axes that the k-mer tables, the compiled kernel and the ONNX graph share: (N, positions, channels).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from zoo.models.deepstarr import BATCH_NORM_EPSILON, Config

_NORM = ("weight", "bias", "running_mean", "running_var")


@dataclasses.dataclass(frozen=True)
class Convolution:
    """'Same' convolution, ReLU, max-pooling by POOL_SIZE. weight: float32 (taps, in, out); bias: float32 (out,)."""

    weight: np.ndarray
    bias: np.ndarray
    positions: int
    """Length of the input, before the pooling."""

    @property
    def taps(self) -> int:
        return self.weight.shape[0]

    @property
    def left(self) -> int:
        """Zeros that padding puts before the first position; an even kernel has one more after the last."""
        return (self.taps - 1) // 2


@dataclasses.dataclass(frozen=True)
class Dense:
    """Matrix, then ReLU unless it is the head. weight: float32 (in, out); bias: float32 (out,)."""

    weight: np.ndarray
    bias: np.ndarray
    relu: bool


@dataclasses.dataclass(frozen=True)
class Layers:
    """The whole network. The first matrix takes features in (position, channel) order."""

    config: Config
    convolutions: tuple[Convolution, ...]
    dense: tuple[Dense, ...]


def fold(config: Config, arrays: dict[str, np.ndarray]) -> Layers:
    """Canonical arrays (see models.deepstarr.array_shapes) -> layers that compute the same; folded in float64."""
    convolutions = []
    for number in range(1, len(config.filters) + 1):
        weight, bias = _normalised(arrays, f"conv{number}")
        convolutions.append(Convolution(_float32(weight.transpose(2, 1, 0)), bias, config.positions[number - 1]))
    dense = []
    for number in range(1, len(config.dense_units) + 1):
        weight, bias = _normalised(arrays, f"dense{number}")
        if number == 1:
            channels_first = weight.reshape(-1, config.filters[-1], config.positions[-1])
            weight = channels_first.transpose(0, 2, 1).reshape(weight.shape)
        dense.append(Dense(_float32(weight.T), bias, relu=True))
    head = arrays["head.weight"].astype(np.float64)
    dense.append(Dense(_float32(head.T), _float32(arrays["head.bias"]), relu=False))
    return Layers(config, tuple(convolutions), tuple(dense))


def _normalised(arrays: dict[str, np.ndarray], layer: str) -> tuple[np.ndarray, np.ndarray]:
    """Kernel, float64 (out, ...), and bias, float32 (out,), of `layer` and the batch normalisation that follows it."""
    weight, bias, gain, shift, mean, variance = (
        arrays[name].astype(np.float64)
        for name in (f"{layer}.weight", f"{layer}.bias", *(f"{layer}_norm.{part}" for part in _NORM))
    )
    scale = gain / np.sqrt(variance + BATCH_NORM_EPSILON)
    bias = (bias - mean) * scale + shift
    return weight * scale.reshape(-1, *[1] * (weight.ndim - 1)), _float32(bias)


def _float32(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, np.float32)
