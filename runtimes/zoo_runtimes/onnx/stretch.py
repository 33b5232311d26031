"""The local part of a graph for all windows of a stretch of DNA together: one position serves many windows.

Strides become dilations of the layers behind them (the "à trous" algorithm), so that windows which begin at any base
find their positions; strides that divide the distance of the windows remain. Position q of every tensor belongs to base
q * spacing of the stretch, so all tensors have the same length up to that factor. Positions that depend on what is
outside a window, or the stretch, are wrong here; the caller computes them otherwise.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo_runtimes.onnx.graph import Graph, NotShared
from zoo_runtimes.onnx.local import Grid, Local, spatial
from zoo_runtimes.onnx.segments import Region, cut, reshape, set_attributes, set_spatial

if TYPE_CHECKING:
    import onnx

DILATED_AVERAGES = 19
"""First operator set with AveragePool that has dilations."""


def spacing(grid: Grid, stride: int) -> int:
    """Bases between two positions of a tensor on a stretch whose windows are `stride` bases apart."""
    return math.gcd(grid.step, stride)


def placed(region: Region, graph: Graph, stride: int) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """The nodes for a whole stretch, whose length must be a multiple of `stride`, and their further constants.

    Raises NotShared for a layer that cannot be dilated.
    """
    made: list[onnx.NodeProto] = []
    constants: dict[str, np.ndarray] = {}
    for one in region.nodes:
        lower = region.grids[one.inputs[0]]
        widening = lower.step // spacing(lower, stride)
        step = spacing(one.grid, stride) // spacing(lower, stride)
        made += _node(one, graph, lower, widening, step, constants)
    return made, constants


def _node(
    one: Local, graph: Graph, lower: Grid, widening: int, step: int, constants: dict[str, np.ndarray]
) -> list[onnx.NodeProto]:
    """Nodes in place of one. widening: positions on the stretch from one position of the input to the next.  step:
    positions on the stretch of the input from one of the output to the next."""
    node = type(one.node)()
    node.CopyFrom(one.node)
    shape = graph.shapes[one.inputs[0]]
    left = -one.reach.first * widening
    right = (one.reach.extent - 1) * widening - left
    if node.op_type == "Conv":
        if min(left, right) < 0:
            raise NotShared("more padding than a kernel reads")
        _dilate(node, spatial(one.node, graph, lower, shape), lower.axis, widening, step, (left, right))
        return [node]
    if node.op_type in ("MaxPool", "AveragePool"):
        pad = _shift(node, lower.axis, len(shape), left, right, constants)
        full = spatial(one.node, graph, lower, shape)
        if node.op_type == "AveragePool" and widening > 1 and graph.opset < DILATED_AVERAGES:
            _average(node, full, shape[1], constants)
        _dilate(node, full, lower.axis, widening, step, (0, 0))
        return [*pad, node]
    if node.op_type in ("Slice", "Pad"):
        return _moved(one, node, graph, lower.axis, (left, right), step, constants)
    if node.op_type == "Reshape":
        reshape(node, graph, one.grid.axis, constants)
    return [node]


def _dilate(
    node: onnx.NodeProto, full: dict[str, Any], axis: int, widening: int, step: int, pads: tuple[int, int]
) -> None:
    at, sizes = axis - 2, len(full["kernel_shape"])
    full["strides"][at] = step
    full["dilations"][at] *= widening
    full["pads"][at], full["pads"][at + sizes] = pads
    set_spatial(node, full)


def _average(node: onnx.NodeProto, full: dict[str, Any], channels: int, constants: dict[str, np.ndarray]) -> None:
    """Turn an average into a convolution of every channel by itself."""
    kernel = full["kernel_shape"]
    name = f"{node.output[0]}@weights"
    constants[name] = np.full((channels, 1, *kernel), 1 / math.prod(kernel), np.float32)
    node.input.append(name)
    node.op_type = "Conv"
    for key in set(full) - {"kernel_shape", "strides", "dilations", "pads"}:
        del full[key]
    full["group"] = channels


def _shift(
    node: onnx.NodeProto, axis: int, rank: int, left: int, right: int, constants: dict[str, np.ndarray]
) -> list[onnx.NodeProto]:
    """A node that adds positions to the input of another one, or takes some away where the number is negative."""
    from onnx import helper

    if not left and not right:
        return []
    pads = np.zeros(2 * rank, np.int64)
    pads[axis], pads[axis + rank] = left, right
    name = f"{node.output[0]}@shifted"
    constants[f"{name}_pads"] = pads
    source, node.input[0] = node.input[0], name
    # ONNX Runtime would fuse constant padding with a pooling behind it, and refuse more than a kernel
    mode = "edge" if min(left, right) >= 0 else "constant"
    return [helper.make_node("Pad", [source, f"{name}_pads"], [name], mode=mode)]


def _moved(
    one: Local,
    node: onnx.NodeProto,
    graph: Graph,
    axis: int,
    shift: tuple[int, int],
    step: int,
    constants: dict[str, np.ndarray],
) -> list[onnx.NodeProto]:
    """A Slice or Pad as a move of all positions, and a Slice of other axes."""
    rank = len(graph.shapes[one.inputs[0]])
    if node.op_type == "Pad":
        del node.input[1:]
        set_attributes(node, {}, "Identity")
        return [*_shift(node, axis, rank, *shift, constants), node]
    pad = _shift(node, axis, rank, *shift, constants)
    cut(node, graph, axis, rank, step, constants)
    return [*pad, node]
