"""The network in NumPy, for installations without a compiler, and for tests to compare compiled code with.

Predictions look tables up in NumPy and compute the other layers in ONNX Runtime; everything else is NumPy alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zoo.dna import edits
from zoo.dna.encoding import ONE_HOT, one_hot
from zoo.layers import onnx_graph
from zoo.layers.plain import Convolution, PlainLayers
from zoo.spec import ALPHABET
from zoo_runtimes.kmer.sharing import Layer, Sharing
from zoo_runtimes.kmer.tables import Tables

OPSET = 17
"""Operator set that every ONNX Runtime of the base install can read."""

TENSORS = onnx_graph.Tensors("hidden", "activities", channels_last=True)

SMALL_DIFFERENCE = 1e-6
"""Differences of sums below this are not divided by, as in shap."""

BASES = 8192
"""Bases of a contig that are computed together; they take about ten megabytes."""


class Network:
    """The whole network, with the methods of kernel.Kernel and kernel.Backward; several threads may use it at the same
    time. tables: replace the first layers for predictions, or None."""

    def __init__(self, layers: PlainLayers, tables: Tables | None) -> None:
        self._layers, self.tables = layers, tables
        self._first: Callable[[np.ndarray], np.ndarray] = tables.look_up if tables else one_hot
        self._rest = _onnx_session(layers, tables.plan.convolutions if tables else 0)

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L), without N if there are tables -> activities, float32 (N, T)."""
        return self._rest(self._first(codes))

    def mutants(self, codes: np.ndarray) -> np.ndarray:
        """What each base at each position adds to the activities: uint8 (N, L) -> float32 (N, L, 4, T).

        Only positions that a base can reach are computed again. They are computed in full, where compiled code adds
        differences. No tables are used, so that an N needs no special treatment.
        """
        out = np.empty((*codes.shape, len(ALPHABET), self._layers.shape.targets), np.float32)
        places = np.arange(codes.shape[1])
        bases = np.broadcast_to(np.eye(len(ALPHABET), dtype=np.float32), (len(places), 1, *[len(ALPHABET)] * 2))
        for row, sequence in enumerate(codes):
            out[row] = _effects(self._layers, ONE_HOT[sequence], bases, places)
            out[row, sequence[:, None] == np.arange(len(ALPHABET))] = 0
        return out

    def edits(self, codes: np.ndarray, edited: np.ndarray) -> np.ndarray:
        """Activities of edited sequences, uint8 (N, L), minus those of the sequences that they are made from, uint8 (N,
        L), float32 (N, T), as `mutants` computes them. The bits depend on the widest stretch that changes."""
        out = np.zeros((len(codes), self._layers.shape.targets), np.float32)
        first, last = edits.stretches(codes, edited)
        begins = np.flatnonzero((codes[1:] != codes[:-1]).any(axis=1)) + 1
        for alike in np.split(np.arange(len(codes)), begins):
            rows = alike[first[alike] <= last[alike]]
            if len(rows):
                width = int((last - first)[rows].max()) + 1
                begin = np.minimum(first[rows], codes.shape[1] - width)
                bases = ONE_HOT[edited[rows[:, None], begin[:, None] + np.arange(width)]]
                out[rows] = _effects(self._layers, ONE_HOT[codes[rows[0]]], bases[:, :, None], begin)[:, 0]
        return out

    def contributions(self, codes: np.ndarray, references: np.ndarray, target: int) -> np.ndarray:
        """See contracts.ShorterWays.

        The forward pass keeps the sums of every layer, the backward pass computes multipliers from them. Axes: R
        references, or one sequence; positions; channels.
        """
        out = np.empty((*codes.shape, len(ALPHABET)), np.float32)
        for row, (sequence, others) in enumerate(zip(codes, ONE_HOT[references], strict=True)):
            own, theirs = _sums(self._layers, ONE_HOT[sequence[None]]), _sums(self._layers, others)
            multipliers = _backward(self._layers, own, theirs, target)
            out[row] = (multipliers - (others * multipliers).sum(axis=2, keepdims=True)).mean(axis=0)
        return out

    def gradient(self, codes: np.ndarray, target: int) -> np.ndarray:
        """See contracts.ShorterWays."""
        sums = (_sums(self._layers, ONE_HOT[row[None]]) for row in codes)
        return np.concatenate([_backward(self._layers, row, None, target) for row in sums])


