"""What overlapping windows have in common: which positions of a layer, how far rows are needed, what it saves.

_windows.h explains the scheme; this file finds its numbers for a network, tables and a stride, and counts operations,
so that work is shared where that is less. Bases are counted from the start of a window, positions from the left.
"""

from __future__ import annotations

import dataclasses
import math
from functools import cached_property

import numpy as np

from zoo.layers.plain import Dense, PlainLayers, PlainShape
from zoo_runtimes.kmer import sliding, tables
from zoo_runtimes.kmer.tables import POOL

TOGETHER = 12
"""Steps and blocks are multiples of this many windows: of TOGETHER in _program.h, and of the rows of a tile."""

BLOCK_WINDOWS, BLOCK_ROWS = 768, 4096
"""Windows and rows of the last layer for which the matrices are multiplied at once: enough for weights to be used
often, few enough for a second-level cache."""

STEP_WINDOWS, STEP_BASES = 96, 1536
"""Windows and bases of a step along the contig, whose rows fit a second-level cache."""

MOST_INPUTS, MOST_LAYERS = 2**16, 16
"""Inputs of a matrix whose numbers compiled code can list, and layers that it has room for."""

COST = 1.2
"""How much longer an operation takes where work is shared, since sums are written and read in between: measured on the
published networks at strides from 7 to 144, with AVX-512 and AVX2 alike."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution and its pooling, or what tables replace.

    low, high: positions [low, high) are the same for every window; `positions` is their number.  depth: poolings down
    to here.  channels.  taps, left: of the convolution, and those before the one that reads the position itself.
    """

    depth: int
    low: int
    high: int
    positions: int
    channels: int
    taps: int
    left: int

    @property
    def scale(self) -> int:
        """Bases from one position to the next."""
        return POOL**self.depth

    @property
    def sum_scale(self) -> int:
        """The same before the pooling."""
        return self.scale // POOL

    @property
    def right(self) -> int:
        """Taps after the one that reads the position itself."""
        return self.taps - 1 - self.left

    @property
    def ends(self) -> list[int]:
        """Positions that feel an end of the window."""
        return [*range(self.low), *range(self.high, self.positions)]


