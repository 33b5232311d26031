"""The local part of a graph in segments, so that positions which change can be computed without their neighbours.

A segment ends at a tensor whose numbers are kept: one that is read beyond its ends, or by a convolution, whose
positions share their inputs, or by several segments. Its nodes compute any stretch of positions of this tensor from the
stretches of kept tensors that it reads; what is beyond the ends is put there beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from zoo_runtimes.onnx.graph import Graph, NotShared, inputs_of
from zoo_runtimes.onnx.local import Grid, Local, Reach, local, slices, spatial

if TYPE_CHECKING:
    import onnx

END = np.iinfo(np.int64).max


class Use(NamedTuple):
    """A stretch of a kept tensor that a segment reads. name: of the input of the segment's model.  edge: beyond the
    ends."""

    name: str
    tensor: str
    reach: Reach
    edge: float


class Segment(NamedTuple):
    """What computes one kept tensor. reaches: of each node's output, from that of the segment."""

    output: str
    nodes: tuple[Local, ...]
    reaches: tuple[Reach, ...]
    uses: tuple[Use, ...]


class Region(NamedTuple):
    """The local part of a graph behind its tensor `root`, and the other nodes, which need some of its tensors.

    grids: of all local tensors.  segments: in an order in which they can be computed.  last: tensors that `rest` needs.
    """

    root: str
    grids: dict[str, Grid]
    nodes: tuple[Local, ...]
    segments: tuple[Segment, ...]
    last: tuple[str, ...]
    rest: tuple[onnx.NodeProto, ...]


def region(graph: Graph, root: str, grid: Grid, after: Sequence[onnx.NodeProto]) -> Region:
    """Divide the nodes that depend on `root`. Raises NotShared if none of them is a local one."""
    grids, nodes, rest = {root: grid}, [], []
    for node in after:
        found = local(node, graph, grids)
        if found is None:
            rest.append(node)
        else:
            nodes.append(found)
            grids[node.output[0]] = found.grid
    needed = {name for node in rest for name in inputs_of(node, graph)} | {graph.output}
    last = tuple(name for name in grids if name in needed)
    if not nodes or not rest:
        raise NotShared("no part of the graph is local" if rest else "no part of the graph mixes positions")
    return Region(root, grids, tuple(nodes), _segments(nodes, root, set(last)), last, tuple(rest))


def _segments(nodes: Sequence[Local], root: str, last: set[str]) -> tuple[Segment, ...]:
    kept = {root, *last}
    demands: dict[str, set[tuple[str, Reach]]] = {}
    homes: list[tuple[Local, str, Reach]] = []
    for one in reversed(nodes):
        output = one.node.output[0]
        wanted = demands.pop(output, set())
        if not wanted and output not in last:
            continue
        if output in kept or len(wanted) != 1:
            kept.add(output)
            wanted = {(output, Reach())}
        ((home, reach),) = wanted
        homes.append((one, home, reach))
        for name in one.inputs:
            if one.edge is not None or one.halo:
                kept.add(name)
            demands.setdefault(name, set()).add((home, one.reach.after(reach)))
    segments = []
    for output in [one.node.output[0] for one in nodes if one.node.output[0] in kept]:
        inside = [(one, reach) for one, home, reach in reversed(homes) if home == output]
        uses = {
            name: None
            for one, reach in inside
            for name in (_use(one, reach, name) for name in one.inputs if name in kept)
        }
        members, reaches = zip(*inside, strict=True)
        segments.append(Segment(output, members, reaches, tuple(uses)))
    return tuple(segments)


def _use(one: Local, reach: Reach, name: str) -> Use:
    stretch = one.reach.after(reach)
    edge = 0.0 if one.edge is None else one.edge
    return Use(f"{name}@{stretch.stride},{stretch.first},{stretch.extent},{edge}", name, stretch, edge)


