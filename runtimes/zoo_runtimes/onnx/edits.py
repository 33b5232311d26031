"""Edited sequences, of which the positions that an edit changes are computed, as fastISM does for mutants.

Nair et al., Bioinformatics 2022, doi:10.1093/bioinformatics/btac135. The numbers around the changed positions are those
of the original sequence, which is computed once. A mutant is an edit of one base.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from zoo.dna import edits
from zoo.spec import ALPHABET
from zoo_runtimes.onnx import patches
from zoo_runtimes.onnx.network import CHECKED, Network, Run, stretch_width
from zoo_runtimes.onnx.patches import Patch
from zoo_runtimes.onnx.root import Strand
from zoo_runtimes.onnx.segments import affected

SIZES = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, *(64 << np.arange(24))])
"""Widths of edits, in bases, to which others are rounded up: each needs a plan and a comparison."""


class Change(NamedTuple):
    """Where edits change a tensor. starts: first position for an edit that begins at each base, (L - W + 1,).  width:
    positions, the same for all edits."""

    starts: np.ndarray
    width: int


class Original(NamedTuple):
    """A sequence that is edited. kept: the kept tensors of each strand.  activities: float32 (1, T)."""

    kept: list[dict[str, np.ndarray]]
    activities: np.ndarray


def original(network: Network, row: np.ndarray) -> Original:
    """Compute a sequence, base codes (L,)."""
    inner = [name for name in network.kept if name != network.root]
    kept = []
    for strand in network.strands:
        arranged = strand.whole(row[None], network.grids[network.root].axis)
        arrays = network.whole_local.run(inner, {network.root: arranged})
        kept.append({network.root: arranged, **dict(zip(inner, arrays, strict=True))})
    return Original(kept, network.activities({name: [one[name] for one in kept] for name in network.region.last}))


class Edits:
    """Edits of stretches of `width` bases. Raises NotShared if predicting each takes no longer, or gives other
    numbers."""

    def __init__(self, network: Network, width: int) -> None:
        self._network, self.width = network, width
        self._changes = [_changes(network, strand, width) for strand in network.strands]
        segments, strands = network.region.segments, len(network.strands)
        times = [network.patch_time(one, plan[one.output].width) for plan in self._changes for one in segments]
        self._time = sum(times) / strands
        network.check_time(self._time)
        self._rows = min(
            network.rows({use: stretch_width(use, plan[one.output].width) for one in segments for use in one.uses})
            for plan in self._changes
        )
        self._check()

    def pays(self, number: int) -> bool:
        """Whether predicting each of so many edits of one sequence takes longer."""
        return self._network.saves(self._time, number)

    def mutants(self, codes: np.ndarray) -> np.ndarray:
        """See `mutants` in zoo.contracts.ShorterWays."""
        parts = []
        for row in codes:
            position, base = np.nonzero(row[:, None] != np.arange(len(ALPHABET)))
            whole = original(self._network, row)
            effects = np.zeros((len(row), len(ALPHABET), whole.activities.shape[1]), np.float32)
            effects[position, base] = self.effects(whole, position, base[:, None])
            parts.append(effects)
        return np.stack(parts)

    def effects(self, whole: Original, begin: np.ndarray, bases: np.ndarray) -> np.ndarray:
        """Activities with base codes (M, W) from position `begin` on, (M,), minus those of the original: (M, T)."""
        network = self._network
        parts = []
        for first in range(0, len(begin), self._rows):
            part = slice(first, first + self._rows)
            found = [self._last(number, kept, begin[part], bases[part]) for number, kept in enumerate(whole.kept)]
            parts.append(network.activities({name: [one[name] for one in found] for name in network.region.last}))
        return np.concatenate(parts) - whole.activities

    def _last(
        self, number: int, whole: Mapping[str, np.ndarray], begin: np.ndarray, bases: np.ndarray
    ) -> dict[str, np.ndarray]:
        """The last local tensors of edited sequences, for one strand."""
        network, plan, strand = self._network, self._changes[number], self._network.strands[number]
        columns = strand.rows(strand.oriented(bases), network.grids[network.root].axis)
        found = {network.root: Patch(plan[network.root].starts[begin], columns)}
        for segment, model in zip(network.region.segments, network.models, strict=True):
            change = plan[segment.output]
            starts = change.starts[begin]
            given = {}
            for use in segment.uses:
                axis = network.grids[use.tensor].axis
                read = starts * use.reach.stride + use.reach.first
                array = patches.cut(whole[use.tensor], axis, read, stretch_width(use, change.width), use.edge)
                patches.overlay(array, axis, read, found[use.tensor])
                given[use.name] = array
            found[segment.output] = Patch(starts, model.run(None, given)[0])
        last = {}
        for name in network.region.last:
            array = np.repeat(whole[name], len(begin), 0)
            patches.overlay(array, network.grids[name].axis, np.zeros(len(begin), int), found[name])
            last[name] = array
        return last

    def _check(self) -> None:
        network, width = self._network, self.width
        row = network.random(network.length)
        begin = np.linspace(0, network.length - width, CHECKED // 2).astype(int)
        begin = np.concatenate([begin, np.minimum(begin + 1, network.length - width)])
        places = begin[:, None] + np.arange(width)
        bases = (row[places] + 1 + (np.arange(len(begin))[:, None] + np.arange(width)) % 3) % len(ALPHABET)
        changed = np.repeat(row[None], len(begin), 0)
        np.put_along_axis(changed, places, bases, 1)
        whole = original(network, row)
        activities = whole.activities + self.effects(whole, begin, bases)
        network.compare(np.concatenate([whole.activities, activities]), np.concatenate([row[None], changed]))


def _changes(network: Network, strand: Strand, width: int) -> dict[str, Change]:
    """Where an edit of `width` bases changes each kept tensor."""
    column = strand.first + strand.oriented(np.arange(network.length))
    outer = column[: network.length - width + 1], column[width - 1 :]
    ranges = {network.root: (np.minimum(*outer), np.maximum(*outer))}
    found = {network.root: Change(ranges[network.root][0], width)}
    for segment in network.region.segments:
        first, last = ranges[segment.output] = affected(segment, network.grids, ranges)
        most = max(int((last - first).max()) + 1, 1)
        found[segment.output] = Change(np.minimum(first, network.grids[segment.output].positions - most), most)
    return found


def effects(
    network: Network,
    of_width: Callable[[int], Edits | None],
    run: Run,
    codes: np.ndarray,
    edited: np.ndarray,
    rows: np.ndarray,
) -> np.ndarray:
    """See `edits` in zoo.contracts.ShorterWays. of_width: the edits of a width; None for those that `run` predicts."""
    first, last = edits.stretches(codes[rows], edited)
    widths = np.minimum(SIZES[np.searchsorted(SIZES, last - first + 1)], network.length)
    order = np.lexsort((widths, rows))
    order = order[first[order] <= last[order]]  # the others change nothing
    if not len(order):
        return edits.effects(run, codes, edited, rows)
    ends = np.flatnonzero((np.diff(rows[order]) != 0) | (np.diff(widths[order]) != 0)) + 1
    parts, left = [], [order[:0]]
    current, whole = -1, None
    for group in np.split(order, ends):
        way = of_width(int(widths[group[0]]))
        if way is None or not way.pays(len(group)):
            left.append(group)
            continue
        if whole is None or rows[group[0]] != current:
            current, whole = rows[group[0]], original(network, codes[rows[group[0]]])
        begin = np.minimum(first[group], network.length - way.width)
        parts.append((group, way.effects(whole, begin, edited[group[:, None], begin[:, None] + np.arange(way.width)])))
    group = np.concatenate(left)
    if len(group):
        parts.append((group, edits.effects(run, codes, edited[group], rows[group])))
    out = np.zeros((len(edited), parts[0][1].shape[1]), np.float32)
    for group, found in parts:
        out[group] = found
    return out
