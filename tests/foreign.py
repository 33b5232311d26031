"""Small networks of another program, as ONNX graphs with any layout of the input."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

LENGTH = 23
"""Bases that the network sees."""


@dataclasses.dataclass(frozen=True)
class Tensor:
    name: str
    dtype: np.dtype
    shape: tuple[int | str | None, ...]


@dataclasses.dataclass(frozen=True)
class Network:
    """A small foreign network: outputs y (N, 3) and track (N, 2, P) of a convolution."""

    model: onnx.ModelProto
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        session = onnxruntime.InferenceSession(self.model.SerializeToString(), providers=["CPUExecutionProvider"])
        names = [one.name for one in session.get_outputs()]
        return dict(zip(names, session.run(names, feeds), strict=True))


def network(
    layout: str = "NCL",
    channels: int = 4,
    constant: bool = False,
    positive: bool = False,
    opset: int = 18,
    seed: int = 0,
) -> Network:
    random = np.random.default_rng(seed)
    arrays = {
        "kernel": random.normal(size=(5, channels, 4)),
        "readout": random.normal(size=(5, 3)),
        "two": random.normal(size=(2, 5, 1)),
    }
    kind, shape = TensorProto.FLOAT, [{"N": "n", "C": channels, "L": LENGTH}.get(letter, 1) for letter in layout]
    nodes = []
    if layout in ("codes", "letters"):
        kind, shape = (TensorProto.INT64 if layout == "codes" else TensorProto.UINT8), ["n", LENGTH]
        arrays["embedding"] = random.normal(size=(128, channels))
        nodes += [helper.make_node("Cast", ["dna"], ["index"], to=TensorProto.INT64)]
        nodes += [helper.make_node("Gather", ["embedding", "index"], ["rows"])]
        nodes += [helper.make_node("Transpose", ["rows"], ["x"], perm=[0, 2, 1])]
    else:
        letters = layout.replace("1", "")
        arrays["shape"] = np.array([{"N": -1, "C": channels, "L": LENGTH}[one] for one in letters])
        nodes += [helper.make_node("Reshape", ["dna", "shape"], ["flat"])]
        nodes += [helper.make_node("Transpose", ["flat"], ["x"], perm=[letters.index(one) for one in "NCL"])]
    nodes += [helper.make_node("Conv", ["x", "kernel"], ["h"]), helper.make_node("Relu", ["h"], ["r"])]
    nodes += [helper.make_node("GlobalMaxPool", ["r"], ["m"]), helper.make_node("Flatten", ["m"], ["f"])]
    nodes += [helper.make_node("MatMul", ["f", "readout"], ["y" if not constant and not positive else "z"])]
    nodes += [helper.make_node("Conv", ["r", "two"], ["track"])]
    inputs = [Tensor("dna", helper.tensor_dtype_to_np_dtype(kind), tuple(shape))]
    values = [helper.make_tensor_value_info("dna", kind, shape)]
    if constant:
        nodes += [helper.make_node("Mul", ["z", "scale"], ["y"])]
        inputs.append(Tensor("scale", np.dtype(np.float32), ("n", 1)))
        values.append(helper.make_tensor_value_info("scale", TensorProto.FLOAT, ["n", 1]))
    if positive:
        nodes += [helper.make_node("Softplus", ["z"], ["y"])]
    results = [("y", ["n", 3]), ("track", ["n", 2, LENGTH - 3])]
    initializers = [
        numpy_helper.from_array(array if array.dtype == np.int64 else array.astype(np.float32), name)
        for name, array in arrays.items()
    ]
    graph = helper.make_graph(
        nodes, "g", values, [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in results], initializers
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return Network(model, tuple(inputs), tuple(Tensor(n, np.dtype(np.float32), tuple(s)) for n, s in results))
