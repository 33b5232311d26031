"""The leading layers of a network compiled into tables over k-mers: which layers fit a budget, the tables, the lookup.

After d rounds of convolution, ReLU and pooling by two, a position is a function of the few bases that it sees, so a
table with a row for each k-mer holds all its values. The next convolution is then a sum of one row for each tap, with
its weights multiplied into the table beforehand. Positions near the ends see fewer bases, because of 'same' padding,
and have smaller tables of their own. Exact up to float32 rounding. Sequences with an N have no k-mers.
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
"""Stride and window of the poolings that the tables and the compiled kernel support."""

BUDGET = 256 * 2**20
"""Default maximum size of the tables of a model, in bytes."""

LANES = 16
"""The part of a row for one tap is padded to a multiple of this many floats: a cache line, an AVX-512 register."""

_BITS = 2
"""Bits of one base in the number of a k-mer; the first base is the most significant."""

_CHUNK = 1024
"""k-mers whose rows are built together: their values stay in the cache and take little memory."""

_VALUES = 1 << 16
"""Numbers that are summed together: they stay in the second-level cache."""

_BLOCK = 16
"""Sequences that NumPy looks up together: intermediate results fit a second-level cache."""

Each = Callable[[Callable[..., None], Iterable[Any]], Iterable[None]]


def one_thread_each() -> AbstractContextManager[object]:
    """Within this context, a matrix product of NumPy uses only the calling thread: several products at a time,
    each with threads of its own, would mostly wait for each other."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1, user_api="blas")


@dataclasses.dataclass(frozen=True)
class Window:
    """Bases that one position sees, [start, stop) of the sequence, and the table row of k-mer number 0."""

    start: int
    stop: int
    offset: int = 0

    @property
    def rows(self) -> int:
        return len(ALPHABET) ** (self.stop - self.start)

    def within(self, kmers: np.ndarray, stop: int) -> np.ndarray:
        """Numbers of longer k-mers that end at base `stop` -> table rows of the part inside this window."""
        return ((kmers >> _BITS * (stop - self.stop)) & (self.rows - 1)) + self.offset


@dataclasses.dataclass(frozen=True)
class Plan:
    """Which layers become tables.

    depth: rounds of convolution, ReLU and pooling.  windows: one for each position after them.  rows: their number in
    all tables together.  projected: the next convolution is multiplied in as well, one part of a row for each of its
    `taps`; sums are then pooled after the lookup.  channels: their number in the result.
    """

    depth: int
    projected: bool
    windows: tuple[Window, ...]
    rows: int
    channels: int
    taps: int = 1

    @property
    def width(self) -> int:
        """Floats in the part of a row for one tap."""
        return -(-self.channels // LANES) * LANES

    @property
    def bytes(self) -> int:
        return (self.rows + 1) * self.taps * self.width * np.dtype(np.float32).itemsize

    @property
    def convolutions(self) -> int:
        """Number of leading convolutions that a lookup replaces."""
        return self.depth + self.projected

    @property
    def left(self) -> int:
        """Taps before the one that reads the position."""
        return (self.taps - 1) // 2

    @property
    def pool(self) -> int:
        """Number of sums of rows whose maximum is one position of the result."""
        return POOL if self.projected else 1

    @property
    def positions(self) -> int:
        """Number of positions in the result of a lookup."""
        return len(self.windows) // self.pool


def plans(shape: PlainShape) -> list[Plan]:
    """All possible plans, the fewest layers first."""
    possible = []
    for depth in range(1, len(shape.filters) + 1):
        windows, rows = _windows(shape, depth)
        possible.append(Plan(depth, False, windows, rows, shape.filters[depth - 1]))
        if depth < len(shape.filters):
            possible.append(Plan(depth, True, windows, rows, shape.filters[depth], shape.kernel_sizes[depth]))
    # for the same convolutions, one row is a faster lookup than a sum of rows
    return sorted(possible, key=lambda plan: (plan.convolutions, not plan.projected))


def plan(shape: PlainShape, budget: int = BUDGET) -> Plan:
    """The deepest plan whose tables fit `budget` bytes. Raises ZooError if none does."""
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
        f"expected tables of at most {budget / 1e6:,.0f} MB, got {smallest / 1e6:,.0f} MB, since a position after the "
        f"first pooling of this network sees {bases} bases; use onnx-cpu"
    )


