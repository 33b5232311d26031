"""Stretches of sequences: the sites of motifs, and windows; and what is put in their place.

A site of a named motif is a match, see zoo/motifs/matches.py, among the best `rare` of random places. Letters that the
user typed match exactly.
Axes: N sequences, L positions, S stretches.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence

import numpy as np

from zoo.errors import ZooError
from zoo.experiments.inserts import Motif
from zoo.motifs import matches
from zoo.spec import ALPHABET, UNKNOWN_BASE

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


def sites(codes: np.ndarray, motifs: Sequence[Motif], rare: float) -> list[Stretch]:
    """The sites of all motifs in base codes, uint8 (N, L), on both strands, by sequence, then motif, then position. A
    site that reads the same on both strands is one of the + strand. rare: see the top of the file."""
    found = []
    for motif in motifs:
        places = matches.find(codes, [motif.probabilities], 0 if motif.exact else rare)
        found += [
            Stretch(int(row), int(start), int(start) + len(motif), motif.name, "-" if reverse else "+")
            for row, start, reverse in zip(places.sequence, places.start, places.reverse, strict=True)
        ]
    return sorted(found, key=lambda one: one.row)


def windows(count: int, length: int, size: int, step: int) -> list[Stretch]:
    """Windows of `size` bases, `step` apart, of each of `count` sequences. Raises ZooError if none fits."""
    if size > length:
        raise ZooError(f"--window {size}: expected at most {length} bases, the length of the sequences")
    return [Stretch(row, start, start + size) for row in range(count) for start in range(0, length - size + 1, step)]


class Replacements:
    """What is put in the place of stretches.

    count: replacements of each.  shuffled: the bases of the stretch in another order, else random bases. An N stays.
    The replacements of a stretch depend only on the seed, its sequence and its place.
    """

    def __init__(self, count: int, shuffled: bool, seed: int) -> None:
        self.count, self._shuffled, self._seed = count, shuffled, seed

    def of(self, codes: np.ndarray, start: int, end: int) -> np.ndarray:
        """Base codes of a sequence, uint8 (L,) -> the bases for [start, end), uint8 (count, end - start)."""
        generator = np.random.default_rng([self._seed, zlib.crc32(codes.tobytes()), start, end])
        found = np.repeat(codes[None, start:end], self.count, axis=0)
        known = found[0] < UNKNOWN_BASE
        found[:, known] = self._of_bases(found[0, known], generator)
        return found

    def _of_bases(self, site: np.ndarray, generator: np.random.Generator) -> np.ndarray:
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
