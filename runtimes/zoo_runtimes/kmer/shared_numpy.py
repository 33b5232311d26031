"""Overlapping windows in NumPy: what _windows.c does, written out plainly.

Runs where the kernel was not built, and is what tests compare the kernel with. Axes: W windows, R rows of a layer along
the contig, C channels; row r of a layer belongs to base r * grid.
"""

from __future__ import annotations

import numpy as np

from zoo.layers.plain import Convolution, PlainLayers
from zoo_runtimes.kmer.sharing import Layer, Sharing
from zoo_runtimes.kmer.tables import Tables

BASES = 8192
"""Bases of a contig that are worked through at once: some ten megabytes."""


class SharedWindows:
    """Windows of one stride along a contig; threads may call it at the same time."""

    def __init__(self, layers: PlainLayers, tables: Tables, sharing: Sharing) -> None:
        self._tables = tables
        self._sharing = sharing
        self._convolutions = layers.convolutions[tables.plan.convolutions - 1 :]
        self._dense = layers.dense

    def __call__(self, codes: np.ndarray, windows: int) -> np.ndarray:
        """Base codes without N from the start of the first window on, uint8 (B,) -> float32 (windows, T)."""
        stride = self._sharing.stride
        most = max(1, BASES // stride)
        firsts = range(0, windows, most)
        return np.concatenate([self._few(codes[first * stride :], min(most, windows - first)) for first in firsts])

    def _few(self, codes: np.ndarray, windows: int) -> np.ndarray:
        sharing = self._sharing
        padded = sharing.padded(codes, windows)
        bases = np.arange(windows) * sharing.stride
        pooled, ends = self._looked_up(padded, bases)
        for number in range(1, len(sharing.layers)):
            planes = self._planes(number, pooled, bases)
            pooled = self._pooled(number, planes[0], bases)
            ends = self._next_ends(number, planes, ends, bases)
        top = sharing.layers[-1]
        weight = self._dense[0].weight.reshape(top.positions, top.channels, -1)
        hidden = np.tile(self._dense[0].bias, (windows, 1))
        for position in range(top.positions):
            rows = (bases + position * top.scale) // sharing.grid(top.scale)
            hidden += (pooled[rows] if top.low <= position < top.high else ends[position]) @ weight[position]
        hidden = np.maximum(hidden, 0) if self._dense[0].relu else hidden
        for matrix in self._dense[1:]:
            hidden = hidden @ matrix.weight + matrix.bias
            hidden = np.maximum(hidden, 0) if matrix.relu else hidden
        return hidden

    def _looked_up(self, padded: np.ndarray, bases: np.ndarray) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        """Rows of the first level, float32 (R, C), and its ends: position -> float32 (W, C)."""
        sharing, plan = self._sharing, self._sharing.plan
        layer, (sum_front, front) = sharing.layers[0], sharing.fronts[0]
        scale, reach = (layer.sum_scale, sum_front) if plan.projected else (layer.scale, front)
        grid = sharing.grid(scale)
        rows = (bases[-1] + reach) // grid + 1
        apart = scale // grid
        places = np.arange(-layer.left * apart, rows + layer.right * apart) * grid - sharing.kmer_left
        kmers = _kmers(padded, sharing.before + places, sharing.kmer_length)
        sums = self._parts(np.stack([kmers[tap * apart : tap * apart + rows] for tap in range(plan.taps)], 1))
        pooled = self._pooled(0, sums, bases) if plan.projected else np.maximum(sums, 0)
        ends = {position: self._end_looked_up(padded[sharing.before :], position, bases) for position in layer.ends}
        return pooled, ends

    def _end_looked_up(self, codes: np.ndarray, position: int, bases: np.ndarray) -> np.ndarray:
        tables, plan = self._tables, self._sharing.plan
        found = []
        for sum_ in range(position * plan.pool, (position + 1) * plan.pool):
            rows = np.full((len(bases), plan.taps), plan.rows)
            for tap in range(plan.taps):
                below = sum_ - plan.left + tap
                if 0 <= below < len(tables.starts):
                    kmers = _kmers(codes, bases + tables.starts[below], int(tables.lengths[below]))
                    rows[:, tap] = kmers + tables.offsets[below]
            found.append(self._parts(rows))
        return np.maximum(np.maximum.reduce(found), 0)

    def _parts(self, rows: np.ndarray) -> np.ndarray:
        """Table rows, (..., taps) -> the sum of each tap's part, float32 (..., C)."""
        plan = self._sharing.plan
        parts = self._tables.table.reshape(-1, plan.width)
        return parts[rows * plan.taps + np.arange(plan.taps)].sum(axis=-2)[..., : plan.channels]

    def _planes(self, number: int, pooled: np.ndarray, bases: np.ndarray) -> list[np.ndarray]:
        """Sums of a convolution along the contig: plane k has the bias and taps k, k + 1, ..., float32 (R, C)."""
        layer, convolution = self._sharing.layers[number], self._convolutions[number]
        grid = self._sharing.grid(layer.sum_scale)
        rows = (bases[-1] + self._sharing.fronts[number][0]) // grid + 1
        apart = layer.sum_scale // grid
        before = np.zeros((layer.left * apart, pooled.shape[1]), np.float32)
        padded = np.concatenate([before, pooled])
        planes = []
        plane = convolution.bias
        for tap in range(layer.taps - 1, -1, -1):
            plane = plane + padded[tap * apart : tap * apart + rows] @ convolution.weight[tap]
            planes.append(plane)
        return planes[::-1]

    def _pooled(self, number: int, sums: np.ndarray, bases: np.ndarray) -> np.ndarray:
        layer = self._sharing.layers[number]
        grid, sum_grid = self._sharing.grid(layer.scale), self._sharing.grid(layer.sum_scale)
        rows = np.arange((bases[-1] + self._sharing.fronts[number][1]) // grid + 1) * (grid // sum_grid)
        return np.maximum(np.maximum(sums[rows], sums[rows + layer.sum_scale // sum_grid]), 0)

    def _next_ends(
        self, number: int, planes: list[np.ndarray], below: dict[int, np.ndarray], bases: np.ndarray
    ) -> dict[int, np.ndarray]:
        """Ends of a level from the sums along the contig and the ends of the level below."""
        layer, lower = self._sharing.layers[number], self._sharing.layers[number - 1]
        grid = self._sharing.grid(layer.sum_scale)

        def sums(position: int) -> np.ndarray:
            rows = (bases + position * layer.sum_scale) // grid
            begun = _begun(layer, lower, position, [plane[rows] for plane in planes], self._convolutions[number])
            for tap in range(layer.taps):
                if position - layer.left + tap in below:
                    begun = begun + below[position - layer.left + tap] @ self._convolutions[number].weight[tap]
            return np.maximum(begun, 0)

        return {end: np.maximum(sums(2 * end), sums(2 * end + 1)) for end in layer.ends}


def _begun(layer: Layer, lower: Layer, position: int, planes: list[np.ndarray], convolution: Convolution) -> np.ndarray:
    """The bias and the taps of one sum that read positions which are the same for every window, float32 (W, C)."""
    first = position - layer.left
    planes = [*planes, np.broadcast_to(convolution.bias, planes[0].shape)]
    if position < layer.low * 2:
        return planes[min(max(lower.low - first, 0), layer.taps)]
    return planes[0] - planes[min(max(lower.high - first, 0), layer.taps)] + convolution.bias


def _kmers(codes: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    """Numbers of the k-mers that begin at `starts`."""
    kmers = np.zeros(len(starts), np.int64)
    for base in range(length):
        kmers = kmers << 2 | codes[starts + base]
    return kmers
