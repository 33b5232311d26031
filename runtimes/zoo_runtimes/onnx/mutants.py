"""In silico mutagenesis that computes the positions that a mutation changes, as fastISM does.

Nair et al., Bioinformatics 2022, doi:10.1093/bioinformatics/btac135. The numbers around the changed positions are those
of the sequence without the mutation, which is computed once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from zoo.spec import ALPHABET
from zoo_runtimes.onnx import patches
from zoo_runtimes.onnx.network import CHECKED, Network, stretch_width
from zoo_runtimes.onnx.patches import Patch
from zoo_runtimes.onnx.root import Strand
from zoo_runtimes.onnx.segments import affected


class Change(NamedTuple):
    """Where a mutation changes a tensor. starts: first position for a mutation of each base, (L,).  width: positions,
    the same for all mutations."""

    starts: np.ndarray
    width: int


class Mutants:
    """All mutants of a sequence. Raises NotShared if predicting each takes no longer, or gives other numbers."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._changes = [_changes(network, strand) for strand in network.strands]
        segments, strands = network.region.segments, len(network.strands)
        times = [network.patch_time(one, plan[one.output].width) for plan in self._changes for one in segments]
        network.check_time(sum(times) / strands)
        self._rows = min(
            network.rows({use: stretch_width(use, plan[one.output].width) for one in segments for use in one.uses})
            for plan in self._changes
        )
        self._check()

    def effects(self, codes: np.ndarray) -> np.ndarray:
        """See `mutants` in zoo.contracts.ShorterWays."""
        parts = []
        for row in codes:
            position, base = np.nonzero(row[:, None] != np.arange(len(ALPHABET)))
            before, after = self._activities(row, position, base)
            effects = np.zeros((len(row), len(ALPHABET), before.shape[1]), np.float32)
            effects[position, base] = after - before
            parts.append(effects)
        return np.stack(parts)

    def _activities(self, row: np.ndarray, position: np.ndarray, base: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Activities of a sequence, (1, T), and of its mutants with `base` at `position`, (M, T)."""
        network = self._network
        whole = [self._whole(strand, row) for strand in network.strands]
        before = network.activities({name: [kept[name] for kept in whole] for name in network.region.last})
        parts = []
        for first in range(0, len(position), self._rows):
            part = slice(first, first + self._rows)
            found = [self._last(number, kept, position[part], base[part]) for number, kept in enumerate(whole)]
            parts.append(network.activities({name: [one[name] for one in found] for name in network.region.last}))
        return before, np.concatenate(parts)

    def _whole(self, strand: Strand, row: np.ndarray) -> dict[str, np.ndarray]:
        """The kept tensors of one sequence."""
        network = self._network
        arranged = strand.whole(row[None], network.grids[network.root].axis)
        inner = [name for name in network.kept if name != network.root]
        arrays = network.whole_local.run(inner, {network.root: arranged})
        return {network.root: arranged, **dict(zip(inner, arrays, strict=True))}

    def _last(
        self, number: int, whole: Mapping[str, np.ndarray], position: np.ndarray, base: np.ndarray
    ) -> dict[str, np.ndarray]:
        """The last local tensors of mutants, for one strand."""
        network, plan = self._network, self._changes[number]
        axis = network.grids[network.root].axis
        columns = network.strands[number].rows(base[:, None], axis)
        found = {network.root: Patch(plan[network.root].starts[position], columns)}
        for segment, model in zip(network.region.segments, network.models, strict=True):
            change = plan[segment.output]
            starts = change.starts[position]
            given = {}
            for use in segment.uses:
                axis = network.grids[use.tensor].axis
                begin = starts * use.reach.stride + use.reach.first
                width = stretch_width(use, change.width)
                array = patches.cut(whole[use.tensor], axis, begin, width, use.edge)
                patches.overlay(array, axis, begin, found[use.tensor])
                given[use.name] = array
            found[segment.output] = Patch(starts, model.run(None, given)[0])
        last = {}
        for name in network.region.last:
            array = np.repeat(whole[name], len(position), 0)
            patches.overlay(array, network.grids[name].axis, np.zeros(len(position), int), found[name])
            last[name] = array
        return last

    def _check(self) -> None:
        network = self._network
        row = network.random(network.length)
        position = np.linspace(0, network.length - 1, CHECKED // 2).astype(int)
        position = np.concatenate([position, np.minimum(position + 1, network.length - 1)])
        base = (row[position] + 1 + np.arange(len(position)) % 3) % len(ALPHABET)
        changed = np.repeat(row[None], len(position), 0)
        changed[np.arange(len(position)), position] = base
        before, after = self._activities(row, position, base)
        network.compare(np.concatenate([before, after]), np.concatenate([row[None], changed]))


def _changes(network: Network, strand: Strand) -> dict[str, Change]:
    """Where each mutation changes each kept tensor."""
    column = strand.first + strand.oriented(np.arange(network.length))
    ranges = {network.root: (column, column)}
    found = {network.root: Change(column, 1)}
    for segment in network.region.segments:
        first, last = ranges[segment.output] = affected(segment, network.grids, ranges)
        width = max(int((last - first).max()) + 1, 1)
        found[segment.output] = Change(np.minimum(first, network.grids[segment.output].positions - width), width)
    return found
