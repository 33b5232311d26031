"""Windows along a contig that share the local part of the network.

It is computed once for a stretch of DNA. Where padding makes the ends of a window differ from the stretch, the
positions at these ends are computed for each window, from the numbers of the stretch beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from zoo.dna import windows
from zoo.spec import UNKNOWN_BASE
from zoo_runtimes.onnx import patches, stretch
from zoo_runtimes.onnx.network import CHECKED, Network, stretch_width
from zoo_runtimes.onnx.patches import Patch
from zoo_runtimes.onnx.root import Strand
from zoo_runtimes.onnx.segments import Use, ends

if TYPE_CHECKING:
    import onnxruntime

STRETCH = 1 << 23
"""Numbers of the largest tensor of a stretch."""

SHORTEST = 4
"""Sequence lengths in a stretch; shorter ones would compute much twice, where they overlap."""

Ends = dict[str, tuple[int, int]]
"""Kept tensor -> number of positions at its left and right end that a window does not share."""


class Windows:
    """All windows of one stride. Raises NotShared if predicting each takes no longer, or gives other numbers."""

    def __init__(self, network: Network, stride: int) -> None:
        self._network, self._stride = network, stride
        self._ends = [_ends(network, strand) for strand in network.strands]
        network.check_time(self._time())
        nodes, constants = stretch.placed(network.region, network.graph, stride)
        inner = [name for name in network.kept if name != network.root]
        self._model: onnxruntime.InferenceSession = network.graph.model(
            nodes, {network.root: network.root}, inner, constants
        )
        self._names = inner
        self._rows = min(network.rows(self._widths(own)) for own in self._ends)
        largest = max(
            network.size(name) / len(network.strands) / stretch.spacing(grid, stride)
            for name, grid in network.grids.items()
        )
        self._most = int(max(STRETCH / largest, SHORTEST * network.length)) // stride + 1
        self._check()

    def activities(self, codes: np.ndarray) -> np.ndarray:
        """See `windows` in zoo.contracts.ShorterWays."""
        length, stride = self._network.length, self._stride
        total = windows.count(len(codes), length, stride)
        parts = []
        for first in range(0, total, self._most):
            last = min(first + self._most, total) - 1
            parts.append(self._block(codes[first * stride : last * stride + length], last - first + 1))
        return np.concatenate(parts)

    def _block(self, codes: np.ndarray, total: int) -> np.ndarray:
        network = self._network
        whole = [self._whole(strand, codes) for strand in network.strands]
        parts = []
        for first in range(0, total, self._rows):
            rows = range(first, min(first + self._rows, total))
            found = []
            for number, strand in enumerate(network.strands):
                own = range(total - 1 - rows[0], total - 1 - rows[-1] - 1, -1) if strand.reverse else rows
                found.append(self._last(number, whole[number], own))
            parts.append(network.activities({name: [one[name] for one in found] for name in network.region.last}))
        return np.concatenate(parts)

    def _whole(self, strand: Strand, codes: np.ndarray) -> dict[str, np.ndarray]:
        """The kept tensors of a stretch with the bases of a strand, as if there were no ends."""
        network, stride = self._network, self._stride
        grid = network.grids[network.root]
        # a layer may pad so much that a window has positions beyond its last base
        reach = max(grid.positions * grid.step for grid in network.grids.values())
        needed = len(codes) - network.length + reach
        padded = np.full((1, -(-needed // stride) * stride), UNKNOWN_BASE, np.uint8)
        padded[0, strand.first : strand.first + len(codes)] = strand.oriented(codes)
        given = np.ascontiguousarray(strand.rows(padded, grid.axis))
        arrays = self._model.run(self._names, {network.root: given})
        return {network.root: given, **dict(zip(self._names, arrays, strict=True))}

    def _last(self, number: int, whole: Mapping[str, np.ndarray], rows: range) -> dict[str, np.ndarray]:
        """The last local tensors of windows, for one strand."""
        network, own = self._network, self._ends[number]
        found = {network.root: self._flanks(number, len(rows))}
        for segment, model in zip(network.region.segments, network.models, strict=True):
            found[segment.output] = []
            for start, width in self._stretches(segment.output, own):
                given = {}
                for use in segment.uses:
                    begin = start * use.reach.stride + use.reach.first
                    given[use.name] = self._read(use.tensor, whole, rows, begin, stretch_width(use, width), use.edge)
                    _overlay(given[use.name], network.grids[use.tensor].axis, begin, found[use.tensor])
                values = model.run(None, given)[0]
                found[segment.output].append(Patch(np.full(len(rows), start), values))
        last = {}
        for name in network.region.last:
            grid = network.grids[name]
            last[name] = self._read(name, whole, rows, 0, grid.positions, 0.0)
            _overlay(last[name], grid.axis, 0, found[name])
        return last

    def _flanks(self, number: int, rows: int) -> list[Patch]:
        """The columns of the root that are the same in all windows."""
        network = self._network
        strand, axis = network.strands[number], network.grids[network.root].axis
        made = []
        for start, width in self._stretches(network.root, self._ends[number]):
            inner = (slice(None),) * axis + (slice(start, start + width),)
            made.append(Patch(np.full(rows, start), np.repeat(strand.template[inner], rows, 0)))
        return made

    def _stretches(self, tensor: str, own: Ends) -> list[tuple[int, int]]:
        """First position and number of those at each end of a tensor that windows do not share."""
        left, right = own[tensor]
        positions = self._network.grids[tensor].positions
        return [(start, width) for start, width in ((0, left), (positions - right, right)) if width]

    def _read(
        self, tensor: str, whole: Mapping[str, np.ndarray], rows: range, begin: int, width: int, edge: float
    ) -> np.ndarray:
        """`width` positions of a tensor in each window, without those that windows do not share."""
        grid = self._network.grids[tensor]
        apart = stretch.spacing(grid, self._stride)
        steps = (self._stride // apart, grid.step // apart)
        low = max(begin, 0)
        high = max(min(begin + width, grid.positions), low)
        shared = patches.spread(whole[tensor], grid.axis, rows, steps, low, high - low)
        if (low, high) == (begin, begin + width):
            return shared.copy()
        shape = [*shared.shape]
        shape[grid.axis] = width
        array = np.full(shape, edge, shared.dtype)
        array[(slice(None),) * grid.axis + (slice(low - begin, high - begin),)] = shared
        return array

    def _widths(self, own: Ends) -> dict[Use, int]:
        return {
            use: max((stretch_width(use, width) for _, width in self._stretches(one.output, own)), default=0)
            for one in self._network.region.segments
            for use in one.uses
        }

    def _time(self) -> float:
        """Estimated time of the local part for one window."""
        network = self._network
        total = 0.0
        for one in network.region.nodes:
            total += network.position_time(one.node) * self._stride / stretch.spacing(one.grid, self._stride)
        for own in self._ends:
            for segment in network.region.segments:
                times = [network.patch_time(segment, width) for _, width in self._stretches(segment.output, own)]
                total += sum(times) / len(self._ends)
        return total

    def _check(self) -> None:
        network, stride = self._network, self._stride
        codes = network.random((CHECKED - 1) * stride + network.length)
        network.compare(self._block(codes, CHECKED), windows.cut(codes, network.length, stride))


def _overlay(array: np.ndarray, axis: int, begin: int, found: list[Patch]) -> None:
    for patch in found:
        patches.overlay(array, axis, np.full(len(array), begin), patch)


def _ends(network: Network, strand: Strand) -> Ends:
    """How many positions at the ends of each kept tensor a window does not share."""
    behind = network.grids[network.root].positions - network.length - strand.first
    found = {network.root: (strand.first, behind)}
    for segment in network.region.segments:
        found[segment.output] = ends(segment, network.grids, found)
    return found
