"""Two motifs in a background at given places: their joint effect, and what it would be without an interaction.

Activities are log2. Motifs that do not interact either multiply the activity, each by its own factor, so that log2
effects add (multiplicative expectation), or each adds its own share of activity (additive expectation). In the study
(de Almeida et al. 2022, Fig. 5), cooperativity is the ratio to the additive one. Here it is the difference, which is
also defined where both motifs lower the activity.
Axes: B backgrounds, C arrangements, L positions, M members, P placements, R rows of the table, T targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from zoo.dna.encoding import reverse_complement
from zoo.errors import ZooError
from zoo.experiments import effects, inserts
from zoo.experiments.backgrounds import Block
from zoo.experiments.inserts import Motif
from zoo.experiments.measure import EFFECT
from zoo.experiments.options import InsertOptions, PairOptions
from zoo.prediction.model import Model
from zoo.spec import ModelSpec

COOPERATIVITY = "cooperativity"
"""effect - (first_alone + second_alone), in the unit of the activities."""

ADDITIVE = "additive_cooperativity"
"""2^effect - (2^first_alone + 2^second_alone - 1): a difference of activities, in multiples of the background's."""

FIRST, SECOND = "first_alone", "second_alone"
"""The effect of each motif at the same place in the same background without the other."""

LOG2 = "log2"
"""Beginning of a unit whose activities have an additive expectation."""

FEW = 4
"""Arrangements that share a first motif in its place are edits of the sequence with it if there are more. Of fewer, the
sequence with the first motif costs more than edits of the background with both motifs, whose stretches are longer."""

ORIENTATIONS = {"all": (("+", "+"), ("+", "-"), ("-", "+"), ("-", "-")), "given": (("+", "+"),)}


class Placement(NamedTuple):
    """A motif in a sequence. start: of its first base, from 0.  motif: its number."""

    start: int
    strand: str
    motif: int


class Arrangement(NamedTuple):
    """Two motifs in a sequence."""

    first: Placement
    second: Placement


def quantity(options: PairOptions, spec: ModelSpec) -> str:
    """The cooperativity that the options ask for. Raises ZooError for one that the unit of the activities excludes."""
    if options.expectation == "multiplicative":
        return COOPERATIVITY
    if not in_log2(spec):
        raise ZooError(
            f"--expectation additive: needs activities in log2, the unit of these weights is {spec.unit}; a card says "
            "it"
        )
    return ADDITIVE


def in_log2(spec: ModelSpec) -> bool:
    """Whether activities are log2 of something; log2(x + 1) has no multiples of the background."""
    return spec.unit.startswith(LOG2) and "+" not in spec.unit


def label(quantity: str, unit: str) -> str:
    """What an axis of a quantity says."""
    return f"cooperativity ({unit})" if quantity == COOPERATIVITY else "additive cooperativity (x background)"


def distances_of(options: PairOptions, usual: range, longest: int, pair: Sequence[Motif]) -> list[int]:
    """The distances of the options, ascending; without any, those of `usual` that fit. longest: the longest that
    fits.  pair: the motifs, for errors. Raises ZooError for distances that do not fit."""
    first, second = (f"{one.name} ({len(one)} bases)" for one in pair)
    if longest < 0:
        raise ZooError(f"--motifs: {first} and {second} do not fit into the sequence")
    if not options.distances:
        fitting = range(usual.start, min(usual.stop, longest + 1), options.step or usual.step)
        if not fitting:
            raise ZooError(f"--distances: expected distances up to {longest}; {first} and {second} do not fit farther")
        return [*fitting]
    found: set[int] = set()
    for text in options.distances:
        low, _, high = text.partition("-")
        those = range(int(low), int(high or low) + 1, options.step or 1)
        if not those:
            raise ZooError(f"--distances {text}: expected the smaller distance first")
        if those[-1] > longest:
            raise ZooError(f"--distances {text}: {first} and {second} can be at most {longest} bases apart here")
        found |= set(those)
    return sorted(found)


def longest(options: PairOptions, length: int, first: int, second: int, before: bool) -> int:
    """The longest distance at which two motifs fit into `length` bases; negative if they never do. first, second: bases
    of the motifs.  before: whether the second one must also fit before the first one."""
    if options.centred == "pair":
        return length - first - second
    start = inserts.middle(length, first)
    after = length - start - first - second
    return min(after, start - second) if before else after


