"""The tensor at which the network proper begins, behind what only arranges the bases; found by trying it out.

Nodes at the start of a graph look up one-hot rows, transpose, add constant flanks and channels, or put the reverse
complement beside the sequence along the batch axis. The root is the last tensor whose every column is either constant
or depends on one base, in the same way at all positions. Needs `onnx`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from zoo.spec import ALPHABET
from zoo_runtimes.onnx.graph import Graph, NotShared, inputs_of
from zoo_runtimes.onnx.local import Grid

if TYPE_CHECKING:
    import onnx

Feed = Callable[[np.ndarray], np.ndarray]
"""Base codes, uint8 (N, L) -> the array for the input of a graph."""

CODES = len(ALPHABET) + 1
PROBES = 4
"""Random sequences with which a root is verified."""

MIXING = {"Conv", "ConvTranspose", "MatMul", "Gemm", "LSTM", "GRU", "RNN", "MaxPool", "AveragePool", "Einsum"}
"""Operators that no arrangement of bases has: the search ends before the first one."""


class Strand(NamedTuple):
    """One block of rows of the root: the sequence, or its reverse complement.

    first: column of the first base that its rows read.  reverse: whether that is the last base of the sequence.
    columns: base code -> the column of a base, float (5, ...).  template: the root of one sequence, (1, ...).
    """

    first: int
    reverse: bool
    columns: np.ndarray
    template: np.ndarray

    def oriented(self, codes: np.ndarray) -> np.ndarray:
        """Base codes (..., L) in the order of the columns. They are not complemented: `columns` does that."""
        return codes[..., ::-1] if self.reverse else codes

    def whole(self, codes: np.ndarray, axis: int) -> np.ndarray:
        """Base codes of whole sequences, (N, L) -> their rows of the root."""
        rows = np.repeat(self.template, len(codes), 0)
        inner = (slice(None),) * axis + (slice(self.first, self.first + codes.shape[1]),)
        rows[inner] = self.rows(self.oriented(codes), axis)
        return rows

    def rows(self, codes: np.ndarray, axis: int) -> np.ndarray:
        """Base codes (N, B) along the columns -> the columns of these bases alone, (N, ..., B, ...)."""
        return np.moveaxis(self.columns[codes], 1, axis)


class Root(NamedTuple):
    """name: of the tensor.  grid: its columns.  strands: blocks of its rows.  after: the nodes that remain."""

    name: str
    grid: Grid
    strands: tuple[Strand, ...]
    after: tuple[onnx.NodeProto, ...]


def find(graph: Graph, feed: Feed, length: int) -> Root:
    """The root of a graph. Raises NotShared if there is none."""
    names, position = _candidates(graph)
    names = [name for name in names if name in graph.shapes]
    inner = [name for name in names if name != graph.input]
    before = graph.nodes[: max(position.values(), default=0)]
    session = graph.model(before, {graph.input: graph.input}, inner) if inner else None

    def run(codes: np.ndarray) -> dict[str, np.ndarray]:
        given = feed(codes)
        made = session.run(inner, {graph.input: given}) if session else []
        return {graph.input: given, **dict(zip(inner, made, strict=True))}

    probes = _probes(length)
    tensors = run(probes)
    for name in reversed(names):
        found = _arranged(tensors[name], probes, length)
        if found:
            grid, strands = found
            after = graph.nodes[position[name] :]
            made = {name, *(output for node in after for output in node.output)}
            read = {one for node in after for one in inputs_of(node, graph)}
            if len(strands) == graph.shapes[name][0] and read <= made:
                return Root(name, grid, strands, tuple(after))
    raise NotShared("the input is not a row of bases")


def _candidates(graph: Graph) -> tuple[list[str], dict[str, int]]:
    """Tensors that all later nodes depend on through them alone, and the number of nodes up to each."""
    uses: dict[str, int] = {}
    for node in graph.nodes:
        for name in inputs_of(node, graph):
            uses[name] = uses.get(name, 0) + 1
    alive = {graph.input: uses.get(graph.input, 0)}
    found, position = [graph.input], {graph.input: 0}
    for number, node in enumerate(graph.nodes, 1):
        if node.op_type in MIXING:
            break
        for name in inputs_of(node, graph):
            alive[name] -= 1
        alive |= {name: uses[name] for name in node.output if name in uses}
        alive = {name: left for name, left in alive.items() if left}
        if len(alive) == 1:
            (name,) = alive
            if name in node.output:
                found.append(name)
                position[name] = number
    return found, position


def _probes(length: int) -> np.ndarray:
    """One sequence of each base code, then some with another base at one position, then random ones."""
    same = np.repeat(np.arange(CODES, dtype=np.uint8)[:, None], length, 1)
    changed = np.zeros((2, length), np.uint8)
    changed[[0, 1], [0, length - 1]] = 1
    random = np.random.default_rng(0).integers(0, CODES, (PROBES, length), np.uint8)
    return np.concatenate([same, changed, random])


def _arranged(tensor: np.ndarray, probes: np.ndarray, length: int) -> tuple[Grid, tuple[Strand, ...]] | None:
    """The columns of a tensor for the probes, if it is an arrangement of bases."""
    if tensor.ndim < 2 or len(tensor) % len(probes) or not len(tensor):
        return None
    strands = []
    axes = set()
    for block in tensor.reshape(-1, len(probes), *tensor.shape[1:]):
        found = [_column(block[0], block[CODES + end]) for end in (0, 1)]
        if length < 2 or None in found:
            return None
        (axis, start), (other, end) = found  # type: ignore[misc]
        if axis != other or abs(end - start) != length - 1:
            return None
        axes.add(axis)
        columns = np.moveaxis(block[:CODES], axis, 1)[:, start]
        strand = Strand(min(start, end), end < start, columns, block[:1].copy())
        if not np.array_equal(strand.whole(probes, axis), block):
            return None
        strands.append(strand)
    if len(axes) != 1:
        return None
    axis = axes.pop()
    return Grid(axis, tensor.shape[axis], 1), tuple(strands)


def _column(one: np.ndarray, two: np.ndarray) -> tuple[int, int] | None:
    """Axis and index of the one column in which two arrays differ. The axis counts from the batch axis, which they
    lack."""
    where = np.argwhere(one != two)
    if not len(where):
        return None
    # along the axis of positions all differences have one index; the longest such axis is meant
    same = [axis for axis in range(one.ndim) if len(set(where[:, axis])) == 1 and one.shape[axis] > 1]
    if not same:
        return None
    axis = max(same, key=lambda axis: one.shape[axis])
    return axis + 1, int(where[0, axis])
