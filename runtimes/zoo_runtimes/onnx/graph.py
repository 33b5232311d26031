"""An ONNX graph with its constants and shapes, and smaller models made of some of its nodes. Needs `onnx`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx
    import onnxruntime

Start = Callable[[bytes], "onnxruntime.InferenceSession"]
"""Loads a serialized model in ONNX Runtime, with the settings of the engine."""

OPSET = 13
"""Oldest operator set whose nodes the files beside this one know; an older graph is converted."""


SMALL = 1024
"""Most elements of a constant that can be a shape."""


class NotShared(Exception):  # noqa: N818 - it is an answer
    """Work cannot be shared in this graph, or would take longer than without; never shown to a user."""


class Graph:
    """A graph with one input and a free batch axis.

    nodes: those between the input and one output, in an order in which they can be computed.  input, output: names.
    constants: name -> the tensor of every initializer and every node without other inputs.  shapes: name -> sizes for a
    batch of one, for tensors with known sizes.
    """

    def __init__(self, path: Path, output: str, start: Start) -> None:
        import onnx

        model = onnx.load(path)
        if self._opset(model) < OPSET:
            model = onnx.version_converter.convert_version(model, OPSET)
        graph = model.graph
        initialized = {tensor.name: tensor for tensor in graph.initializer}
        inputs = [value for value in graph.input if value.name not in initialized]
        if len(inputs) != 1:
            raise NotShared("several inputs")
        if any(_has_graph(node) for node in graph.node):
            raise NotShared("nodes with graphs of their own may read any tensor")
        self._model, self._start = model, start
        self.opset = self._opset(model)
        self.input, self.output = inputs[0].name, output
        self.constants: dict[str, onnx.TensorProto] = initialized
        self.nodes = _needed(self._fold(graph.node), self.output)
        self._infer()
        self._arrays: dict[str, np.ndarray] = {}

    @staticmethod
    def _opset(model: onnx.ModelProto) -> int:
        return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)

    def array(self, name: str) -> np.ndarray | None:
        """The numbers of a constant; None for another tensor."""
        from onnx import numpy_helper

        if name not in self._arrays and name in self.constants:
            self._arrays[name] = numpy_helper.to_array(self.constants[name])
        return self._arrays.get(name)

    def numbers(self, name: str) -> list[int] | None:
        """The whole numbers of a constant; None for another tensor, or if `name` is "", which is an omitted input."""
        found = self.array(name)
        return None if found is None else [int(value) for value in found.reshape(-1)]

    def model(
        self,
        nodes: Iterable[onnx.NodeProto],
        inputs: Mapping[str, str],
        outputs: Sequence[str],
        constants: Mapping[str, np.ndarray] | None = None,
    ) -> onnxruntime.InferenceSession:
        """Load a model of these nodes. inputs: name of an input -> the tensor of this graph whose type it has; all axes
        are free.  constants: those that this graph lacks."""
        from onnx import helper, numpy_helper

        made = list(nodes)
        used = {name for node in made for name in node.input} | set(outputs)
        given = [tensor for name, tensor in self.constants.items() if name in used]
        given += [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
        free = {name: [None] * len(self.shapes[tensor]) for name, tensor in inputs.items()}
        graph = helper.make_graph(
            made,
            "part",
            [helper.make_tensor_value_info(name, self.types[inputs[name]], shape) for name, shape in free.items()],
            [helper.make_tensor_value_info(name, self.types[name], None) for name in outputs],
            given,
        )
        model = helper.make_model(graph, opset_imports=self._model.opset_import, ir_version=self._model.ir_version)
        model.functions.extend(self._model.functions)
        return self._start(model.SerializeToString())

    def _fold(self, nodes: Iterable[onnx.NodeProto]) -> list[onnx.NodeProto]:
        """Compute the nodes that depend on constants alone; the others are left."""
        from onnx import helper, numpy_helper

        left, folded, made = [], [], []
        known = {"", *self.constants}
        for node in nodes:
            if any(name not in known for name in node.input):
                left.append(node)
            else:
                folded.append(node)
                made += [name for name in node.output if name]
                known |= set(node.output)
        if folded:
            graph = helper.make_graph(
                folded, "constants", [], [helper.make_empty_tensor_value_info(name) for name in made]
            )
            graph.initializer.extend(self.constants.values())
            model = helper.make_model(graph, opset_imports=self._model.opset_import, ir_version=self._model.ir_version)
            model.functions.extend(self._model.functions)
            arrays = self._start(model.SerializeToString()).run(made, {})
            self.constants |= {name: numpy_helper.from_array(a, name) for name, a in zip(made, arrays, strict=True)}
        return left

    def _infer(self) -> None:
        """Set shapes and types, for a batch of one."""
        from onnx import helper, shape_inference

        graph = self._model.graph
        del graph.value_info[:]
        del graph.node[:], graph.initializer[:]
        graph.node.extend(self.nodes)
        # shapes may depend on the numbers of small constants; a copy of the weights would only take memory
        for name, tensor in self.constants.items():
            if math.prod(tensor.dims) > SMALL:
                graph.value_info.append(helper.make_tensor_value_info(name, tensor.data_type, tensor.dims))
            else:
                graph.initializer.append(tensor)
        kept = next(one for one in graph.output if one.name == self.output)
        del graph.output[:]
        graph.output.append(kept)
        graph.output[0].type.tensor_type.ClearField("shape")
        next(v for v in graph.input if v.name == self.input).type.tensor_type.shape.dim[0].dim_value = 1
        inferred = shape_inference.infer_shapes(self._model, data_prop=True).graph
        del graph.node[:], graph.initializer[:]
        self.shapes: dict[str, tuple[int, ...]] = {n: tuple(t.dims) for n, t in self.constants.items()}
        self.types: dict[str, int] = {name: tensor.data_type for name, tensor in self.constants.items()}
        for value in (*inferred.input, *inferred.value_info, *inferred.output):
            self.types[value.name] = value.type.tensor_type.elem_type
            sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            if value.type.tensor_type.HasField("shape") and all(sizes):
                self.shapes[value.name] = tuple(sizes)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Attribute -> value."""
    from onnx import helper

    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}


