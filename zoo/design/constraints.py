"""Constraints of designs: protected positions, avoided sites, GC content, edits, bounds of predictions.

Constraints on bases hold throughout: a start is repaired or refused, and only substitutions that keep to them are
allowed. Bounds of predictions are approached: the breach of a design only falls. Axes: N sequences, L positions, 4
bases, T targets.
"""

from __future__ import annotations

import math

import numpy as np

from zoo.design.options import DesignOptions
from zoo.dna import sites
from zoo.errors import ZooError
from zoo.spec import ALPHABET, UNKNOWN_BASE, ModelSpec

IS_GC = np.array([0, 1, 1, 0, 0], np.intp)
"""Base code -> 1 for G and C, else 0."""

ON_THE_BOUND = 1e-6
"""Breach of a prediction that equals its bound."""


class Constraints:
    """The constraints of some options for designs for a model.

    Raises ZooError for an unknown target, for a position outside the sequence, and for constraints that no sequence
    meets.
    """

    def __init__(self, options: DesignOptions, spec: ModelSpec) -> None:
        self.length = length = spec.sequence_length
        self.bounds = [(spec.target_index(keep.target), keep) for keep in options.bounds]
        self.distance = length if options.distance is None else options.distance
        self.free = np.ones(length, bool)
        for first, last in options.protected:
            if last > length:
                raise ZooError(f"protect: expected positions from 1 to {length}, got {first}-{last}")
            self.free[first - 1 : last] = False
        self._avoid = ",".join(options.avoid)
        runs = [one for run in options.runs for one in sites.runs(run)]
        self.patterns = sites.on_both_strands([*map(sites.pattern, options.sites), *runs])
        if not sites.avoidable(self.patterns, np.full(length, UNKNOWN_BASE, np.uint8)):
            raise ZooError(f"avoid: every sequence of {length} bases contains one of {self._avoid}; leave one out")
        lowest, highest = options.gc_range
        self.gc = math.ceil(lowest * length - 1e-9), math.floor(highest * length + 1e-9)
        if self.gc[0] > self.gc[1]:
            raise ZooError(f"gc: no sequence of {length} bases has a GC content of {options.gc}; widen the range")

    def allowed(self, codes: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Return which substitutions keep to all constraints on bases, bool (N, L, 4).

        codes: sequences that meet the constraints, uint8 (N, L).  starts: the sequences they began as, uint8 (N, L).
        """
        bases = np.arange(len(ALPHABET), dtype=np.uint8)
        changed = self.free[None, :, None] & (codes[:, :, None] != bases)
        away = (codes == starts)[:, :, None].astype(np.intp) - (starts[:, :, None] == bases)
        changed &= (codes != starts).sum(1)[:, None, None] + away <= self.distance
        gc = IS_GC[codes].sum(1)[:, None, None] + IS_GC[bases] - IS_GC[codes][:, :, None]
        changed &= (gc >= self.gc[0]) & (gc <= self.gc[1])
        return changed & ~sites.completing(codes, self.patterns)

    def breach(self, activities: np.ndarray) -> np.ndarray:
        """By how much predictions, float (..., T), miss their bounds: float32 (...), 0 where they meet them."""
        missed = np.zeros(activities.shape[:-1], np.float32)
        for target, keep in self.bounds:
            over = (activities[..., target] - np.float32(keep.bound)) * (-1 if keep.above else 1)
            missed += np.where(over >= 0, over + np.float32(ON_THE_BOUND), 0)
        return missed

    def faults(self, codes: np.ndarray) -> np.ndarray:
        """Count what has to be repaired in base codes, uint8 (N, L): occurrences of sites and homopolymers to avoid,
        and the number of G and C above or below the range; intp (N,)."""
        gc = IS_GC[codes].sum(1)
        return sites.occurrences(codes, self.patterns) + np.maximum(self.gc[0] - gc, 0) + np.maximum(gc - self.gc[1], 0)

    def repair(
        self, start: np.ndarray, generator: np.random.Generator, everywhere: bool = False
    ) -> list[tuple[int, int]] | None:
        """Return substitutions, position and base, after which a start, uint8 (L,), meets all constraints on bases.

        Each substitution leaves as few faults as possible; a random one of the best is chosen. None if no substitution
        helps: too much is protected, or too few edits are allowed.
        everywhere: ignore protected positions and the limit of edits.
        """
        free = np.ones_like(self.free) if everywhere else self.free
        distance = self.length if everywhere else self.distance
        codes = start.copy()
        edits: list[tuple[int, int]] = []
        faults = int(self.faults(codes[None])[0])
        while faults:
            # at the sites and homopolymers to avoid, or at any position if only the GC content is wrong
            inside = sites.covered(codes[None], self.patterns)[0]
            where = free & (inside if inside.any() else True)
            position, base = np.nonzero(where[:, None] & (codes[:, None] != np.arange(len(ALPHABET))))
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

    def complaint(self, start: np.ndarray) -> str:
        """Why a start, uint8 (L,), cannot be repaired."""
        fixed = np.where(self.free, UNKNOWN_BASE, start).astype(np.uint8)
        if not sites.avoidable(self.patterns, fixed):
            return f"cannot avoid {self._avoid} with these protected positions"
        wrong = []
        if count := int(sites.occurrences(start[None], self.patterns)[0]):
            wrong.append(f"contains {self._avoid} {count} times")
        gc = int(IS_GC[start].sum())
        if not self.gc[0] <= gc <= self.gc[1]:
            wrong.append(f"has {gc} G and C instead of {self.gc[0]} to {self.gc[1]}")
        return f"{' and '.join(wrong)}, which the allowed edits and positions cannot repair"
