"""The leading layers of a network compiled into tables over k-mers: which layers fit a budget, the tables, the lookup.

After d rounds of convolution, ReLU and pooling by two, one position is a function of the few bases that it sees, so all
its values fit a table with a row for each k-mer. The convolution that follows is a sum of one row a tap, and its
weights are multiplied into the table beforehand. Where 'same' padding reaches in, a position sees fewer bases and has a
smaller table of its own. Exact up to float32 rounding. A sequence with an N has no k-mers and no place here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import numpy as np

from zoo.errors import ZooError
from zoo.layers.plain import Convolution, PlainLayers, PlainShape
from zoo.spec import ALPHABET
from zoo.system.machine import aligned

POOL = 2
"""Stride and window of the poolings that tables and compiled kernel know."""

BUDGET = 256 * 2**20
"""Bytes that the tables of one model may take, unless the caller says otherwise."""

LANES = 16
"""Floats that each tap's part of a row is padded to a multiple of: a cache line, an AVX-512 register."""

_BITS = 2
"""Bits of one base in the number of a k-mer; the first base is the most significant."""

_CHUNK = 1024
"""k-mers worked on at a time while building: their values stay in the cache, and little memory is needed beside."""


_BLOCK = 16
"""Sequences looked up at a time by NumPy: what it holds in between fits a second-level cache."""


Each = Callable[[Callable[..., None], Iterable[Any]], Iterable[None]]