def placed(
    segment: Segment, graph: Graph, grids: dict[str, Grid]
) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """The nodes of a segment's model, without padding, for stretches of any length; and their further constants."""
    made: list[onnx.NodeProto] = []
    constants: dict[str, np.ndarray] = {}
    for one, reach in zip(segment.nodes, segment.reaches, strict=True):
        renamed = {use.tensor: use.name for name in one.inputs if (use := _use(one, reach, name)) in segment.uses}
        node = type(one.node)()
        node.CopyFrom(one.node)
        node.input[:] = [renamed.get(name, name) for name in node.input]
        axis, shape = grids[one.inputs[0]].axis, graph.shapes[one.inputs[0]]
        if node.op_type in ("Conv", "MaxPool", "AveragePool"):
            full = spatial(one.node, graph, grids[one.inputs[0]], shape)
            sizes = len(full["kernel_shape"])
            full["pads"][axis - 2] = full["pads"][axis - 2 + sizes] = 0
            set_spatial(node, full)
        elif node.op_type == "Pad":
            del node.input[1:]
            set_attributes(node, {}, "Identity")
        elif node.op_type == "Slice":
            cut(node, graph, axis, len(shape), one.reach.stride, constants)
        elif node.op_type == "Reshape":
            reshape(node, graph, one.grid.axis, constants)
        made.append(node)
    return made, constants


def set_attributes(node: onnx.NodeProto, values: dict[str, object], kind: str | None = None) -> None:
    """Replace the attributes of a node, and its operator."""
    from onnx import helper

    del node.attribute[:]
    node.attribute.extend(helper.make_attribute(key, value) for key, value in values.items())
    node.op_type = kind or node.op_type


def set_spatial(node: onnx.NodeProto, values: dict[str, Any]) -> None:
    """Replace the attributes of a convolution or pooling. Before operator set 19, averages have no dilations."""
    plain = node.op_type == "AveragePool" and set(values["dilations"]) == {1}
    set_attributes(node, {key: value for key, value in values.items() if not (plain and key == "dilations")})


def cut(node: onnx.NodeProto, graph: Graph, axis: int, rank: int, step: int, constants: dict[str, np.ndarray]) -> None:
    """Let a Slice begin at the first position, end at the last one, and take every `step`-th."""
    found = {**(slices(node, graph, rank) or {}), axis: (0, END, step)}
    columns = ([one[0] for one in found.values()], [one[1] for one in found.values()], [*found])
    arrays = (*columns, [one[2] for one in found.values()])
    names = [f"{node.output[0]}@{key}" for key in ("starts", "ends", "axes", "steps")]
    constants |= {name: np.array(array, np.int64) for name, array in zip(names, arrays, strict=True)}
    node.input[1:] = names


def reshape(node: onnx.NodeProto, graph: Graph, axis: int, constants: dict[str, np.ndarray]) -> None:
    """Let a Reshape take any number of rows and positions."""
    shape = [0, *graph.shapes[node.output[0]][1:]]
    shape[axis] = -1
    name = f"{node.output[0]}@shape"
    constants[name] = np.array(shape, np.int64)
    node.input[1] = name
    set_attributes(node, {})


def affected(
    segment: Segment, grids: dict[str, Grid], ranges: dict[str, tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """First and last position of a segment's output that depend on ranges of positions of its inputs; an empty range
    has its last position before its first one."""
    positions = grids[segment.output].positions
    firsts, lasts = [], []
    for use in segment.uses:
        stride, offset, extent = use.reach
        first, last = ranges[use.tensor]
        low = np.maximum(-((offset + extent - 1 - first) // stride), 0)
        high = np.minimum((last - offset) // stride, positions - 1)
        empty = (first > last) | (low > high)
        firsts.append(np.where(empty, positions, low))
        lasts.append(np.where(empty, -1, high))
    return np.minimum.reduce(firsts), np.maximum.reduce(lasts)


def ends(segment: Segment, grids: Mapping[str, Grid], own: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    """Number of positions at both ends of a segment's output that depend on what is outside, or on such positions of
    its inputs."""
    positions = grids[segment.output].positions
    left = right = 0
    for use in segment.uses:
        stride, offset, extent = use.reach
        before, behind = own[use.tensor]
        left = max(left, math.ceil((before - offset) / stride))
        first = (grids[use.tensor].positions - behind - offset - extent) // stride + 1
        right = max(right, positions - first)
    return (positions, 0) if left + right >= positions else (left, right)
