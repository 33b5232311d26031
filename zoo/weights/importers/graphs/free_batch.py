"""Makes the batch axis of an ONNX graph free that was exported for one number of sequences.

What cannot be known from the graph is tried, and the caller compares numbers: a leading size in the target of a Reshape
that equals the batch is taken for it, and initial states of zeros of a recurrent layer are left to their default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx

NAME = "batch"
"""Name of the free axis."""

STATES = {"LSTM": (5, 6), "GRU": (5,), "RNN": (5,)}
"""Recurrent operator -> places of the initial states among its inputs."""


def freed(model: onnx.ModelProto, size: int) -> onnx.ModelProto:
    """A copy with a free first axis of each input. size: the number of sequences it was exported for."""
    import onnx
    from onnx import numpy_helper

    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = model.graph
    del graph.value_info[:]
    constants = _constants(graph)
    names = set(constants)
    for value in (*graph.input, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.name not in names and dims and dims[0].dim_value == size:
            dims[0].dim_param = NAME
    for number, node in enumerate(graph.node):
        if node.op_type == "Reshape" and node.input[1] in constants:
            target = constants[node.input[1]].copy()
            if target.size and target[0] == size:
                target[0] = 0 if -1 in target else -1
                name = f"free_batch_{number}"
                graph.initializer.append(numpy_helper.from_array(target, name))
                node.input[1] = name
        for place in STATES.get(node.op_type, ()):
            if len(node.input) > place and not np.any(constants.get(node.input[place], 1)):
                node.input[place] = ""
    return model


def _constants(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """Arrays that a graph contains, by name."""
    from onnx import numpy_helper

    found = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return found
