"""Building of an ONNX graph: nodes and constants one by one, and whole networks with names of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import ZooError

if TYPE_CHECKING:
    import onnx

FRONT, BEHIND, NETWORK = "frame/input/", "frame/output/", "network"
"""Starts of the names of nodes and tensors: before the network, behind it, and of the network itself, which are
"network0/" for the first member of an ensemble."""


class Graph:
    """Adds nodes, in their order, to the graph of a model."""

    def __init__(self, model: onnx.ModelProto, prefix: str = FRONT) -> None:
        self._graph = model.graph
        self._graph.name = "network"
        self.operators = {(one.domain, one.version) for one in model.opset_import}
        self._opset = next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))
        self.prefix = prefix
        self._count = 0

    def node(self, operator: str, inputs: Sequence[str], name: str = "", **attributes: Any) -> str:
        """Add a node. Returns its output, which is called `name` if that is given."""
        from onnx import helper

        self._count += 1
        own = f"{self.prefix}{operator}_{self._count}"
        output = name or own
        self._graph.node.append(helper.make_node(operator, list(inputs), [output], name=own, **attributes))
        return output

    def constant(self, array: np.ndarray) -> str:
        from onnx import numpy_helper

        self._count += 1
        name = f"{self.prefix}constant_{self._count}"
        self._graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def integers(self, values: Sequence[int]) -> str:
        return self.constant(np.array(values, np.int64))

    def number(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    def cast(self, tensor: str, dtype: Any, name: str = "") -> str:
        from onnx import helper

        return self.node("Cast", [tensor], name, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def sum(self, tensors: Sequence[str]) -> str:
        """The sum of tensors of one shape, in order."""
        total = tensors[0]
        for one in tensors[1:]:
            total = self.node("Add", [total, one])
        return total

    def reduce(self, operator: str, tensor: str, axis: int) -> str:
        """ReduceSum, ReduceMean or ReduceMax, which keep the axis. Its axes became an input in a later operator set."""
        if self._opset >= (13 if operator == "ReduceSum" else 18):
            return self.node(operator, [tensor, self.integers([axis])], keepdims=1)
        return self.node(operator, [tensor], axes=[axis], keepdims=1)

    def pad(self, tensor: str, pads: Sequence[int]) -> str:
        """Zeros around an array."""
        if self._opset >= 11:
            return self.node("Pad", [tensor, self.integers(pads)], mode="constant")
        return self.node("Pad", [tensor], mode="constant", pads=list(pads))

    def add(self, part: onnx.GraphProto) -> None:
        """Add the nodes and constants of another graph."""
        self._graph.node.extend(part.node)
        self._graph.initializer.extend(part.initializer)
        self._graph.sparse_initializer.extend(part.sparse_initializer)

    def value(self, kind: str, name: str, shape: Sequence[int | str]) -> None:
        """Declare an input or output, float32."""
        from onnx import TensorProto, helper

        getattr(self._graph, kind).append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))


def in_network(graph: Graph, member: onnx.ModelProto, number: int, fed: Mapping[str, str]) -> str:
    """Add a whole network to the graph. Returns the start of its names. number: of the member, from 0.  fed: its inputs
    -> the tensors that they get.

    Raises ZooError for another operator set than that of the graph.
    """
    from onnx import compose, inliner

    if {(one.domain, one.version) for one in member.opset_import} != graph.operators:
        raise ZooError("members: expected networks with the same operator sets; export them in the same way")
    whole_member = inliner.inline_local_functions(member) if member.functions else member
    own = f"{NETWORK}{number}/"
    part = compose.add_prefix(whole_member, own).graph
    constants = {one.name for one in part.initializer}
    for tensor in part.input:
        if tensor.name not in constants:
            graph.node("Identity", [fed[tensor.name.removeprefix(own)]], name=tensor.name)
    graph.add(part)
    return own
