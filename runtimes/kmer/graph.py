"""Any run of last layers as an ONNX graph for ONNX Runtime: what is left after the tables, or the whole network.

Convolutions are two-dimensional with a height of 1: ONNX Runtime has its fast, blocked kernels for two dimensions only
and runs the same network in one dimension at half the speed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.layers.plain import PlainLayers
from zoo.spec import ALPHABET

INPUT = "hidden"
"""float32 (N, positions, channels): one-hot bases, or what the compiled layers give."""

OUTPUT = "activities"
"""float32 (N, T)."""

OPSET = 17
IR_VERSION = 8
"""Old enough for every ONNX Runtime that the base install accepts."""


def last_layers(layers: PlainLayers, done: int) -> bytes:
    """An ONNX model, serialised, of everything after the first `done` convolutions."""
    from onnx import NodeProto, TensorProto, helper, numpy_helper

    nodes: list[NodeProto] = []
    constants: list[TensorProto] = []
    current = INPUT

    def add(operator: str, arrays: dict[str, np.ndarray] | None = None, **attributes: Any) -> None:
        nonlocal current
        inputs = [current]
        for name, array in (arrays or {}).items():
            inputs.append(f"{operator.lower()}{len(nodes)}_{name}")
            constants.append(numpy_helper.from_array(array, inputs[-1]))
        current = f"{operator.lower()}{len(nodes)}"
        nodes.append(helper.make_node(operator, inputs, [current], **attributes))

    if layers.convolutions[done:]:
        add("Unsqueeze", {"axes": np.array([1])})
        add("Transpose", perm=[0, 3, 1, 2])
        for layer in layers.convolutions[done:]:
            weight = layer.weight.transpose(2, 1, 0)[:, :, None]
            padding = [0, layer.left, 0, layer.right]
            add("Conv", {"weight": weight, "bias": layer.bias}, kernel_shape=[1, layer.taps], pads=padding)
            add("Relu")
            add("MaxPool", kernel_shape=[1, layer.pool], strides=[1, layer.pool])
        add("Transpose", perm=[0, 2, 3, 1])
    add("Flatten")
    for matrix in layers.dense:
        add("Gemm", {"weight": matrix.weight, "bias": matrix.bias})
        if matrix.relu:
            add("Relu")
    nodes[-1].output[0] = OUTPUT

    channels = layers.shape.filters[done - 1] if done else len(ALPHABET)
    hidden = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", layers.shape.positions[done], channels])
    activities = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", layers.shape.targets])
    graph = helper.make_graph(nodes, f"from_convolution_{done + 1}", [hidden], [activities], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return model.SerializeToString()
