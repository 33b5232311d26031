"""Every mutant of a sequence with NumPy alone: only positions that a base can reach are computed again.

The plain twin of _mutants.c, for installations without a compiler and to test it against. It knows no tables, so an N
is nothing special; it computes changed positions in full where compiled code adds differences.
Axes: L positions of the sequence, B = L bases that are exchanged, 4 bases that take their place.
"""

from __future__ import annotations

import numpy as np

from zoo.dna.encoding import ONE_HOT
from zoo.layers.plain import Convolution, PlainLayers
from zoo.spec import ALPHABET


def mutants(layers: PlainLayers, codes: np.ndarray) -> np.ndarray:
    """Base codes, uint8 (N, L) -> what each base in each place adds to the activities, float32 (N, L, 4, T)."""
    length = layers.shape.sequence_length
    out = np.empty((len(codes), length, len(ALPHABET), layers.shape.targets), np.float32)
    for row, sequence in enumerate(codes):
        out[row] = _mutants(layers, ONE_HOT[sequence])
        out[row, sequence[:, None] == np.arange(len(ALPHABET))] = 0
    return out


def _mutants(layers: PlainLayers, kept: np.ndarray) -> np.ndarray:
    """One-hot bases of one sequence, (L, 4) -> float32 (L, 4, T)."""
    bases = len(kept)
    first = np.arange(bases)  # of the positions that a base can reach, which all have as many
    values = np.broadcast_to(np.eye(len(ALPHABET), dtype=np.float32), (bases, 1, len(ALPHABET), len(ALPHABET)))
    for layer, results in zip(layers.convolutions, layers.shape.positions[1:], strict=True):
        reach = (values.shape[1] + layer.taps - 2) // layer.pool + 2
        after = (first + layer.left - layer.taps + 1) // layer.pool
        begin = after * layer.pool - layer.left
        inputs = _with(kept, values, first, begin, reach * layer.pool + layer.taps - 1)
        values = _pooled(layer, inputs)
        inside = after[:, None] + np.arange(reach)
        values[(inside < 0) | (inside >= results)] = 0
        kept = _pooled(layer, np.pad(kept, ((layer.left, layer.right), (0, 0)))[None, :, None])[0, :, 0]
        first = after
    hidden = _with(kept, values, first, np.zeros(bases, int), len(kept)).transpose(0, 2, 1, 3).reshape(bases, 4, -1)
    own = kept.reshape(1, -1)
    for matrix in layers.dense:
        hidden, own = (side @ matrix.weight + matrix.bias for side in (hidden, own))
        if matrix.relu:
            hidden, own = np.maximum(hidden, 0), np.maximum(own, 0)
    return hidden - own


def _with(kept: np.ndarray, values: np.ndarray, first: np.ndarray, begin: np.ndarray, number: int) -> np.ndarray:
    """`number` positions of a layer from `begin` on, for each base that is exchanged: (B, number, 4, channels).

    kept: of the sequence itself, (positions, channels); zeros are around them.  values: what takes the place from
    position `first` on, (B, reach, 4, channels), zeros outside the layer.
    """
    positions = begin[:, None] + np.arange(number)
    outside = (positions < 0) | (positions >= len(kept))
    stretch = kept[np.where(outside, 0, positions)]
    stretch[outside] = 0
    stretch = np.repeat(stretch[:, :, None], len(ALPHABET), axis=2)
    at = (first - begin)[:, None] + np.arange(values.shape[1])
    there = (at >= 0) & (at < number)
    stretch[np.nonzero(there)[0], at[there]] = values[there]
    return stretch


def _pooled(layer: Convolution, inputs: np.ndarray) -> np.ndarray:
    """A convolution without padding, ReLU, pooling: (B, positions, 4, in) -> (B, results, 4, out)."""
    results = (inputs.shape[1] - layer.taps + 1) // layer.pool
    sums = np.broadcast_to(layer.bias, (len(inputs), results * layer.pool, *inputs.shape[2:-1], len(layer.bias)))
    for tap, weight in enumerate(layer.weight):
        sums = sums + np.tensordot(inputs[:, tap : tap + results * layer.pool], weight, 1)
    return np.maximum(sums.reshape(len(inputs), results, layer.pool, *sums.shape[2:]).max(axis=2), 0)
