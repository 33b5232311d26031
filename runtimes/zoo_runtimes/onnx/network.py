"""A graph divided into its local part and the rest, the models of both, and when sharing the local part saves time.

Needs `onnx`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.spec import UNKNOWN_BASE
from zoo_runtimes.onnx import root, segments
from zoo_runtimes.onnx.graph import Graph, NotShared, Start, multiplications
from zoo_runtimes.onnx.local import Grid
from zoo_runtimes.onnx.root import Feed
from zoo_runtimes.onnx.segments import Segment, Use

if TYPE_CHECKING:
    import onnx
    import onnxruntime

Run = Callable[[np.ndarray], np.ndarray]
"""Base codes, uint8 (N, L), N >= 1 -> activities, float32 (N, T)."""

TOLERANCE = 2e-5
"""Largest difference from plain predictions, over the largest prediction."""

CHECKED = 24
"""Edits or windows in that comparison."""

UNKNOWN_SHARE = 0.02
"""Share of Ns in its random sequences."""

BLOCK = 1 << 21
"""Numbers of the largest array in a batch of edits or windows; such an array fits the caches."""

MOST_ROWS = 1024
"""Edits or windows in a batch."""

ELEMENT, MOVED = 10.0, 40.0
"""Time to write a number in a layer, and to copy one between layers, over that of a multiplication."""

GAIN = 2.0
"""Ratio of the estimated times from which work is shared; narrow layers take up to twice as long as estimated."""


class Network:
    """A graph in parts. Raises NotShared if it has no local part, or the time of a part cannot be estimated.

    output: the one to compute.  feed: base codes -> the input of the graph.  run: computes the whole graph, for
    comparisons.  length: L, bases.
    """

    def __init__(self, path: Path, output: str, feed: Feed, run: Run, length: int, start: Start) -> None:
        self.graph = Graph(path, output, start)
        self.run, self.length = run, length
        found = root.find(self.graph, feed, length)
        self.root, self.strands = found.name, found.strands
        self.region = segments.region(self.graph, found.name, found.grid, found.after)
        self.grids: dict[str, Grid] = self.region.grids
        self.whole = sum(self._time(node) for node in found.after)
        self._rest_time = sum(self._time(node) for node in self.region.rest)
        self._rest_time += MOVED * sum(self.size(name) * self.grids[name].positions for name in self.region.last)

    @functools.cached_property
    def kept(self) -> tuple[str, ...]:
        """The tensors whose numbers segments and the rest of the network read."""
        used = [use.tensor for segment in self.region.segments for use in segment.uses]
        return tuple(dict.fromkeys([*used, *self.region.last]))

    @functools.cached_property
    def whole_local(self) -> onnxruntime.InferenceSession:
        """The local part for whole sequences: root -> `kept`, but for the root."""
        inner = [name for name in self.kept if name != self.root]
        return self.graph.model([one.node for one in self.region.nodes], {self.root: self.root}, inner)

    @functools.cached_property
    def rest(self) -> onnxruntime.InferenceSession:
        """The rest of the network: the last local tensors -> activities."""
        return self.graph.model(self.region.rest, {name: name for name in self.region.last}, [self.graph.output])

    @functools.cached_property
    def models(self) -> list[onnxruntime.InferenceSession]:
        """The model of each segment."""
        found = []
        for one in self.region.segments:
            nodes, constants = segments.placed(one, self.graph, self.grids)
            inputs = {use.name: use.tensor for use in one.uses}
            found.append(self.graph.model(nodes, inputs, [one.output], constants))
        return found

    def size(self, tensor: str) -> float:
        """Numbers in one position of a tensor, of all strands."""
        return float(np.prod(self.graph.shapes[tensor])) / self.grids[tensor].positions

    def rows(self, widths: Mapping[Use, int]) -> int:
        """Edits or windows in a batch. widths: of the stretches that segments read."""
        sizes = [self.size(use.tensor) * width for use, width in widths.items()]
        sizes += [self.size(name) * self.grids[name].positions for name in self.region.last]
        return int(min(max(BLOCK * len(self.strands) // max(sizes), 1), MOST_ROWS))

    def activities(self, last: Mapping[str, list[np.ndarray]]) -> np.ndarray:
        """The last local tensors, an array of rows for each strand -> float32 (rows, T)."""
        whole = {name: arrays[0] if len(arrays) == 1 else np.concatenate(arrays) for name, arrays in last.items()}
        found: np.ndarray = self.rest.run(None, whole)[0]
        return found.reshape(len(found), -1)

    def random(self, bases: int) -> np.ndarray:
        """Random base codes with some Ns, uint8 (bases,)."""
        generator = np.random.default_rng(0)
        codes = generator.integers(0, UNKNOWN_BASE, bases, np.uint8)
        codes[generator.random(bases) < UNKNOWN_SHARE] = UNKNOWN_BASE
        return codes

    def compare(self, found: np.ndarray, codes: np.ndarray) -> None:
        """Raise NotShared unless activities are those of the whole network."""
        expected = self.run(np.ascontiguousarray(codes))
        if not np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max():
            raise NotShared("other numbers")

    def check_time(self, local: float) -> None:
        """Raise NotShared unless mutants, edits or windows are faster with this time for the local part of one."""
        if not self.saves(local):
            raise NotShared("no time is saved")

    def saves(self, local: float, number: float = math.inf) -> bool:
        """Whether it is faster if so many share the computation of one whole sequence."""
        return self.whole * (1 - 1 / number) >= GAIN * (local + self._rest_time)

    def patch_time(self, segment: Segment, width: int) -> float:
        """Time to compute `width` positions of a segment's output in one edit or window."""
        if not width:
            return 0
        total = sum(MOVED * self.size(use.tensor) * stretch_width(use, width) for use in segment.uses)
        for one, reach in zip(segment.nodes, segment.reaches, strict=True):
            total += self.position_time(one.node) * ((width - 1) * reach.stride + reach.extent)
        return total

    def position_time(self, node: onnx.NodeProto) -> float:
        """Time to compute one position of a local node's output."""
        return self._time(node) / self.grids[node.output[0]].positions

    def _time(self, node: onnx.NodeProto) -> float:
        written = sum(float(np.prod(self.graph.shapes.get(name, (0,)))) for name in node.output if name)
        return multiplications(node, self.graph) + ELEMENT * written


def stretch_width(use: Use, width: int) -> int:
    """Positions of a kept tensor that a segment reads for `width` positions of its output."""
    return (width - 1) * use.reach.stride + use.reach.extent