def layers_of(shape: PlainShape, plan: tables.Plan) -> list[Layer] | None:
    """The layers from the tables on; None where the scheme does not hold: no position is the same for every window, or
    one feels both ends."""
    low, high = 0, shape.sequence_length
    found = []
    for depth, (taps, channels) in enumerate(zip(shape.kernel_sizes, shape.filters, strict=True), 1):
        left = (taps - 1) // 2
        below_low, below_high, before = low, high, shape.positions[depth - 1]
        low = -(-(low + left) // POOL)
        high = (high - (taps - 1 - left)) // POOL
        positions = shape.positions[depth]
        # the last sum near the left end must not read near the right end, nor the other way round
        apart = POOL * low - 1 - left + taps - 1 < below_high and POOL * high - left >= below_low
        if low >= high or not apart or before < POOL:
            return None
        layer = Layer(depth, low, high, positions, channels, taps, left)
        if depth == plan.convolutions and not plan.projected:
            layer = dataclasses.replace(layer, taps=1, left=0)
        if depth >= plan.convolutions:
            found.append(layer)
    return found


@dataclasses.dataclass(frozen=True)
class Sharing:
    """How windows `stride` bases apart share their work."""

    layers: tuple[Layer, ...]
    plan: tables.Plan
    dense: tuple[Dense, ...]
    stride: int

    @cached_property
    def fronts(self) -> list[tuple[int, int]]:
        """For each layer the last base, from the start of the last window, at which sums and pooled rows are needed."""
        top = self.layers[-1]
        found = []
        front = top.scale * (top.high - 1)
        for number in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[number]
            sums = front + layer.sum_scale
            if number:
                # ends begin with the shared sums at their own places
                sums = max(sums, *(layer.sum_scale * (POOL * end + POOL - 1) for end in layer.ends), 0)
            found.append((sums, front))
            front = sums + layer.sum_scale * layer.right
        return found[::-1]

    @cached_property
    def lead(self) -> int:
        """Windows whose left ends can be made before the last window of a step is whole."""
        spare = [
            sums - layer.sum_scale * (POOL * layer.low - 1)
            for layer, (sums, _) in zip(self.layers[1:], self.fronts[1:], strict=True)
            if layer.low
        ]
        return min(spare, default=0) // self.stride // TOGETHER * TOGETHER

    def grid(self, scale: int) -> int:
        """Bases between the rows of a layer whose positions lie `scale` bases apart."""
        return math.gcd(scale, self.stride)

    @cached_property
    def run(self) -> int:
        """Windows that lie between two which share rows of the last layer, one tap apart; 0 where none do."""
        top = self.layers[-1]
        return top.scale // self.stride if top.scale % self.stride == 0 else 0

    @cached_property
    def products(self) -> sliding.Products:
        """Products of the first matrix with the positions that all windows share."""
        top = self.layers[-1]
        weights = [*self.dense[0].weight.astype(np.float64).reshape(top.positions, top.channels, -1)]
        weights = weights[top.low : top.high]
        return sliding.fastest(weights, BLOCK_WINDOWS // self.run) if self.run else sliding.one_by_one(weights)

    @property
    def group(self) -> int:
        """Windows that the products serve together."""
        return self.products.group * max(self.run, 1)

    @cached_property
    def block(self) -> int:
        """Windows for which the matrices are multiplied at once."""
        unit = math.lcm(self.group, TOGETHER)
        top = self.layers[-1]
        most = min(BLOCK_WINDOWS, BLOCK_ROWS * self.grid(top.scale) // self.stride)
        return unit * max(1, most // unit)

    @cached_property
    def step(self) -> int:
        """Windows of a step along the contig: a whole number of steps is a block."""
        most = max(TOGETHER, min(STEP_WINDOWS, STEP_BASES // self.stride))
        return max(size for size in range(TOGETHER, most + 1, TOGETHER) if self.block % size == 0)

    @cached_property
    def before(self) -> int:
        """Bases that are read before the first window, whatever they are."""
        first = self.layers[0]
        return first.left * first.sum_scale + self.kmer_left

    def after(self, windows: int) -> int:
        """Bases that are read from the start of the first of so many windows on."""
        whole = -(-windows // self.block) * self.block
        first, (sums, front) = self.layers[0], self.fronts[0]
        reach = (sums + first.right * first.sum_scale if self.plan.projected else front) + self.kmer_length
        length = max(window.stop for window in self.plan.windows)
        return max((whole - 1) * self.stride + reach, (whole + self.lead) * self.stride + length)

    def padded(self, codes: np.ndarray, windows: int) -> np.ndarray:
        """A copy of base codes from the start of the first window on, with all that is read around so many windows."""
        whole = np.zeros(self.before + self.after(windows), np.uint8)
        whole[self.before :][: len(codes)] = codes[: len(whole) - self.before]
        return whole

    @cached_property
    def _kmer(self) -> tuple[int, int]:
        inside = next(number for number, window in enumerate(self.plan.windows) if window.offset == 0)
        window = self.plan.windows[inside]
        return window.stop - window.start, inside * POOL**self.plan.depth - window.start

    @property
    def kmer_length(self) -> int:
        """Bases of a k-mer of the first table."""
        return self._kmer[0]

    @property
    def kmer_left(self) -> int:
        """How many of them lie left of the base of its position."""
        return self._kmer[1]

    @cached_property
    def operations(self) -> float:
        """Additions and multiplications a window, what ReLU leaves at zero included."""
        first, top = self.layers[0], self.layers[-1]
        sums = self.stride / self.grid(first.sum_scale if self.plan.projected else first.scale)
        total = (sums + POOL * len(first.ends)) * self.plan.taps * first.channels
        for lower, layer in zip(self.layers, self.layers[1:], strict=False):
            pairs = self.stride / self.grid(layer.sum_scale) * layer.taps + _taps_on_ends(layer, lower)
            total += 2 * pairs * lower.channels * layer.channels
        units = self.dense[0].bias.size
        total += 2 * len(top.ends) * top.channels * units + self.products.operations(top.channels, units)
        return total + sum(2 * matrix.weight.size for matrix in self.dense[1:])

    @cached_property
    def operations_one_by_one(self) -> float:
        """The same for windows that share nothing but the tables."""
        first = self.layers[0]
        total = float(first.positions * self.plan.pool * self.plan.taps * first.channels)
        for lower, layer in zip(self.layers, self.layers[1:], strict=False):
            total += 2 * POOL * layer.positions * layer.taps * lower.channels * layer.channels
        return total + sum(2 * matrix.weight.size for matrix in self.dense)

    def pays(self, windows: int) -> bool:
        """Whether sharing is less work for so many consecutive windows."""
        length = self.layers[0].scale * self.layers[0].positions
        whole = -(-windows // self.block) * self.block + length / self.stride
        return COST * whole * self.operations < windows * self.operations_one_by_one


def _taps_on_ends(layer: Layer, lower: Layer) -> int:
    """How often a tap of the sums near the ends reads a position that feels an end itself."""
    ends = set(lower.ends)
    firsts = (POOL * end + half - layer.left for end in layer.ends for half in range(POOL))
    return sum(first + tap in ends for first in firsts for tap in range(layer.taps))


def sharing(layers: PlainLayers, plan: tables.Plan, stride: int) -> Sharing | None:
    """How windows of a network share their work; None where the scheme does not hold."""
    found = layers_of(layers.shape, plan)
    inputs = [*layers.shape.filters, *(len(matrix.weight) for matrix in layers.dense[1:])]
    if found is None or len(found) > MOST_LAYERS or max(inputs) > MOST_INPUTS:
        return None
    return Sharing(tuple(found), plan, layers.dense, stride)