def _windows(shape: PlainShape, depth: int) -> tuple[tuple[Window, ...], int]:
    """The bases that every position sees after `depth` rounds, and the number of table rows for all of them.

    Positions away from the ends share a table. A window that padding cuts short has its own, even if another has the
    same length, since another part of it is cut off.
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
    """(tap, input position) of the taps of a 'same' convolution that do not read padding, from the left."""
    first = position - (taps - 1) // 2
    return [(tap, first + tap) for tap in range(taps) if 0 <= first + tap < positions]


def _convolved(windows: list[Window], taps: int) -> list[Window]:
    inputs = [_inputs(position, taps, len(windows)) for position in range(len(windows))]
    return [Window(windows[seen[0][1]].start, windows[seen[-1][1]].stop) for seen in inputs]


def _pooled(windows: list[Window]) -> list[Window]:
    firsts = range(0, len(windows) - POOL + 1, POOL)
    return [Window(windows[first].start, windows[first + POOL - 1].stop) for first in firsts]


class Tables:
    """The tables of a plan; rows are filled when they are needed.

    table: float32 (rows + 1, taps * width), 64-byte aligned; the last row is zeros, for taps that read padding.
    starts, lengths, offsets: int32 (windows,), the k-mer of each position and the first row of its table.

    each: calls a function for every item, such as `map`, or that of a pool of threads; the bits are the same.
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
            # the bias is added to the one tap that never reads padding
            bias[plan.left, : plan.channels] = following.bias
        self._rows_of: Callable[[], _Rows] = lambda: _Rows(layers, plan.depth, weight, bias, each)
        self._source: _Rows | None = None
        self._empty = np.ones(plan.rows, bool)

    @property
    def whole(self) -> bool:
        """Whether all rows are filled."""
        return not len(self._empty)

    def fill(self, codes: np.ndarray | None = None) -> None:
        """Fill the rows that base codes without N, uint8 (N, L), look up, or all rows. Filled rows do not change, so
        that other threads may look them up meanwhile."""
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
        """Base codes without N, uint8 (N, L) -> input of the next layer, float32 (N, positions, channels)."""
        plan = self.plan
        out = np.empty((len(codes), plan.positions, plan.channels), np.float32)
        for first in range(0, len(codes), _BLOCK):
            part = slice(first, first + _BLOCK)
            sums = self._sums(self.rows(codes[part]))
            pooled = sums.reshape(len(sums), plan.positions, plan.pool, plan.width)[..., : plan.channels].max(axis=2)
            np.maximum(pooled, 0, out=out[part])
        return out

    def _sums(self, rows: np.ndarray) -> np.ndarray:
        """The sum over all taps of their parts of a row: float32 (N, positions * pool, width)."""
        plan = self.plan
        used = plan.positions * plan.pool
        padded = np.full((len(rows), rows.shape[1] + plan.taps - 1), plan.rows, np.int32)
        padded[:, plan.left : plan.left + rows.shape[1]] = rows
        parts = self.table.reshape(-1, plan.width)
        sums = parts[padded[:, :used] * plan.taps]
        for tap in range(1, plan.taps):
            sums += parts[padded[:, tap : tap + used] * plan.taps + tap]
        return sums


