"""Which positions of its inputs a position of a node's output depends on, for every operator that is local.

An operator that is not known here, or mixes all positions, ends the local part of a graph. Needs `onnx`.
Position p of an output depends on the positions p * stride + first and the next ones, `extent` in all, of an input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from zoo_runtimes.onnx.graph import Graph, attributes, inputs_of

if TYPE_CHECKING:
    import onnx


class Reach(NamedTuple):
    """Which positions are read, see the top of this file."""

    stride: int = 1
    first: int = 0
    extent: int = 1

    def after(self, upper: Reach) -> Reach:
        """The reach of two nodes; the output of this one is the input of `upper`."""
        return Reach(
            upper.stride * self.stride,
            upper.first * self.stride + self.first,
            (upper.extent - 1) * self.stride + self.extent,
        )


class Grid(NamedTuple):
    """axis: of a tensor, along which its positions lie.  positions: number of them.  step: bases from one to the
    next."""

    axis: int
    positions: int
    step: int


class Local(NamedTuple):
    """A local node. reach: of every input.  grid: of its output.

    edge: what the node reads outside its input, such as 0; None if it reads nothing there.
    halo: whether neighbours share inputs that are worth keeping, as those of a convolution.
    """

    node: onnx.NodeProto
    inputs: tuple[str, ...]
    reach: Reach
    grid: Grid
    edge: float | None = None
    halo: bool = False


class _Context(NamedTuple):
    """What a rule may ask. grid: of the inputs `inputs`.  shape: of the first one.  out: shape of the output."""

    node: onnx.NodeProto
    graph: Graph
    inputs: list[str]
    grid: Grid
    shape: tuple[int, ...]
    out: tuple[int, ...]

    def local(self, reach: Reach, axis: int, edge: float | None = None, halo: bool = False) -> Local | None:
        """The finished rule; None if the shape of the output is another one than that of a local node."""
        grid = Grid(axis, self.out[axis] if axis < len(self.out) else 0, self.grid.step * reach.stride)
        last = (grid.positions - 1) * reach.stride + reach.first + reach.extent
        fits = reach.first >= 0 and last <= self.grid.positions
        if not axis or grid.positions < 1 or self.out[0] != self.shape[0] or not (fits or edge is not None):
            return None
        return Local(self.node, tuple(self.inputs), reach, grid, None if fits else edge, halo)

    def pointwise(self, axis: int | None = None) -> Local | None:
        """A node that computes each position by itself."""
        axis = self.grid.axis if axis is None else axis
        same = axis < len(self.out) and self.out[axis] == self.grid.positions
        return self.local(Reach(), axis) if same else None


Rule = Callable[[_Context], "Local | None"]


def local(node: onnx.NodeProto, graph: Graph, grids: Mapping[str, Grid]) -> Local | None:
    """How a node is local; None if it is not, as far as is known here. grids: of all local tensors."""
    inputs = inputs_of(node, graph)
    rule = RULES.get(node.op_type)
    known = all(name in grids for name in inputs) and inputs and node.output[0] in graph.shapes
    if rule is None or not known or node.domain not in ("", "ai.onnx") or len({grids[name] for name in inputs}) != 1:
        return None
    if len([name for name in node.output if name]) > 1 and node.op_type not in ("Dropout", "MaxPool"):
        return None
    shape, out = graph.shapes[inputs[0]], graph.shapes[node.output[0]]
    return rule(_Context(node, graph, inputs, grids[inputs[0]], shape, out))


def _elementwise(at: _Context) -> Local | None:
    """Operators with broadcasting; constants must be the same at all positions."""
    axis = at.grid.axis
    for name in at.node.input:
        shape = at.graph.shapes[name] if name else ()
        if name in at.inputs:
            if len(shape) != len(at.out):
                return None
            continue
        whole = (1,) * (len(at.out) - len(shape)) + shape
        if len(shape) > len(at.out) or whole[0] != 1 or whole[axis] != 1:
            return None
    return at.pointwise()


def _spatial(at: _Context) -> tuple[int, int, int, int, int] | None:
    """Kernel, stride, dilation and both paddings along the positions of a convolution or pooling."""
    given = attributes(at.node)
    axis = at.grid.axis - 2
    if axis < 0 or at.inputs != [at.node.input[0]]:
        return None
    sizes = given.get("kernel_shape") or at.graph.shapes[at.node.input[1]][2:]
    kernel, stride = sizes[axis], given.get("strides", [1] * len(sizes))[axis]
    dilation = given.get("dilations", [1] * len(sizes))[axis]
    extent = (kernel - 1) * dilation + 1
    kind = given.get("auto_pad", b"NOTSET")
    if kind in (b"NOTSET", ""):
        pads = given.get("pads", [0] * 2 * len(sizes))
        return kernel, stride, dilation, pads[axis], pads[axis + len(sizes)]
    missing = 0
    if kind != b"VALID":
        missing = max((math.ceil(at.grid.positions / stride) - 1) * stride + extent - at.grid.positions, 0)
    left = missing // 2 if kind == b"SAME_UPPER" else missing - missing // 2
    return kernel, stride, dilation, left, missing - left


def _window(at: _Context, edge: float, halo: bool) -> Local | None:
    found = _spatial(at)
    if found is None:
        return None
    kernel, stride, dilation, left, _ = found
    extent = (kernel - 1) * dilation + 1
    return at.local(Reach(stride, -left, extent), at.grid.axis, edge, halo and extent > stride)


def _convolution(at: _Context) -> Local | None:
    return _window(at, 0.0, True)


def _max_pool(at: _Context) -> Local | None:
    if len(at.node.output) > 1 and at.node.output[1]:
        return None
    return _window(at, -math.inf, False)


def _average_pool(at: _Context) -> Local | None:
    """Zeros beyond the ends count if the padding counts; otherwise the divisor differs there."""
    given = attributes(at.node)
    found = _window(at, 0.0, False)
    counts = given.get("count_include_pad") and not given.get("ceil_mode")
    return None if found is None or (found.edge is not None and not counts) else found


def _batch_norm(at: _Context) -> Local | None:
    return at.pointwise() if at.grid.axis != 1 and at.inputs == [at.node.input[0]] else None


def _concat(at: _Context) -> Local | None:
    axis = attributes(at.node)["axis"] % len(at.out)
    whole = len(at.inputs) == len(at.node.input)
    return at.pointwise() if whole and axis not in (0, at.grid.axis) else None


def _transpose(at: _Context) -> Local | None:
    order = attributes(at.node).get("perm", [*range(len(at.out))][::-1])
    return at.pointwise(order.index(at.grid.axis)) if order[0] == 0 else None


def _axes(at: _Context, rank: int) -> list[int] | None:
    axes = at.graph.numbers(at.node.input[1]) if len(at.node.input) > 1 else None
    return None if axes is None else [axis % rank for axis in axes]


def _unsqueeze(at: _Context) -> Local | None:
    axes = _axes(at, len(at.out))
    if axes is None or 0 in axes:
        return None
    return at.pointwise([axis for axis in range(len(at.out)) if axis not in axes][at.grid.axis])


def _squeeze(at: _Context) -> Local | None:
    axes = _axes(at, len(at.shape))
    if axes is None or 0 in axes or at.grid.axis in axes:
        return None
    return at.pointwise(at.grid.axis - sum(axis < at.grid.axis for axis in axes))


def _reshape(at: _Context) -> Local | None:
    """The axis of positions must survive; the axes before and behind it may be cut otherwise."""
    old = at.grid.axis
    if at.node.input[1] not in at.graph.constants:
        return None
    for new in range(1, len(at.out)):
        behind = math.prod(at.shape[old + 1 :]) == math.prod(at.out[new + 1 :])
        if behind and at.out[new] == at.grid.positions and at.out[0] == at.shape[0]:
            return at.pointwise(new)
    return None


def _gather(at: _Context) -> Local | None:
    """Rows of a table, or some of the channels."""
    data, indices = at.node.input
    axis = attributes(at.node).get("axis", 0) % len(at.graph.shapes[data])
    if data in at.graph.constants:
        return at.pointwise() if axis == 0 else None
    if indices not in at.graph.constants or axis in (0, at.grid.axis):
        return None
    added = len(at.graph.shapes[indices]) - 1
    return at.pointwise(at.grid.axis + (added if axis < at.grid.axis else 0))


def slices(node: onnx.NodeProto, graph: Graph, rank: int) -> dict[int, tuple[int, int, int]] | None:
    """Axis -> start, end and step of a Slice by constants."""
    names = [*node.input[1:], "", ""][:4]
    starts, ends = graph.numbers(names[0]), graph.numbers(names[1])
    if starts is None or ends is None:
        return None
    axes = graph.numbers(names[2]) or [*range(len(starts))]
    steps = graph.numbers(names[3]) or [1] * len(starts)
    return {axis % rank: found for axis, *found in zip(axes, starts, ends, steps, strict=True)}  # type: ignore[misc]


def _slice(at: _Context) -> Local | None:
    found = slices(at.node, at.graph, len(at.shape)) if at.inputs == [at.node.input[0]] else None
    if found is None or 0 in found:
        return None
    start, _, step = found.get(at.grid.axis, (0, 0, 1))
    if step < 1:
        return None
    start = max(start + at.grid.positions, 0) if start < 0 else start
    return at.local(Reach(step, start, 1), at.grid.axis)


def _pad(at: _Context) -> Local | None:
    """Positions with one constant before and behind the others."""
    names = [*at.node.input, "", ""]
    pads = at.graph.numbers(names[1])
    given = attributes(at.node)
    if pads is None or given.get("mode", b"constant") != b"constant" or at.inputs != [at.node.input[0]]:
        return None
    axes = [axis % len(at.shape) for axis in at.graph.numbers(names[3]) or range(len(at.shape))]
    value = at.graph.array(names[2]) if names[2] else np.zeros(1)
    if value is None:
        return None
    padded = {axis: (pads[n], pads[n + len(axes)]) for n, axis in enumerate(axes) if pads[n] or pads[n + len(axes)]}
    if any(axis != at.grid.axis or min(both) < 0 for axis, both in padded.items()):
        return None
    return at.local(Reach(1, -padded.get(at.grid.axis, (0, 0))[0], 1), at.grid.axis, float(value.reshape(-1)[0]))


def _product(at: _Context) -> Local | None:
    """A matrix of constants on either side, over the channels."""
    left, right = at.node.input
    if len(at.inputs) != 1 or len(at.out) != len(at.shape):
        return None
    if left in at.graph.constants:
        return at.pointwise() if at.grid.axis != len(at.out) - 2 and len(at.graph.shapes[left]) == 2 else None
    return at.pointwise() if at.grid.axis != len(at.out) - 1 and len(at.graph.shapes[right]) == 2 else None


def _softmax(at: _Context) -> Local | None:
    return at.pointwise() if attributes(at.node).get("axis", -1) % len(at.out) not in (0, at.grid.axis) else None


def _layer_norm(at: _Context) -> Local | None:
    axis = attributes(at.node).get("axis", -1) % len(at.shape)
    return at.pointwise() if axis > at.grid.axis and at.inputs == [at.node.input[0]] else None


ELEMENTWISE = """
    Abs Add And BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast Ceil Celu Clip Cos Div Dropout Elu Equal Erf Exp
    Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log Max
    Mean Min Mish Mod Mul Neg Not Or Pow PRelu Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Softplus Softsign
    Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor
"""

RULES: dict[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE.split(), _elementwise),
    "Conv": _convolution,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Concat": _concat,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Gather": _gather,
    "Slice": _slice,
    "Pad": _pad,
    "MatMul": _product,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "LayerNormalization": _layer_norm,
}


def spatial(node: onnx.NodeProto, graph: Graph, grid: Grid, shape: tuple[int, ...]) -> dict[str, Any]:
    """Attributes of a convolution or pooling with every default and `auto_pad` spelled out.

    grid, shape: of its input.
    """
    given = attributes(node)
    sizes = list(given.get("kernel_shape") or graph.shapes[node.input[1]][2:])
    full: dict[str, Any] = {"strides": [1] * len(sizes), "dilations": [1] * len(sizes), "pads": [0] * 2 * len(sizes)}
    full |= {key: value for key, value in given.items() if key not in ("auto_pad", "ceil_mode", "storage_order")}
    for axis in range(len(sizes)):
        one = _Context(node, graph, [node.input[0]], Grid(axis + 2, shape[axis + 2], grid.step), shape, ())
        found = _spatial(one)
        if found is not None:
            full["pads"][axis], full["pads"][axis + len(sizes)] = found[3:]
    return {**full, "kernel_shape": sizes}
