"""Stretches of sequences: the sites of motifs, and windows; and what is put in their place.

A site of a named motif is where the log-odds score (log2 of probability over 1/4) is reached by at most a share P of
random sites, as in FIMO (Grant, Bailey, Noble 2011, doi:10.1093/bioinformatics/btr064). Of a motif so short that its
best sites are more frequent than that, the best ones count. Letters that the user typed match exactly.
Axes: N sequences, L positions, S stretches.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence

import numpy as np

from zoo.errors import ZooError
from zoo.experiments.inserts import Motif
from zoo.spec import ALPHABET

LEAST = 1e-3
"""Smallest probability of a base in a score, so that one base does not exclude a site by itself."""

STEPS = 100
"""Steps of a score in one bit."""

TRIES = 20
"""How often an order of bases is drawn again if it is that of the site."""


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Bases [start, end) of sequence number `row`, from 0. name: motif, or "".  strand: + or -."""

    row: int
    start: int
    end: int
    name: str = ""
    strand: str = "+"


class Sites:
    """Finds the sites of a motif. share: see the top of the file."""

    def __init__(self, motif: Motif, share: float) -> None:
        self.motif = motif
        odds = np.log2(np.maximum(motif.probabilities, LEAST) * len(ALPHABET))
        self._scores = np.rint(odds * STEPS).astype(np.int64)
        self._least = int(self._scores.max(1).sum()) if motif.exact else threshold(self._scores, share)

    def of(self, codes: np.ndarray) -> list[Stretch]:
        """All sites in base codes, uint8 (N, L), on both strands, by sequence and position. A site that reads the same
        on both strands is one of the + strand."""
        width = len(self.motif)
        if width > codes.shape[1]:
            return []
        found = []
        for strand, scores in (("+", self._scores), ("-", self._scores[::-1, ::-1])):
            table = np.pad(scores, ((0, 0), (0, 1)), constant_values=-(1 << 30))  # an N is in no site
            places = codes.shape[1] - width + 1
            total = sum(table[at][codes[:, at : at + places]] for at in range(width))
            found += [
                (int(row), int(start), strand) for row, start in zip(*np.nonzero(total >= self._least), strict=True)
            ]
        once = {(row, start): strand for row, start, strand in reversed(found)}
        return [Stretch(row, start, start + width, self.motif.name, once[row, start]) for row, start in sorted(once)]


def threshold(scores: np.ndarray, share: float) -> int:
    """The lowest score that at most this share of random sites reach, or the highest possible score. scores: of each
    base at each position, int (m, 4)."""
    lowest = scores.min(1)
    chances = np.ones(1)
    for row, low in zip(scores, lowest, strict=True):
        wider = np.zeros(len(chances) + int(row.max() - low))
        for score in row - low:
            wider[score : score + len(chances)] += chances / len(ALPHABET)
        chances = wider
    reached = np.cumsum(chances[::-1])[::-1]
    allowed = np.flatnonzero(reached <= share * (1 + 1e-9))
    best = int(np.flatnonzero(chances)[-1])
    return int(lowest.sum()) + (int(allowed[0]) if len(allowed) and allowed[0] <= best else best)


def sites(codes: np.ndarray, motifs: Sequence[Motif], share: float) -> list[Stretch]:
    """The sites of all motifs, by sequence, then motif, then position."""
    found = [one for motif in motifs for one in Sites(motif, share).of(codes)]
    return sorted(found, key=lambda one: one.row)


def windows(count: int, length: int, size: int, step: int) -> list[Stretch]:
    """Windows of `size` bases, `step` apart, of each of `count` sequences. Raises ZooError if none fits."""
    if size > length:
        raise ZooError(f"--window {size}: expected at most {length} bases, the length of the sequences")
    return [Stretch(row, start, start + size) for row in range(count) for start in range(0, length - size + 1, step)]


class Replacements:
    """What is put in the place of stretches.

    count: replacements of each.  shuffled: the bases of the stretch in another order, else random bases.
    The replacements of a stretch depend only on the seed, its sequence and its place.
    """

    def __init__(self, count: int, shuffled: bool, seed: int) -> None:
        self.count, self._shuffled, self._seed = count, shuffled, seed

    def of(self, codes: np.ndarray, start: int, end: int) -> np.ndarray:
        """Base codes of a sequence, uint8 (L,) -> the bases for [start, end), uint8 (count, end - start)."""
        generator = np.random.default_rng([self._seed, zlib.crc32(codes.tobytes()), start, end])
        site = codes[start:end]
        if not self._shuffled:
            return generator.integers(0, len(ALPHABET), (self.count, len(site))).astype(np.uint8)
        found = np.repeat(site[None], self.count, axis=0)
        for _ in range(TRIES):
            same = (found == site).all(1)
            if not same.any() or (site == site[:1]).all():
                break
            found[same] = generator.permuted(found[same], axis=1)
        return found

    def edited(self, codes: np.ndarray, start: int, end: int) -> np.ndarray:
        """The sequence with each replacement, uint8 (count, L)."""
        changed = np.repeat(codes[None], self.count, axis=0)
        changed[:, start:end] = self.of(codes, start, end)
        return changed