@dataclasses.dataclass(frozen=True)
class _Sum:
    """A convolution at one position, for all k-mers: a sum over its taps, of which the last is still to be added.

    The sum over all taps would take several times as much memory, and is needed for a block of k-mers at a time.

    before: bases that the other taps see.  sums: float32 (k-mers of these bases, channels).
    seen: bases that the last tap sees.  parts: float32 (rows * taps, channels), what each tap adds.
    """

    before: Window
    sums: np.ndarray
    seen: Window
    parts: np.ndarray
    tap: int
    taps: int

    def values(self, kmers: np.ndarray, stop: int, out: np.ndarray, spare: np.ndarray) -> None:
        """Write the values of k-mers that end at base `stop`, float32 (k-mers, channels), to `out`."""
        # no index is out of bounds; "clip" saves the copy that "raise" makes
        np.take(self.sums, self.before.within(kmers, stop), 0, out, "clip")
        np.take(self.parts, self.seen.within(kmers, stop) * self.taps + self.tap, 0, spare, "clip")
        out += spare


_Sums = list[_Sum]
"""For each position before a pooling, its values."""


class _Rows:
    """Computes table rows: for each tap, the values after `depth` rounds times a weight, float32 (taps, in, out), plus
    a bias (taps, out). See Tables for `each`."""

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
        # for each table, one of its windows, and the sums before the pooling
        self._tables: dict[int, tuple[Window, _Sums]] = {}
        made: dict[tuple[tuple[int, ...], ...], np.ndarray] = {(): convolution.bias[None]}
        for position, window in enumerate(_windows(layers.shape, depth)[0]):
            if window.offset not in self._tables:
                sums = [_summed(convolution, below, parts, POOL * position + shift, made) for shift in range(POOL)]
                self._tables[window.offset] = window, sums

    def fill(self, wanted: np.ndarray, out: np.ndarray) -> None:
        """Write those rows of `out` for which `wanted`, bool (rows,), is true."""

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
            product += self._bias
            out[kmers + window.offset] = product[places]

        # the bits of a matrix product of several threads depend on their number
        with one_thread_each():
            for _ in self._each(fill_block, blocks()):
                pass


def _blocks(kmers: np.ndarray) -> list[np.ndarray]:
    """Divide numbers of k-mers, in ascending order, into blocks in which each keeps its place in a block of all k-mers.

    A matrix product may add up a row at another place in another order, with other last bits.
    """
    places = kmers % _CHUNK
    order = np.argsort(places, kind="stable")
    firsts = np.searchsorted(places[order], places)
    before = np.empty(len(kmers), np.intp)
    before[order] = np.arange(len(kmers))
    number = before - firsts
    return [kmers[number == one] for one in range(number.max(initial=-1) + 1)]


def _largest(sums: _Sums, kmers: np.ndarray, stop: int) -> np.ndarray:
    """Pooled sums of k-mers that end at base `stop`, after the ReLU."""
    largest = np.zeros((len(kmers), sums[0].sums.shape[1]), np.float32)
    size = -(-_VALUES // largest.shape[1])
    for first in range(0, len(kmers), size):
        part = kmers[first : first + size]
        most, other, spare = largest[first : first + size], *np.empty((2, len(part), largest.shape[1]), np.float32)
        for one in sums:
            one.values(part, stop, other, spare)
            np.maximum(most, other, out=most)
    return largest


def _summed(
    convolution: Convolution,
    below: tuple[Window, ...],
    parts: np.ndarray,
    position: int,
    made: dict[tuple[tuple[int, ...], ...], np.ndarray],
) -> _Sum:
    """The convolution at one position.

    The sums grow from the left, one tap at a time, so that all but the last are over short k-mers. made: values of
    earlier positions, which are reused for positions that see the same.
    """
    inputs = _inputs(position, convolution.taps, len(below))
    start = stop = below[inputs[0][1]].start
    key: tuple[tuple[int, ...], ...] = ()
    for tap, index in inputs[:-1]:
        seen, sums = below[index], made[key]
        key = (*key, (tap, seen.offset, seen.stop - start))
        if key not in made:
            stretch = len(ALPHABET) ** (seen.stop - stop)
            made[key] = parts[seen.within(np.arange(len(sums) * stretch), seen.stop), tap]
            made[key].reshape(len(sums), stretch, -1)[:] += sums[:, None]
        stop = seen.stop
    tap, index = inputs[-1]
    return _Sum(Window(start, stop), made[key], below[index], parts.reshape(-1, parts.shape[2]), tap, convolution.taps)
