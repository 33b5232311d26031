"""What overlapping windows share: positions of a layer, rows of matrices, and the operations that this saves.

_windows.h explains the scheme; this file finds its numbers for a network, its tables and a stride. Bases are counted
from the start of a window, positions from the left.

The first matrix of a network takes some positions ("taps") of the last layer, and the next window takes the same rows
one tap later. This is a convolution whose coefficients are matrices. Fast algorithms for short convolutions
(S. Winograd, Arithmetic Complexity of Computations, 1980; here Karatsuba's halving and F(2, 3)) compute neighbouring
windows together: each product has a sum of weights, reads a sum of rows, and is added to several windows.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np

from zoo.layers.plain import Dense, PlainLayers, PlainShape
from zoo_runtimes.kmer.tables import POOL, Plan

TOGETHER = 12
"""Steps and blocks are multiples of this many windows, which is a multiple of TOGETHER in _program.h and of the rows of
a tile."""

BLOCK_WINDOWS, BLOCK_ROWS = 768, 4096
"""Windows, and rows of the last layer, that are multiplied by the matrices together: enough to use weights often, few
enough for a second-level cache."""

STEP_WINDOWS, STEP_BASES = 96, 1536
"""Windows and bases of a step along the contig, whose rows fit a second-level cache."""

MOST_INPUTS, MOST_LAYERS = 2**16, 16
"""Limits of compiled code: inputs of a matrix, and layers."""

COST = 1.2
"""How much longer an operation takes if work is shared, since sums are written and read again. Measured on the
published networks at strides from 7 to 144, with AVX-512 and AVX2."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution and its pooling, or the layers that tables replace.

    depth: number of poolings up to this layer.  low, high: the positions [low, high) are the same for every window.
    positions: number in the layer. taps: number in the convolution; `left` of them come before the one that reads the
    position.
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
        """Bases from one position to the next before the pooling."""
        return self.scale // POOL

    @property
    def right(self) -> int:
        """Taps after the one that reads the position itself."""
        return self.taps - 1 - self.left

    @property
    def ends(self) -> list[int]:
        """Positions that depend on an end of the window."""
        return [*range(self.low), *range(self.high, self.positions)]


def layers_of(shape: PlainShape, plan: Plan) -> list[Layer] | None:
    """The layers from the tables on. None if the scheme does not apply: no position is the same for every window, or
    one depends on both ends."""
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


Combination = Mapping[int, float]
"""Offset -> factor."""


@dataclasses.dataclass(frozen=True)
class Product:
    """weight: float64 (in, out).  inputs: tap, relative to that of the window -> factor.  sums: factor in each sum."""

    weight: np.ndarray
    inputs: Combination
    sums: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Bundle:
    """Products that add up to one sum or two.  outputs: for each sum, window -> factor."""

    products: tuple[Product, ...]
    outputs: tuple[Combination, ...]


@dataclasses.dataclass(frozen=True)
class Products:
    """All products for `group` neighbouring windows, one tap apart."""

    bundles: tuple[Bundle, ...]
    group: int

    def operations(self, inputs: int, outputs: int) -> float:
        """Multiplications and additions for each window, with rows of `inputs` numbers and `outputs` results."""
        total = 0
        for bundle in self.bundles:
            for product in bundle.products:
                total += 2 * inputs * (outputs + len(product.inputs)) + 2 * outputs * len(bundle.outputs)
            total += 2 * outputs * sum(len(windows) for windows in bundle.outputs)
        return total / self.group


@dataclasses.dataclass(frozen=True)
class _Part:
    """Matrices of taps that are `apart` taps from each other, the rows that they read, the windows that they add to."""

    weights: Sequence[np.ndarray]
    inputs: Combination
    outputs: Combination
    apart: int


