"""ONNX graphs without PyTorch: of plain layers, and chains of nodes for models that write their own graph.

Convolutions are two-dimensional with a height of 1: ONNX Runtime has fast, blocked kernels only for two dimensions, and
runs the same network in one dimension at half the speed. Needs `onnx`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.layers.plain import Dense, PlainLayers
from zoo.spec import ALPHABET

if TYPE_CHECKING:
    import onnx

BATCH = "batch"
"""Name of the free axis of input and output."""


@dataclasses.dataclass(frozen=True)
class Tensors:
    """Input and output of a graph.

    input: name of a float32 tensor: one-hot bases, or the output of earlier layers.  output: name, float32 (N, T).
    channels_last: whether the input is (N, positions, channels), else (N, channels, positions).
    """

    input: str
    output: str
    channels_last: bool


def build(layers: PlainLayers, tensors: Tensors, opset: int, done: int = 0) -> onnx.ModelProto:
    """An ONNX model of all layers after the first `done` convolutions; `done` may be all only if channels are last.

    opset: 13 or later.
    """
    graph = Chain(tensors.input)
    left = layers.convolutions[done:]
    dense = list(layers.dense)
    if left:
        _convolutions(graph, layers, done, tensors.channels_last)
        dense[0] = _channels_first(dense[0], layers)
    elif not tensors.channels_last:
        raise ValueError("expected channels last for a graph without a convolution")
    graph.add("flatten", "Flatten")
    for number, matrix in enumerate(dense, 1):
        name = f"dense{number}"
        graph.add(name, "Gemm", {"weight": matrix.weight, "bias": matrix.bias})
        if matrix.relu:
            graph.add(f"{name}_relu", "Relu")
    if layers.shape.sigmoid:
        graph.add("sigmoid", "Sigmoid")
    channels = layers.shape.filters[done - 1] if done else len(ALPHABET)
    sizes = (layers.shape.positions[done], channels)
    return graph.model(tensors, sizes if tensors.channels_last else sizes[::-1], layers.shape.targets, opset)


class Chain:
    """A sequence of nodes, each the input of the next one, and their constants."""

    def __init__(self, current: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._current = current

    def add(self, name: str, operator: str, arrays: dict[str, np.ndarray] | None = None, **attributes: Any) -> None:
        """Add a node; its inputs are the output of the last node, and constants named NAME_KEY."""
        constants = [self._constant(f"{name}_{key}", array) for key, array in (arrays or {}).items()]
        self._node(name, operator, [self._current, *constants], attributes)

    def look_up(self, name: str, table: np.ndarray) -> None:
        """Add a node that replaces each whole number in the output of the last node by that row of a table."""
        self._node(name, "Gather", [self._constant(f"{name}_table", table), self._current], {"axis": 0})

    def model(self, tensors: Tensors, sizes: tuple[int, int], targets: int, opset: int) -> onnx.ModelProto:
        """The chain as a model. sizes: of the input's two axes after the batch axis.  targets: T.

        It has the oldest file format that allows the opset, so older versions of ONNX Runtime can read it.
        """
        from onnx import TensorProto, helper

        self.nodes[-1].output[0] = tensors.output
        made = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info(tensors.input, TensorProto.FLOAT, [BATCH, *sizes])],
            [helper.make_tensor_value_info(tensors.output, TensorProto.FLOAT, [BATCH, targets])],
            self.constants,
        )
        opsets = [helper.make_opsetid("", opset)]
        return helper.make_model(made, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets))

    def _constant(self, name: str, array: np.ndarray) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def _node(self, name: str, operator: str, inputs: list[str], attributes: dict[str, Any]) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        self._current = name


def _convolutions(graph: Chain, layers: PlainLayers, done: int, channels_last: bool) -> None:
    """Add the convolutions after the first `done`; their output is (N, channels, 1, positions)."""
    if channels_last:
        graph.add("height", "Unsqueeze", {"axis": np.array([1])})
        graph.add("channels_first", "Transpose", perm=[0, 3, 1, 2])
    else:
        graph.add("height", "Unsqueeze", {"axis": np.array([2])})
    for number, layer in enumerate(layers.convolutions[done:], done + 1):
        name = f"conv{number}"
        arrays = {"weight": layer.weight.transpose(2, 1, 0)[:, :, None], "bias": layer.bias}
        graph.add(name, "Conv", arrays, kernel_shape=[1, layer.taps], pads=[0, layer.left, 0, layer.right])
        graph.add(f"{name}_relu", "Relu")
        graph.add(f"{name}_pool", "MaxPool", kernel_shape=[1, layer.pool], strides=[1, layer.pool])


def _channels_first(matrix: Dense, layers: PlainLayers) -> Dense:
    """The first matrix, for features in (channel, position) order, which saves a transposition in the graph."""
    by_position = matrix.weight.reshape(layers.shape.positions[-1], layers.shape.filters[-1], -1)
    return dataclasses.replace(matrix, weight=by_position.transpose(1, 0, 2).reshape(matrix.weight.shape))
