"""DeepLIFT contributions and the gradient with NumPy alone, layer by layer.

The plain twin of _contributions.c, for installations without a compiler and to test it against: forwards, the sums of
every layer kept, then multipliers backwards. Axes: R references (or one sequence), L positions.
"""

from __future__ import annotations

import numpy as np

from zoo.dna.encoding import ONE_HOT
from zoo.layers.plain import Convolution, PlainLayers

SMALL_DIFFERENCE = 1e-6
"""Of sums, under which a ratio is not taken, as in shap."""


def contributions(layers: PlainLayers, codes: np.ndarray, references: np.ndarray, target: int) -> np.ndarray:
    """Base codes, uint8 (N, L) and (N, R, L) -> hypothetical scores, float32 (N, L, 4); see contracts.ShorterWays."""
    out = np.empty((*codes.shape, ONE_HOT.shape[1]), np.float32)
    for row, (sequence, others) in enumerate(zip(codes, ONE_HOT[references], strict=True)):
        multipliers = _backwards(layers, _sums(layers, ONE_HOT[sequence[None]]), _sums(layers, others), target)
        out[row] = (multipliers - (others * multipliers).sum(axis=2, keepdims=True)).mean(axis=0)
    return out


def gradient(layers: PlainLayers, codes: np.ndarray, target: int) -> np.ndarray:
    """Base codes, uint8 (N, L) -> d activity / d one-hot, float32 (N, L, 4)."""
    return np.concatenate([_backwards(layers, _sums(layers, ONE_HOT[row[None]]), None, target) for row in codes])


def _sums(layers: PlainLayers, hidden: np.ndarray) -> list[np.ndarray]:
    """One-hot bases, (R, L, 4) -> sums of each layer but the head: (R, results, pool, filters), then (R, units)."""
    found = []
    for layer, results in zip(layers.convolutions, layers.shape.positions[1:], strict=True):
        padded = np.pad(hidden, ((0, 0), (layer.left, layer.right), (0, 0)))
        sums = np.broadcast_to(layer.bias, (len(hidden), results * layer.pool, len(layer.bias)))
        for tap, weight in enumerate(layer.weight):
            sums = sums + np.tensordot(padded[:, tap : tap + results * layer.pool], weight, 1)
        found.append(sums.reshape(len(hidden), results, layer.pool, -1))
        hidden = np.maximum(found[-1].max(axis=2), 0)
    hidden = hidden.reshape(len(hidden), -1)
    for matrix in layers.dense[:-1]:
        found.append(hidden @ matrix.weight + matrix.bias)
        hidden = np.maximum(found[-1], 0)
    return found


def _backwards(layers: PlainLayers, own: list[np.ndarray], others: list[np.ndarray] | None, target: int) -> np.ndarray:
    """Multipliers of the bases, float32 (R, L, 4). own, others: sums of one sequence and of references; without those,
    derivatives."""
    number = len(others[0]) if others else 1
    others = others or own
    at_limit = others is own
    multipliers = np.broadcast_to(layers.dense[-1].weight[:, target], (number, len(layers.dense[-1].weight)))
    depth = len(layers.convolutions)
    for matrix, a, b in zip(layers.dense[-2::-1], own[: depth - 1 : -1], others[: depth - 1 : -1], strict=True):
        multipliers = multipliers * (a > 0 if at_limit else _slope(a, b)) @ matrix.weight.T
    multipliers = multipliers.reshape(number, layers.shape.positions[-1], -1)
    for layer, a, b in zip(layers.convolutions[::-1], own[depth - 1 :: -1], others[depth - 1 :: -1], strict=True):
        at = a.argmax(axis=2, keepdims=True)
        if at_limit:
            slope = (np.take_along_axis(a, at, 2) > 0)[:, :, 0]
        else:
            most_a, most_b = np.maximum(a.max(axis=2), 0), np.maximum(b.max(axis=2), 0)
            at = np.where((most_a >= most_b)[:, :, None], at, b.argmax(axis=2, keepdims=True))
            slope = _ratio(most_a - most_b, np.take_along_axis(a - b, at, 2)[:, :, 0], 0)
        sums = np.zeros((number, *b.shape[1:]), np.float32)
        np.put_along_axis(sums, at, (multipliers * slope)[:, :, None], 2)
        multipliers = _before(layer, sums.reshape(number, -1, sums.shape[3]))
    return multipliers


def _slope(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(relu(a) - relu(b)) / (a - b), its limit where they hardly differ."""
    return _ratio(np.maximum(a, 0) - np.maximum(b, 0), a - b, b > 0)


def _ratio(rise: np.ndarray, difference: np.ndarray, otherwise: np.ndarray | float) -> np.ndarray:
    small = abs(difference) < SMALL_DIFFERENCE
    return np.where(small, otherwise, rise / np.where(small, 1, difference)).astype(np.float32)


def _before(layer: Convolution, sums: np.ndarray) -> np.ndarray:
    """Multipliers of a convolution's sums -> of its inputs, (R, positions, in)."""
    number, length, _ = sums.shape
    padded = np.zeros((number, layer.positions + layer.left + layer.right, layer.weight.shape[1]), np.float32)
    for tap, weight in enumerate(layer.weight):
        padded[:, tap : tap + length] += np.tensordot(sums, weight.T, 1)
    return padded[:, layer.left : layer.left + layer.positions]