def _onnx_session(layers: PlainLayers, done: int) -> Callable[[np.ndarray], np.ndarray]:
    """The layers after the first `done` convolutions in ONNX Runtime, in the calling thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = onnx_graph.build(layers, TENSORS, OPSET, done).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda hidden: session.run([TENSORS.output], {TENSORS.input: hidden})[0]


def _convolved(layer: Convolution, inputs: np.ndarray) -> np.ndarray:
    """A convolution without padding: (N, positions, ..., in) -> (N, results, pool, ..., out), in the groups that the
    pooling takes the maximum of."""
    results = (inputs.shape[1] - layer.taps + 1) // layer.pool
    sums = np.broadcast_to(layer.bias, (len(inputs), results * layer.pool, *inputs.shape[2:-1], len(layer.bias)))
    for tap, weight in enumerate(layer.weight):
        sums = sums + np.tensordot(inputs[:, tap : tap + results * layer.pool], weight, 1)
    return sums.reshape(len(inputs), results, layer.pool, *sums.shape[2:])


def _effects(layers: PlainLayers, kept: np.ndarray, values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """What stretches that replace bases of one sequence add to its activities, float32 (B, V, T).

    kept: one-hot bases of the sequence, (L, 4).  values: those of the stretches, (B, W, V, 4), B places and V variants
    of each.  first: position at which a stretch begins, (B,).
    """
    for layer, results in zip(layers.convolutions, layers.shape.positions[1:], strict=True):
        reach = (values.shape[1] + layer.taps - 2) // layer.pool + 2
        after = (first + layer.left - layer.taps + 1) // layer.pool
        begin = after * layer.pool - layer.left
        values = _pooled(layer, _replaced(kept, values, first, begin, reach * layer.pool + layer.taps - 1))
        inside = after[:, None] + np.arange(reach)
        values[(inside < 0) | (inside >= results)] = 0
        kept = _pooled(layer, np.pad(kept, ((layer.left, layer.right), (0, 0)))[None, :, None])[0, :, 0]
        first = after
    hidden = _replaced(kept, values, first, np.zeros_like(first), len(kept))
    hidden, own = hidden.transpose(0, 2, 1, 3).reshape(*hidden.shape[::2], -1), kept.reshape(1, -1)
    for matrix in layers.dense:
        hidden, own = (side @ matrix.weight + matrix.bias for side in (hidden, own))
        if matrix.relu:
            hidden, own = np.maximum(hidden, 0), np.maximum(own, 0)
    return hidden - own


def _replaced(kept: np.ndarray, values: np.ndarray, first: np.ndarray, begin: np.ndarray, number: int) -> np.ndarray:
    """`number` positions of a layer from `begin` on, for each place: (B, number, V, channels).

    kept: the layer of the sequence itself, (positions, channels), surrounded by zeros.  values: replace it from
    position `first` on, (B, reach, V, channels), zeros outside the layer.
    """
    positions = begin[:, None] + np.arange(number)
    outside = (positions < 0) | (positions >= len(kept))
    stretch = kept[np.where(outside, 0, positions)]
    stretch[outside] = 0
    stretch = np.repeat(stretch[:, :, None], values.shape[2], axis=2)
    at = (first - begin)[:, None] + np.arange(values.shape[1])
    inside = (at >= 0) & (at < number)
    stretch[np.nonzero(inside)[0], at[inside]] = values[inside]
    return stretch


def _pooled(layer: Convolution, inputs: np.ndarray) -> np.ndarray:
    """Convolution, ReLU and pooling: (B, positions, V, in) -> (B, results, V, out)."""
    return np.maximum(_convolved(layer, inputs).max(axis=2), 0)


def _sums(layers: PlainLayers, hidden: np.ndarray) -> list[np.ndarray]:
    """One-hot bases, (R, L, 4) -> sums of each layer but the head: (R, results, pool, filters), then (R, units)."""
    sums = []
    for layer in layers.convolutions:
        sums.append(_convolved(layer, np.pad(hidden, ((0, 0), (layer.left, layer.right), (0, 0)))))
        hidden = np.maximum(sums[-1].max(axis=2), 0)
    hidden = hidden.reshape(len(hidden), -1)
    for matrix in layers.dense[:-1]:
        sums.append(hidden @ matrix.weight + matrix.bias)
        hidden = np.maximum(sums[-1], 0)
    return sums


def _backward(layers: PlainLayers, own: list[np.ndarray], others: list[np.ndarray] | None, target: int) -> np.ndarray:
    """Multipliers of the bases, float32 (R, L, 4), from the sums of one sequence and of references; without references,
    the derivatives."""
    number = len(others[0]) if others else 1
    others = others or own
    at_limit = others is own
    multipliers = np.broadcast_to(layers.dense[-1].weight[:, target], (number, len(layers.dense[-1].weight)))
    depth = len(layers.convolutions)
    for matrix, a, b in zip(layers.dense[-2::-1], own[: depth - 1 : -1], others[: depth - 1 : -1], strict=True):
        slope = a > 0 if at_limit else _ratio(np.maximum(a, 0) - np.maximum(b, 0), a - b, b > 0)
        multipliers = multipliers * slope @ matrix.weight.T
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
        multipliers = _transposed(layer, sums.reshape(number, -1, sums.shape[3]))
    return multipliers


def _ratio(rise: np.ndarray, difference: np.ndarray, otherwise: np.ndarray | float) -> np.ndarray:
    """rise / difference, and `otherwise` where the difference is small."""
    small = abs(difference) < SMALL_DIFFERENCE
    return np.where(small, otherwise, rise / np.where(small, 1, difference)).astype(np.float32)


def _transposed(layer: Convolution, sums: np.ndarray) -> np.ndarray:
    """Multipliers of a convolution's sums -> multipliers of its inputs, (R, positions, in)."""
    number, length, _ = sums.shape
    padded = np.zeros((number, layer.positions + layer.left + layer.right, layer.weight.shape[1]), np.float32)
    for tap, weight in enumerate(layer.weight):
        padded[:, tap : tap + length] += np.tensordot(sums, weight.T, 1)
    return padded[:, layer.left : layer.left + layer.positions]


