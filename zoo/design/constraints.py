"""What every design keeps to: protected positions, sites and runs, the share of G and C, edits, bounds of activities.

Those of the bases hold from the start on: a start is repaired or refused, and substitutions that would break one are
not taken. Those of activities are approached: the breach of a design falls, or stays 0. Axes: N sequences, L positions,
4 bases, T targets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from zoo.design.options import DesignOptions
from zoo.dna import sites
from zoo.errors import ZooError
from zoo.explain.deeplift import target_index
from zoo.spec import ALPHABET, UNKNOWN_BASE

STRONG = np.array([0, 1, 1, 0, 0], np.intp)
"""Base code -> whether it counts as G or C."""

ON_THE_BOUND = 1e-6
"""Breach of an activity that equals its bound."""


class Constraints:
    """For designs of `length` bases. Raises ZooError for a target or a position that there is not, and for what no
    sequence can keep to."""

    def __init__(self, options: DesignOptions, length: int, targets: Sequence[str]) -> None:
        self.length = length
        self.bounds = [(target_index(targets, keep.target), keep) for keep in options.bounds]
        self.distance = length if options.distance is None else options.distance
        self.free = np.ones(length, bool)
        for first, last in options.protected:
            if last > length:
                raise ZooError(f"protect: expected positions from 1 to {length}, got {first}-{last}")
            self.free[first - 1 : last] = False
        self._avoid = ",".join(options.avoid)
        runs = [one for length in options.runs for one in sites.runs(length)]
        self.patterns = sites.on_both_strands([*map(sites.pattern, options.sites), *runs])
        if not sites.avoidable(self.patterns, np.full(length, UNKNOWN_BASE, np.uint8)):
            raise ZooError(f"avoid: every sequence of {length} bases holds one of {self._avoid}; leave one out")
        lowest, highest = options.gc_range
        self.gc = math.ceil(lowest * length - 1e-9), math.floor(highest * length + 1e-9)
        if self.gc[0] > self.gc[1]:
            raise ZooError(f"gc: no number of G and C among {length} bases has a share of {options.gc}; widen it")

    def allowed(self, codes: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Base codes that keep to what is asked of bases, and where they started, uint8 (N, L) -> bool (N, L, 4):
        substitutions after which they still do."""
        bases = np.arange(len(ALPHABET), dtype=np.uint8)
        changed = self.free[None, :, None] & (codes[:, :, None] != bases)
        away = (codes == starts)[:, :, None].astype(np.intp) - (starts[:, :, None] == bases)
        changed &= (codes != starts).sum(1)[:, None, None] + away <= self.distance
        strong = STRONG[codes].sum(1)[:, None, None] + STRONG[bases] - STRONG[codes][:, :, None]
        changed &= (strong >= self.gc[0]) & (strong <= self.gc[1])
        return changed & ~sites.completing(codes, self.patterns)

    def breach(self, activities: np.ndarray) -> np.ndarray:
        """Activities, float (..., T) -> by how much they miss their bounds, float (...); 0 where they keep to them."""
        missed = np.zeros(activities.shape[:-1], np.float32)
        for target, keep in self.bounds:
            over = (activities[..., target] - np.float32(keep.bound)) * (-1 if keep.above else 1)
            missed += np.where(over >= 0, over + np.float32(ON_THE_BOUND), 0)
        return missed

    def faults(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L) -> intp (N,): sites and runs that should not be there, G and C that are too many or
        too few."""
        strong = STRONG[codes].sum(1)
        return (
            sites.occurrences(codes, self.patterns)
            + np.maximum(self.gc[0] - strong, 0)
            + np.maximum(strong - self.gc[1], 0)
        )

    def repaired(
        self, start: np.ndarray, generator: np.random.Generator, anew: bool = False
    ) -> list[tuple[int, int]] | None:
        """Substitutions, position and base, after which a start, uint8 (L,), keeps to what is asked of bases.

        One after the other, each the one that leaves the fewest faults, a random one of several. None if that leads
        nowhere: too much is protected, or too few edits are allowed.
        anew: the start is being made, so that nothing of it is protected and no edit counts.
        """
        free = np.ones_like(self.free) if anew else self.free
        distance = self.length if anew else self.distance
        codes = start.copy()
        edits: list[tuple[int, int]] = []
        faults = int(self.faults(codes[None])[0])
        while faults:
            position, base = self._places(codes, free)
            mutants = np.repeat(codes[None], len(position), 0)
            mutants[np.arange(len(position)), position] = base
            near = (mutants != start).sum(1) <= distance
            left = self.faults(mutants[near])
            if not len(left) or left.min() >= faults:
                return None
            chosen = np.flatnonzero(near)[generator.choice(np.flatnonzero(left == left.min()))]
            codes, faults = mutants[chosen], int(left.min())
            edits.append((int(position[chosen]), int(base[chosen])))
        return edits

    def _places(self, codes: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Substitutions that may mend: within what should not be there, or anywhere if only G and C are wrong."""
        inside = sites.covered(codes[None], self.patterns)[0]
        where = free & (inside if inside.any() else True)
        position, base = np.nonzero(where[:, None] & (codes[:, None] != np.arange(len(ALPHABET))))
        return position, base

    def complaint(self, start: np.ndarray) -> str:
        """Why a start, uint8 (L,), that could not be repaired is refused."""
        fixed = np.where(self.free, UNKNOWN_BASE, start).astype(np.uint8)
        if not sites.avoidable(self.patterns, fixed):
            return f"what is protected leaves no room to avoid {self._avoid}"
        held = int(sites.occurrences(start[None], self.patterns)[0])
        asked = [f"without {self._avoid}, which it holds {held} times"] * (held > 0)
        strong = int(STRONG[start].sum())
        if not self.gc[0] <= strong <= self.gc[1]:
            asked.append(f"with {self.gc[0]} to {self.gc[1]} of G and C, of which it has {strong}")
        return f"cannot be made a sequence {' and '.join(asked)} within the edits and positions that are allowed"
