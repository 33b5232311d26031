"""A matrix that slides along a contig: several windows together for fewer products than one by one.

The first matrix of a network takes some positions ("taps") of the last layer, and the window behind takes the same rows
one tap later: a convolution with matrices as coefficients. Fast algorithms for short convolutions (S. Winograd,
Arithmetic Complexity of Computations, 1980; here Karatsuba's halving and F(2, 3)) compute neighbouring windows
together: each product has a sum of weights, takes a sum of rows, and is added to several windows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

Combination = Mapping[int, float]
"""Offset -> factor."""


@dataclasses.dataclass(frozen=True)
class Product:
    """weight: float64 (in, out).  inputs: tap from that of the window -> factor.  sums: factor in each sum."""

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
    """What has to be multiplied for `group` neighbouring windows, one tap apart."""

    bundles: tuple[Bundle, ...]
    group: int

    def operations(self, inputs: int, outputs: int) -> float:
        """Multiplications and additions a window, for rows of `inputs` numbers and `outputs` results."""
        total = 0
        for bundle in self.bundles:
            for product in bundle.products:
                total += 2 * inputs * (outputs + len(product.inputs)) + 2 * outputs * len(bundle.outputs)
            total += 2 * outputs * sum(len(windows) for windows in bundle.outputs)
        return total / self.group


@dataclasses.dataclass(frozen=True)
class _Part:
    """Matrices of taps that lie `apart` taps from each other, and what they read and serve."""

    weights: Sequence[np.ndarray]
    inputs: Combination
    outputs: Combination
    apart: int


def one_by_one(weights: Sequence[np.ndarray]) -> Products:
    """A product for each tap, of rows as they are; windows need not be one tap apart."""
    return _made(weights, 0, _each_tap)


def fastest(weights: Sequence[np.ndarray], most: int) -> Products:
    """The products with the least arithmetic for at most `most` windows together. weights: (in, out), one a tap."""
    # which is best depends on the number of taps alone: found with numbers instead of matrices
    numbers = [np.full((1, 1), tap + 1.0) for tap in range(len(weights))]
    inputs, outputs = weights[0].shape
    ways = [(halvings, last) for halvings in range(5) for last in (_each_tap, _two_of_three)]
    possible = [way for way in ways if _made(numbers, *way).group <= most]
    return _made(weights, *min(possible, key=lambda way: _made(numbers, *way).operations(inputs, outputs)))


def _made(weights: Sequence[np.ndarray], halvings: int, last: Callable[[_Part], Bundle]) -> Products:
    """Taps halved so often, then `last`; taps of zeros make their number fit, and products with them are left out."""
    whole = 2**halvings * (3 if last is _two_of_three else 1)
    filled = [*weights, *[np.zeros_like(weights[0])] * (-len(weights) % whole)]
    parts = [_Part(filled, {0: 1.0}, {0: 1.0}, 1)]
    for _ in range(halvings):
        parts = [smaller for part in parts for smaller in _halved(part)]
    bundles = []
    for part in parts:
        made = last(part)
        products = tuple(product for product in made.products if product.weight.any())
        if products:
            bundles.append(Bundle(products, made.outputs))
    return Products(tuple(bundles), parts[0].apart * (2 if last is _two_of_three else 1))


def _halved(part: _Part) -> list[_Part]:
    """Two windows with three halves of the taps instead of four: even + odd taps, even taps, odd taps."""
    even, odd, apart = part.weights[0::2], part.weights[1::2], part.apart
    both = [one + two for one, two in zip(even, odd, strict=True)]
    ways = (
        (both, {apart: 1.0}, {0: 1.0, apart: 1.0}),
        (even, {0: 1.0, apart: -1.0}, {0: 1.0}),
        (odd, {2 * apart: 1.0, apart: -1.0}, {apart: 1.0}),
    )
    return [
        _Part(weights, _times(part.inputs, inputs), _times(part.outputs, outputs), 2 * apart)
        for weights, inputs, outputs in ways
    ]


def _two_of_three(part: _Part) -> Bundle:
    """F(2, 3): two windows with four products for three taps instead of six; of more taps, three at a time."""
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
    """A combination of combinations: offsets add, factors multiply."""
    product: dict[int, float] = {}
    for first, by in one.items():
        for second, times in two.items():
            product[first + second] = product.get(first + second, 0.0) + by * times
    return {offset: factor for offset, factor in product.items() if factor}