class Windows:
    """Overlapping windows of one stride along a contig, as kernel.Windows; several threads may use it at the same time.

    Axes: W windows, R rows of a layer along the contig, C channels; row r of a layer belongs to base r * grid.
    """

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
        """Rows of the first layer, float32 (R, C), and its ends: position -> float32 (W, C)."""
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
        sums = []
        for sum_ in range(position * plan.pool, (position + 1) * plan.pool):
            rows = np.full((len(bases), plan.taps), plan.rows)
            for tap in range(plan.taps):
                below = sum_ - plan.left + tap
                if 0 <= below < len(tables.starts):
                    kmers = _kmers(codes, bases + tables.starts[below], int(tables.lengths[below]))
                    rows[:, tap] = kmers + tables.offsets[below]
            sums.append(self._parts(rows))
        return np.maximum(np.maximum.reduce(sums), 0)

    def _parts(self, rows: np.ndarray) -> np.ndarray:
        """Table rows, (..., taps) -> the sum of the parts of all taps, float32 (..., C)."""
        plan = self._sharing.plan
        parts = self._tables.table.reshape(-1, plan.width)
        return parts[rows * plan.taps + np.arange(plan.taps)].sum(axis=-2)[..., : plan.channels]

    def _planes(self, number: int, pooled: np.ndarray, bases: np.ndarray) -> list[np.ndarray]:
        """Sums of a convolution along the contig: plane k is the bias plus taps k, k + 1, ..., float32 (R, C)."""
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
        """Ends of a layer, from the sums along the contig and the ends of the layer below."""
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
    """The part of one sum that is the same for every window: the bias, and taps that read shared positions, float32
    (W, C)."""
    first = position - layer.left
    planes = [*planes, np.broadcast_to(convolution.bias, planes[0].shape)]
    if position < layer.low * 2:
        return planes[min(max(lower.low - first, 0), layer.taps)]
    return planes[0] - planes[min(max(lower.high - first, 0), layer.taps)] + convolution.bias


def _kmers(codes: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    """Numbers of the k-mers that start at `starts`."""
    kmers = np.zeros(len(starts), np.int64)
    for base in range(length):
        kmers = kmers << 2 | codes[starts + base]
    return kmers
