"""Random places of a genome: drawn uniformly, with replacement, among those whose surroundings have no N.

The genome is read twice, block by block: to count the places of each context, and to find those that were drawn. So the
draw is exact, also for a rare context, and memory does not grow with the genome. Positions are 0-based.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from zoo.dna.windows import unknown_bases
from zoo.errors import ZooError, counted
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.spec import ALPHABET

BLOCK_BASES = 1 << 20
"""Places that are looked at together."""

CONTEXTS = [before + base + after for before in ALPHABET for base in ALPHABET for after in ALPHABET]
"""The base of a place between its two neighbours."""


class Draw(NamedTuple):
    """What to draw: so many places of a context, an index of CONTEXTS; None for any context."""

    number: int
    context: int | None = None


class Found(NamedTuple):
    """Places of one block that were drawn. draw: their number among the draws.  positions: sorted, int64 (K,).

    codes: the bases of the block, uint8 (B,), in which those around position p are codes[p - start:][: before + after].
    """

    draw: int
    contig: str
    positions: np.ndarray
    codes: np.ndarray
    start: int


class Places:
    """The places of a genome with `before` bases before them and `after` from them on, none of them N."""

    def __init__(self, genome: IndexedFasta, before: int, after: int) -> None:
        """Reads the whole genome. Raises ZooError if it has no such place."""
        self._genome, self._before, self._after = genome, before, after
        self._blocks = [
            (contig, first, min(first + BLOCK_BASES, bases - after + 1))
            for contig, bases in genome.contigs.items()
            for first in range(before, bases - after + 1, BLOCK_BASES)
        ]
        rows = [np.bincount(self._contexts(block)[0] + 1, minlength=len(CONTEXTS) + 1)[1:] for block in self._blocks]
        self._counts = np.array(rows, np.int64).reshape(-1, len(CONTEXTS))
        if not self._counts.any():
            raise ZooError(f"{genome.path}: has no {counted(before + after, 'bases')} in a row without an N")

    def count(self, context: int | None = None) -> int:
        """Number of places, or of those with a context."""
        return int(self._of(context).sum())

    def draw(self, draws: Sequence[Draw], seed: int) -> Iterator[Found]:
        """The places of all draws, block by block. Those of one draw depend only on it, its number and the seed.

        Raises ZooError if the genome has no place with a context.
        """
        ranks = []
        for number, one in enumerate(draws):
            total = self.count(one.context)
            if not total:
                raise ZooError(f"{self._genome.path}: has no {CONTEXTS[one.context or 0]} among bases without an N")
            drawn = np.random.default_rng([seed, number]).integers(0, total, one.number)
            ranks.append(np.sort(drawn))
        ends = [np.cumsum(self._of(one.context)) for one in draws]
        for block, (contig, _, _) in enumerate(self._blocks):
            bounds = [(end[block - 1] if block else 0, end[block]) for end in ends]
            here = [
                rank[slice(*rank.searchsorted(bound))] - bound[0] for rank, bound in zip(ranks, bounds, strict=True)
            ]
            if not any(map(len, here)):
                continue
            contexts, codes = self._contexts(self._blocks[block])
            start = self._blocks[block][1]
            for number, (one, wanted) in enumerate(zip(draws, here, strict=True)):
                if len(wanted):
                    there = np.flatnonzero(contexts >= 0 if one.context is None else contexts == one.context)
                    yield Found(number, contig, there[wanted] + start, codes, start)

    def _of(self, context: int | None) -> np.ndarray:
        """Number of places in each block, int64 (blocks,)."""
        found: np.ndarray = self._counts.sum(axis=1) if context is None else self._counts[:, context]
        return found

    def _contexts(self, block: tuple[str, int, int]) -> tuple[np.ndarray, np.ndarray]:
        """The index of CONTEXTS at each place of a block, int64 (B,), -1 for those with an N around them; and the
        block's bases."""
        contig, first, stop = block
        before, count = self._before, stop - first
        codes = self._genome.codes(contig, first - before, stop - 1 + self._after)
        known = unknown_bases(codes, before + self._after, 1) == 0
        padded = np.pad(codes, 1).astype(np.int64)  # a window of one base has no neighbours in it
        one, two, three = (padded[before + step : before + step + count] for step in range(3))
        return np.where(known, (one * 4 + two) * 4 + three, -1), codes