def one_thread_each() -> AbstractContextManager[object]:
    """While it lasts, a matrix product of NumPy takes the thread that asks for it and no other: several at a time, each
    with threads of its own, would wait for each other most of the time."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1, user_api="blas")


@dataclasses.dataclass(frozen=True)
class Window:
    """Bases that one position sees, [start, stop) of the sequence, and the table row of its k-mer number 0."""

    start: int
    stop: int
    offset: int = 0

    @property
    def rows(self) -> int:
        return len(ALPHABET) ** (self.stop - self.start)

    def within(self, kmers: np.ndarray, stop: int) -> np.ndarray:
        """Numbers of longer k-mers that end at base `stop` -> table rows of the part that lies in this window."""
        return ((kmers >> _BITS * (stop - self.stop)) & (self.rows - 1)) + self.offset


@dataclasses.dataclass(frozen=True)
class Plan:
    """Which layers become tables; costs nothing to make.

    windows: one for each position after `depth` rounds.  rows: of all tables together.  projected: the convolution that
    follows those rounds is multiplied in too, a part of the row for each of its `taps`, then pooled after the lookup.
    """

    depth: int
    projected: bool
    windows: tuple[Window, ...]
    rows: int
    channels: int
    taps: int = 1

    @property
    def width(self) -> int:
        """Floats of one tap's part of a row."""
        return -(-self.channels // LANES) * LANES

    @property
    def bytes(self) -> int:
        return (self.rows + 1) * self.taps * self.width * np.dtype(np.float32).itemsize

    @property
    def convolutions(self) -> int:
        """How many leading convolutions a lookup replaces."""
        return self.depth + self.projected

    @property
    def left(self) -> int:
        """Taps before the one that reads the position itself."""
        return (self.taps - 1) // 2

    @property
    def pool(self) -> int:
        """Sums of rows that one position of the result is the maximum of."""
        return POOL if self.projected else 1

    @property
    def positions(self) -> int:
        """Positions of the result of a lookup."""
        return len(self.windows) // self.pool


def plans(shape: PlainShape) -> list[Plan]:
    """Everything that could be compiled, the fewest layers first."""
    possible = []
    for depth in range(1, len(shape.filters) + 1):
        windows, rows = _windows(shape, depth)
        possible.append(Plan(depth, False, windows, rows, shape.filters[depth - 1]))
        if depth < len(shape.filters):
            possible.append(Plan(depth, True, windows, rows, shape.filters[depth], shape.kernel_sizes[depth]))
    # the same convolutions as one row take a lookup less than as a sum of rows
    return sorted(possible, key=lambda plan: (plan.convolutions, not plan.projected))


def plan(shape: PlainShape, budget: int = BUDGET) -> Plan:
    """The deepest plan whose tables fit `budget` bytes. Raises ZooError with the reason if none does."""
    reason = refuses(shape, budget)
    if reason:
        raise ZooError(f"kmer-cpu: {reason}")
    return [plan for plan in plans(shape) if plan.bytes <= budget][-1]


def refuses(shape: PlainShape, budget: int = BUDGET) -> str | None:
    """Why no plan fits `budget` bytes; None if one does."""
    possible = plans(shape)
    smallest = min(plan.bytes for plan in possible)
    if smallest <= budget:
        return None
    bases = max(window.stop - window.start for window in possible[0].windows)
    return (
        f"this network sees {bases} bases at a time after its first pooling, and tables for that take "
        f"{smallest / 1e6:,.0f} MB where the budget is {budget / 1e6:,.0f} MB; use onnx-cpu"
    )


def _windows(shape: PlainShape, depth: int) -> tuple[tuple[Window, ...], int]:
    """What every position sees after `depth` rounds, and the number of table rows for it.

    Positions away from the ends share a table. A window that padding cuts short has its own, even if another has the
    same length: what was cut off differs.
    """
    windows = [Window(base, base + 1) for base in range(shape.sequence_length)]
    whole = 1
    for below in range(depth):
        windows = _pooled(_convolved(windows, shape.kernel_sizes[below]))
        whole += shape.kernel_sizes[below] * POOL**below
    rows = len(ALPHABET) ** whole if any(window.stop - window.start == whole for window in windows) else 0
    placed = []
    for window in windows:
        if window.stop - window.start == whole:
            placed.append(window)
        else:
            placed.append(dataclasses.replace(window, offset=rows))
            rows += window.rows
    return tuple(placed), rows


def _inputs(position: int, taps: int, positions: int) -> list[tuple[int, int]]:
    """(tap, input position) of the taps of a 'same' convolution that do not fall on padding, from the left."""
    first = position - (taps - 1) // 2
    return [(tap, first + tap) for tap in range(taps) if 0 <= first + tap < positions]


def _convolved(windows: list[Window], taps: int) -> list[Window]:
    inputs = [_inputs(position, taps, len(windows)) for position in range(len(windows))]
    return [Window(windows[seen[0][1]].start, windows[seen[-1][1]].stop) for seen in inputs]


def _pooled(windows: list[Window]) -> list[Window]:
    firsts = range(0, len(windows) - POOL + 1, POOL)
    return [Window(windows[first].start, windows[first + POOL - 1].stop) for first in firsts]


class Tables:
    """The tables of a plan, looked up where they are filled.

    table: float32 (rows + 1, taps * width), 64-byte aligned; the last row is zeros, for taps that fall on padding.
    starts, lengths, offsets: int32 (windows,), where the k-mer of each position lies and its table begins.

    each: does a function to every one of many, such as the `map` of a pool of threads; the bits are the same.
    """

    def __init__(self, layers: PlainLayers, plan: Plan, each: Each = map) -> None:
        self.plan = plan
        self.starts = np.array([window.start for window in plan.windows], np.int32)
        self.lengths = np.array([window.stop - window.start for window in plan.windows], np.int32)
        self.offsets = np.array([window.offset for window in plan.windows], np.int32)
        self.table = aligned(plan.rows + 1, plan.taps * plan.width)
        self.table[-1] = 0
        weight = np.eye(plan.channels, plan.width, dtype=np.float32)[None]
        bias = np.zeros((plan.taps, plan.width), np.float32)
        if plan.projected:
            following = layers.convolutions[plan.depth]
            weight = np.zeros((plan.taps, following.weight.shape[1], plan.width), np.float32)
            weight[:, :, : plan.channels] = following.weight
            # the bias goes into the one tap that never falls on padding
            bias[plan.left, : plan.channels] = following.bias
        self._rows_of = lambda: _Rows(layers, plan.depth, weight, bias, each)
        self._source: _Rows | None = None
        self._empty = np.ones(plan.rows, bool)

    @property
    def whole(self) -> bool:
        """Whether all rows are filled."""
        return not len(self._empty)

    def fill(self, codes: np.ndarray | None = None) -> None:
        """Fill the rows that base codes without N, uint8 (N, L), look up, or all. Rows that are filled stay as they
        are, and others may be looked up meanwhile."""
        if self.whole:
            return
        wanted = self._empty
        if codes is not None:
            wanted = np.zeros_like(self._empty)
            wanted[self.rows(codes)] = True
            wanted &= self._empty
        self._source = self._source or self._rows_of()
        self._source.fill(wanted, self.table)
        self._empty = self._empty & ~wanted if codes is not None else np.empty(0, bool)
        if self.whole:
            self._source = None

    @cached_property
    def _interior(self) -> slice:
        """Positions that share the first table: a run, since only the ends of a sequence cut windows short."""
        inside = np.flatnonzero(self.offsets == 0)
        return slice(int(inside[0]), int(inside[-1]) + 1)

    def rows(self, codes: np.ndarray) -> np.ndarray:
        """Base codes without N, uint8 (N, L) -> table row of each window, int32 (N, windows)."""
        rows = np.zeros((len(codes), len(self.starts)), np.int32)
        inside = self._interior
        stride = POOL**self.plan.depth
        last = (inside.stop - inside.start - 1) * stride
        for base in range(self.lengths[inside.start]):
            first = self.starts[inside.start] + base
            rows[:, inside] = rows[:, inside] << _BITS | codes[:, first : first + last + 1 : stride]
        for position in [*range(inside.start), *range(inside.stop, len(self.starts))]:
            for base in range(self.lengths[position]):
                rows[:, position] = rows[:, position] << _BITS | codes[:, self.starts[position] + base]
        return rows + self.offsets

    def look_up(self, codes: np.ndarray) -> np.ndarray:
        """Base codes without N, uint8 (N, L) -> input of the first layer left, float32 (N, positions, channels)."""
        plan = self.plan
        out = np.empty((len(codes), plan.positions, plan.channels), np.float32)
        for first in range(0, len(codes), _BLOCK):
            part = slice(first, first + _BLOCK)
            sums = self._sums(self.rows(codes[part]))
            pooled = sums.reshape(len(sums), plan.positions, plan.pool, plan.width)[..., : plan.channels].max(axis=2)
            np.maximum(pooled, 0, out=out[part])
        return out

    def _sums(self, rows: np.ndarray) -> np.ndarray:
        """Each tap's part of its row, added up: float32 (N, positions * pool, width)."""
        plan = self.plan
        used = plan.positions * plan.pool
        padded = np.full((len(rows), rows.shape[1] + plan.taps - 1), plan.rows, np.int32)
        padded[:, plan.left : plan.left + rows.shape[1]] = rows
        parts = self.table.reshape(-1, plan.width)
        sums = parts[padded[:, :used] * plan.taps]
        for tap in range(1, plan.taps):
            sums += parts[padded[:, tap : tap + used] * plan.taps + tap]
        return sums


_Sums = list[tuple[Window, np.ndarray]]
"""For each position that is pooled, the bases it sees and its values for their k-mers, float32 (k-mers, channels)."""


class _Rows:
    """Computes table rows: the values after `depth` rounds, for each tap times a weight, float32 (taps, in, out), and
    plus a bias (taps, out). See Tables for `each`."""

    def __init__(self, layers: PlainLayers, depth: int, weight: np.ndarray, bias: np.ndarray, each: Each) -> None:
        self._matrix = np.ascontiguousarray(weight.transpose(1, 0, 2)).reshape(weight.shape[1], -1)
        self._bias, self._each = bias.reshape(-1), each
        convolution = layers.convolutions[depth - 1]
        below, below_rows = _windows(layers.shape, depth - 1)
        parts = np.ascontiguousarray(convolution.weight.transpose(1, 0, 2))
        if depth > 1:
            parts = np.empty((below_rows, convolution.taps, convolution.bias.size), np.float32)
            none = np.zeros(parts.shape[1:], np.float32)
            under = _Rows(layers, depth - 1, convolution.weight, none, each)
            under.fill(np.ones(below_rows, bool), parts.reshape(below_rows, -1))
        # of those that share a table one window, and its sums before the pooling
        self._tables: dict[int, tuple[Window, _Sums]] = {}
        made: dict[tuple[tuple[int, ...], ...], np.ndarray] = {}
        for position, window in enumerate(_windows(layers.shape, depth)[0]):
            if window.offset not in self._tables:
                sums = [_summed(convolution, below, parts, POOL * position + shift, made) for shift in range(POOL)]
                self._tables[window.offset] = window, sums

    def fill(self, wanted: np.ndarray, out: np.ndarray) -> None:
        """Write the rows of `out` that are wanted, bool (rows,)."""

        def blocks() -> Iterator[tuple[Window, _Sums, np.ndarray]]:
            for window, sums in self._tables.values():
                kmers = np.flatnonzero(wanted[window.offset : window.offset + window.rows])
                for block in _blocks(kmers):
                    yield window, sums, block

        def fill_block(one: tuple[Window, _Sums, np.ndarray]) -> None:
            window, sums, kmers = one
            places = kmers % _CHUNK
            whole = np.zeros(_CHUNK, np.intp)
            whole[places] = kmers
            product = np.matmul(_largest(sums, whole, window.stop), self._matrix)
            out[kmers + window.offset] = product[places] + self._bias

        # products of several threads give other bits with other numbers of them
        with one_thread_each():
            for _ in self._each(fill_block, blocks()):
                pass


def _blocks(kmers: np.ndarray) -> list[np.ndarray]:
    """Numbers of k-mers in ascending order -> the same in blocks in which each has the place that it has in a block of
    all: a matrix product may add up the rows of other places in another order, and so give them other last bits."""
    places = kmers % _CHUNK
    order = np.argsort(places, kind="stable")
    firsts = np.searchsorted(places[order], places)
    before = np.empty(len(kmers), np.intp)
    before[order] = np.arange(len(kmers))
    number = before - firsts
    return [kmers[number == one] for one in range(number.max(initial=-1) + 1)]


def _largest(sums: _Sums, kmers: np.ndarray, stop: int) -> np.ndarray:
    """Pooled sums of k-mers that end at base `stop`, after the ReLU."""
    pooled, other = np.empty((2, len(kmers), sums[0][1].shape[1]), np.float32)
    for number, (seen, values) in enumerate(sums):
        # "clip" never clips here; it spares NumPy a copy, which "raise" makes
        np.take(values, seen.within(kmers, stop), 0, other if number else pooled, "clip")
        if number:
            np.maximum(pooled, other, out=pooled)
    return np.maximum(pooled, 0, out=pooled)


def _summed(
    convolution: Convolution,
    below: tuple[Window, ...],
    parts: np.ndarray,
    position: int,
    made: dict[tuple[tuple[int, ...], ...], np.ndarray],
) -> tuple[Window, np.ndarray]:
    """The convolution at one position: the bases it sees, and its values for their k-mers, float32 (k-mers, out).

    Grown from the left, a tap at a time, so that all but the last sums are over short k-mers. made: those of positions
    that see as much, which have the same.
    """
    inputs = _inputs(position, convolution.taps, len(below))
    start, last = below[inputs[0][1]].start, below[inputs[-1][1]].stop
    key = tuple((tap, below[index].offset, below[index].stop - start) for tap, index in inputs)
    if key in made:
        return Window(start, last), made[key]
    stop, sums = start, convolution.bias[None]
    for tap, index in inputs:
        seen = below[index]
        stretch = len(ALPHABET) ** (seen.stop - stop)
        stop = seen.stop
        grown = parts[seen.within(np.arange(len(sums) * stretch), stop), tap]
        grown.reshape(len(sums), stretch, -1)[:] += sums[:, None]
        sums = grown
    made[key] = sums
    return Window(start, last), sums
