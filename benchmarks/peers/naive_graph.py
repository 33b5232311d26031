"""The network as a plain export has it: one-dimensional convolutions and batch normalisation, one node a layer.

What a user gets who exports a port of DeepSTARR to ONNX and runs it: one-hot bases in, every setting at its default.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from zoo.models.deepstarr import BATCH_NORM_EPSILON, Config

NORM = ("weight", "bias", "running_mean", "running_var")


def session(config: Config, arrays: dict[str, np.ndarray], threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """One-hot DNA, float32 (N, 4, L) -> activities, float32 (N, T)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    running = onnxruntime.InferenceSession(graph(config, arrays), options, providers=["CPUExecutionProvider"])
    return lambda one_hot: running.run(None, {"one_hot": one_hot})[0]


def graph(config: Config, arrays: dict[str, np.ndarray]) -> bytes:
    nodes = []
    current = "one_hot"

    def add(operator: str, parameters: tuple[str, ...] = (), **attributes: object) -> None:
        nonlocal current
        nodes.append(helper.make_node(operator, [current, *parameters], [f"hidden{len(nodes)}"], **attributes))
        current = nodes[-1].output[0]

    def normalise(layer: str) -> None:
        norm = tuple(f"{layer}_norm.{part}" for part in NORM)
        add("BatchNormalization", norm, epsilon=BATCH_NORM_EPSILON)
        add("Relu")

    for number, size in enumerate(config.kernel_sizes, 1):
        padding = [(size - 1) // 2, size // 2]
        add("Conv", (f"conv{number}.weight", f"conv{number}.bias"), kernel_shape=[size], pads=padding)
        normalise(f"conv{number}")
        add("MaxPool", kernel_shape=[2], strides=[2])
    add("Flatten")
    for number in range(1, len(config.dense_units) + 1):
        add("Gemm", (f"dense{number}.weight", f"dense{number}.bias"), transB=1)
        normalise(f"dense{number}")
    add("Gemm", ("head.weight", "head.bias"), transB=1)

    one_hot = helper.make_tensor_value_info("one_hot", TensorProto.FLOAT, ["N", 4, config.sequence_length])
    out = helper.make_tensor_value_info(current, TensorProto.FLOAT, ["N", len(config.targets)])
    constants = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "naive", [one_hot], [out], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