def starts(options: PairOptions, length: int, first: int, second: int, distance: int, before: bool) -> tuple[int, int]:
    """The first base of each motif, from 0. first, second, before: as in `longest`."""
    left, right = (second, first) if before else (first, second)
    if options.centred == "pair":
        begin = inserts.middle(length, left + distance + right)
        places = begin, begin + left + distance
        return (places[1], places[0]) if before else places
    start = inserts.middle(length, first)
    return start, (start - distance - second if before else start + first + distance)


class Arrangements:
    """The effects of arrangements; those of one row of the table are averaged in each background.

    rows: the row of each arrangement, from 0.  kept: the quantity that comes first.
    """

    def __init__(
        self,
        motifs: Sequence[Motif],
        arrangements: Sequence[Arrangement],
        rows: Sequence[int],
        options: InsertOptions,
        seed: int,
        kept: str = COOPERATIVITY,
    ) -> None:
        self._motifs, self._options, self._seed, self._kept = motifs, options, seed, kept
        self._all, self._rows = arrangements, np.array(rows)
        # neighbouring places side by side, which share most of their work
        self._alone = sorted({one for arrangement in arrangements for one in arrangement})
        second_ones: dict[Placement, list[int]] = {}
        for number in sorted(range(len(arrangements)), key=lambda number: arrangements[number].second):
            second_ones.setdefault(arrangements[number].first, []).append(number)
        self._few = [number for those in second_ones.values() if len(those) <= FEW for number in those]
        self._many = {first: those for first, those in second_ones.items() if len(those) > FEW}

    def effects(self, model: Model, block: Block, targets: Sequence[int]) -> dict[str, np.ndarray]:
        """Quantity -> its numbers, float32 (B, R, M, T)."""
        written = [one.written(self._options, len(block.codes), self._seed, block.number) for one in self._motifs]
        bases = {one: _oriented(written[one.motif], one.strand) for one in self._alone}

        def added(codes: np.ndarray, places: Sequence[Sequence[Placement]]) -> np.ndarray:
            """Effects of further motifs, float32 (B, P, M, T)."""
            changed = np.stack([_put(codes, [(bases[one], one.start) for one in those]) for those in places], axis=1)
            return effects.of_backgrounds(model, codes, changed, targets)

        alone = added(block.codes, [(one,) for one in self._alone])
        number = {one: place for place, one in enumerate(self._alone)}
        first = alone[:, np.array([number[one.first] for one in self._all])]
        second = alone[:, np.array([number[one.second] for one in self._all])]
        beside = np.empty_like(first)
        if self._few:
            both = added(block.codes, [self._all[one] for one in self._few])
            beside[:, self._few] = both - first[:, self._few]
        for placement, those in self._many.items():
            codes = _put(block.codes, [(bases[placement], placement.start)])
            beside[:, those] = added(codes, [(self._all[one].second,) for one in those])
        found = {COOPERATIVITY: beside - second}
        if in_log2(model.spec):
            # 2^(a + c) - 2^a - 2^b + 1, with the differences made before they are rounded
            wide = [one.astype(np.float64) for one in (first, second, beside)]
            rise_of_first, rise_of_second, rise_beside = (np.exp2(one) - 1 for one in wide)
            found[ADDITIVE] = ((1 + rise_of_first) * rise_beside - rise_of_second).astype(np.float32)
        found |= {EFFECT: first + beside, FIRST: first, SECOND: second}
        return {name: self._averaged(one) for name, one in ({self._kept: found[self._kept]} | found).items()}

    def _averaged(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers of arrangements, (B, C, M, T), as means of rows, (B, R, M, T)."""
        order = np.argsort(self._rows, kind="stable")
        begin = np.flatnonzero(np.diff(self._rows[order], prepend=-1))
        if len(begin) == len(order):
            return numbers[:, order]
        counts = np.diff(begin, append=len(order))[:, None, None]
        sums = np.add.reduceat(numbers[:, order], begin, axis=1, dtype=np.float64)
        return (sums / counts).astype(np.float32)


def _put(codes: np.ndarray, placed: Sequence[tuple[np.ndarray, int]]) -> np.ndarray:
    """Sequences with inserts, each with its first base: uint8 (B, L) -> (B, L)."""
    for bases, start in placed:
        codes = inserts.put(codes, bases, [start])[:, 0]
    return np.ascontiguousarray(codes)


def _oriented(bases: np.ndarray, strand: str) -> np.ndarray:
    return reverse_complement(bases) if strand == "-" else bases
