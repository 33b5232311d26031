"""The sequences that motifs are put into, in blocks: random ones, given ones, or dinucleotide shuffles of these.

A block depends only on the options and its own number, so that neither threads nor memory change a result.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from zoo.dna import shuffle
from zoo.errors import ZooError
from zoo.experiments.options import USUAL, BackgroundSequences

BLOCK = 64
"""Sequences in a block."""


class Block(NamedTuple):
    """number: of the block, from 0.  codes: base codes, uint8 (B, L)."""

    number: int
    codes: np.ndarray


class Backgrounds:
    """N backgrounds; iterate for blocks of them.

    given: base codes, uint8 (K, L), or None for random sequences of `length` bases.
    Raises ZooError for options that do not fit, and for fewer than two backgrounds, which have no interval.
    """

    def __init__(self, options: BackgroundSequences, length: int, given: np.ndarray | None = None) -> None:
        options.check_source(given is not None)
        self._options, self._length, self._given = options, length, given
        each = max(1, options.shuffles)
        self._number = (options.backgrounds or USUAL) if given is None else len(given) * each
        if self._number < 2:
            raise ZooError(f"expected at least 2 backgrounds, since effects are means over them; got {self._number}")

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[Block]:
        for number, first in enumerate(range(0, self._number, BLOCK)):
            count = min(BLOCK, self._number - first)
            yield Block(number, self._random(number, count) if self._given is None else self._of_given(first, count))

    def _random(self, number: int, count: int) -> np.ndarray:
        gc = 0.5 if self._options.gc is None else self._options.gc
        generator = np.random.default_rng([self._options.seed, number])
        strong = generator.random((BLOCK, self._length)) < gc
        second = generator.integers(0, 2, (BLOCK, self._length))
        return np.where(strong, 1 + second, 3 * second).astype(np.uint8)[:count]

    def _of_given(self, first: int, count: int) -> np.ndarray:
        given, shuffles = self._given, self._options.shuffles
        if given is None or not shuffles:
            return np.asarray(given)[first : first + count]
        sequences = range(first // shuffles, -(-(first + count) // shuffles))
        shuffled = shuffle.references(given[sequences.start : sequences.stop], shuffles, self._options.seed)
        skipped = first - sequences.start * shuffles
        return shuffled.reshape(-1, shuffled.shape[2])[skipped : skipped + count]