def inputs_of(node: onnx.NodeProto, graph: Graph) -> list[str]:
    """The inputs of a node that depend on the input of the graph."""
    return [name for name in node.input if name and name not in graph.constants]


def _needed(nodes: Sequence[onnx.NodeProto], output: str) -> list[onnx.NodeProto]:
    """The nodes that an output depends on."""
    found, wanted = [], {output}
    for node in reversed(nodes):
        if wanted & set(node.output):
            found.append(node)
            wanted |= set(node.input)
    return found[::-1]


def _has_graph(node: onnx.NodeProto) -> bool:
    return any(value.HasField("g") or value.graphs for value in node.attribute)


def multiplications(node: onnx.NodeProto, graph: Graph) -> float:
    """Multiplications of a node for a batch of one. Raises NotShared where the graph does not tell them."""
    shapes = [graph.shapes.get(name) for name in (*node.input, *node.output) if name]
    if None in shapes or node.domain not in ("", "ai.onnx"):
        raise NotShared(f"the work of {node.op_type} is not known")
    given = [graph.shapes[name] if name else () for name in node.input]
    out = math.prod(graph.shapes[node.output[0]]) if node.output[0] else 0
    kind = node.op_type
    if kind == "Conv":
        return out * math.prod(given[1][1:])
    if kind == "ConvTranspose":
        return math.prod(given[0]) * math.prod(given[1][1:])
    if kind in ("MatMul", "Gemm"):
        return out * given[0][-2 if attributes(node).get("transA") else -1]
    if kind in ("LSTM", "GRU", "RNN"):
        steps = math.prod(given[0][:2])
        return steps * (math.prod(given[1]) + math.prod(given[2]))
    if kind in ("Einsum", "Attention"):
        raise NotShared(f"the work of {kind} is not known")
    return 0