@dataclasses.dataclass(frozen=True)
class Sharing:
    """How windows `stride` bases apart share their work."""

    layers: tuple[Layer, ...]
    plan: Plan
    dense: tuple[Dense, ...]
    stride: int

    @cached_property
    def fronts(self) -> list[tuple[int, int]]:
        """For each layer, the last base whose sums are needed, and the last whose pooled rows are needed, both from the
        start of the last window."""
        top = self.layers[-1]
        found = []
        front = top.scale * (top.high - 1)
        for number in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[number]
            sums = front + layer.sum_scale
            if number:
                # the ends start from the shared sums at their own positions
                sums = max(sums, *(layer.sum_scale * (POOL * end + POOL - 1) for end in layer.ends), 0)
            found.append((sums, front))
            front = sums + layer.sum_scale * layer.right
        return found[::-1]

    @cached_property
    def lead(self) -> int:
        """Number of windows whose left ends can be computed before all bases of the last window of a step are known."""
        spare = [
            sums - layer.sum_scale * (POOL * layer.low - 1)
            for layer, (sums, _) in zip(self.layers[1:], self.fronts[1:], strict=True)
            if layer.low
        ]
        return min(spare, default=0) // self.stride // TOGETHER * TOGETHER

    def grid(self, scale: int) -> int:
        """Bases between the rows of a layer whose positions are `scale` bases apart."""
        return math.gcd(scale, self.stride)

    @cached_property
    def run(self) -> int:
        """Distance in windows to the one that reads the same rows of the last layer, one tap later; 0 if none does."""
        top = self.layers[-1]
        return top.scale // self.stride if top.scale % self.stride == 0 else 0

    @cached_property
    def products(self) -> Products:
        """Products of the first matrix with the positions that are the same for all windows."""
        top = self.layers[-1]
        weights = [*self.dense[0].weight.astype(np.float64).reshape(top.positions, top.channels, -1)]
        weights = weights[top.low : top.high]
        return fastest(weights, BLOCK_WINDOWS // self.run) if self.run else one_by_one(weights)

    @property
    def group(self) -> int:
        """Windows that the products compute together."""
        return self.products.group * max(self.run, 1)

    @cached_property
    def block(self) -> int:
        """Windows that are multiplied by the matrices together."""
        unit = math.lcm(self.group, TOGETHER)
        top = self.layers[-1]
        most = min(BLOCK_WINDOWS, BLOCK_ROWS * self.grid(top.scale) // self.stride)
        return unit * max(1, most // unit)

    @cached_property
    def step(self) -> int:
        """Windows of a step along the contig; a block is a whole number of steps."""
        most = max(TOGETHER, min(STEP_WINDOWS, STEP_BASES // self.stride))
        return max(size for size in range(TOGETHER, most + 1, TOGETHER) if self.block % size == 0)

    @cached_property
    def before(self) -> int:
        """Number of bases that are read before the first window; their values do not matter."""
        first = self.layers[0]
        return first.left * first.sum_scale + self.kmer_left

    def after(self, windows: int) -> int:
        """Number of bases, from the start of the first window, that are read for `windows` windows."""
        whole = -(-windows // self.block) * self.block
        first, (sums, front) = self.layers[0], self.fronts[0]
        reach = (sums + first.right * first.sum_scale if self.plan.projected else front) + self.kmer_length
        length = max(window.stop for window in self.plan.windows)
        return max((whole - 1) * self.stride + reach, (whole + self.lead) * self.stride + length)

    def padded(self, codes: np.ndarray, windows: int) -> np.ndarray:
        """A copy of base codes from the start of the first window, long enough on both sides for `windows` windows."""
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
        """Number of bases of this k-mer before the base of its position."""
        return self._kmer[1]

    @cached_property
    def operations(self) -> float:
        """Additions and multiplications for each window, zeros after a ReLU included."""
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
        """The same for windows that share only the tables."""
        first = self.layers[0]
        total = float(first.positions * self.plan.pool * self.plan.taps * first.channels)
        for lower, layer in zip(self.layers, self.layers[1:], strict=False):
            total += 2 * POOL * layer.positions * layer.taps * lower.channels * layer.channels
        return total + sum(2 * matrix.weight.size for matrix in self.dense)

    def pays(self, windows: int) -> bool:
        """Whether sharing takes less time for this number of consecutive windows."""
        length = self.layers[0].scale * self.layers[0].positions
        whole = -(-windows // self.block) * self.block + length / self.stride
        return COST * whole * self.operations < windows * self.operations_one_by_one


def _taps_on_ends(layer: Layer, lower: Layer) -> int:
    """Number of taps near the ends that read a position which itself depends on an end."""
    ends = set(lower.ends)
    firsts = (POOL * end + half - layer.left for end in layer.ends for half in range(POOL))
    return sum(first + tap in ends for first in firsts for tap in range(layer.taps))


def sharing(layers: PlainLayers, plan: Plan, stride: int) -> Sharing | None:
    """How windows of a network share their work; None if the scheme does not apply."""
    found = layers_of(layers.shape, plan)
    inputs = [*layers.shape.filters, *(len(matrix.weight) for matrix in layers.dense[1:])]
    if found is None or len(found) > MOST_LAYERS or max(inputs) > MOST_INPUTS:
        return None
    return Sharing(tuple(found), plan, layers.dense, stride)


def one_by_one(weights: Sequence[np.ndarray]) -> Products:
    """One product for each tap; windows need not be one tap apart."""
    return _products(weights, 0, _each_tap)


def fastest(weights: Sequence[np.ndarray], most: int) -> Products:
    """The products with the fewest operations for at most `most` windows together. weights: (in, out) for each tap."""
    # the best algorithm depends on the number of taps alone, so that it is found with numbers instead of matrices
    numbers = [np.full((1, 1), tap + 1.0) for tap in range(len(weights))]
    inputs, outputs = weights[0].shape
    algorithms = [(halvings, last) for halvings in range(5) for last in (_each_tap, _two_of_three)]
    possible = [one for one in algorithms if _products(numbers, *one).group <= most]
    return _products(weights, *min(possible, key=lambda one: _products(numbers, *one).operations(inputs, outputs)))


def _products(weights: Sequence[np.ndarray], halvings: int, last: Callable[[_Part], Bundle]) -> Products:
    """Halve the taps `halvings` times, then apply `last`. Taps of zeros make their number fit; their products are left
    out."""
    whole = 2**halvings * (3 if last is _two_of_three else 1)
    filled = [*weights, *[np.zeros_like(weights[0])] * (-len(weights) % whole)]
    parts = [_Part(filled, {0: 1.0}, {0: 1.0}, 1)]
    for _ in range(halvings):
        parts = [smaller for part in parts for smaller in _halved(part)]
    bundles = []
    for part in parts:
        bundle = last(part)
        products = tuple(product for product in bundle.products if product.weight.any())
        if products:
            bundles.append(Bundle(products, bundle.outputs))
    return Products(tuple(bundles), parts[0].apart * (2 if last is _two_of_three else 1))


def _halved(part: _Part) -> list[_Part]:
    """Karatsuba: two windows take three products of half the taps instead of four: even + odd taps, even taps, odd."""
    even, odd, apart = part.weights[0::2], part.weights[1::2], part.apart
    both = [one + two for one, two in zip(even, odd, strict=True)]
    halves = (
        (both, {apart: 1.0}, {0: 1.0, apart: 1.0}),
        (even, {0: 1.0, apart: -1.0}, {0: 1.0}),
        (odd, {2 * apart: 1.0, apart: -1.0}, {apart: 1.0}),
    )
    return [
        _Part(weights, _times(part.inputs, inputs), _times(part.outputs, outputs), 2 * apart)
        for weights, inputs, outputs in halves
    ]


def _two_of_three(part: _Part) -> Bundle:
    """F(2, 3): two windows take four products for three taps instead of six; more taps go three at a time."""
    apart = part.apart
    products = []
    for first in range(0, len(part.weights), 3):
        one, two, three = part.weights[first : first + 3]
        for weight, inputs, sums in (
            (one, {0: 1.0, 2 * apart: -1.0}, (1.0, 0.0)),
            ((one + two + three) / 2, {apart: 1.0, 2 * apart: 1.0}, (1.0, 1.0)),
            ((one - two + three) / 2, {2 * apart: 1.0, apart: -1.0}, (1.0, -1.0)),
            (three, {apart: 1.0, 3 * apart: -1.0}, (0.0, -1.0)),
        ):
            moved = {first * apart + offset: factor for offset, factor in inputs.items()}
            products.append(Product(weight, _times(part.inputs, moved), sums))
    return Bundle(tuple(products), (part.outputs, _times(part.outputs, {apart: 1.0})))


def _each_tap(part: _Part) -> Bundle:
    products = [
        Product(weight, _times(part.inputs, {tap * part.apart: 1.0}), (1.0,)) for tap, weight in enumerate(part.weights)
    ]
    return Bundle(tuple(products), (part.outputs,))


def _times(one: Combination, two: Combination) -> Combination:
    """The combination of two combinations: offsets add, factors multiply."""
    product: dict[int, float] = {}
    for first, by in one.items():
        for second, times in two.items():
            product[first + second] = product.get(first + second, 0.0) + by * times
    return {offset: factor for offset, factor in product.items() if factor}
