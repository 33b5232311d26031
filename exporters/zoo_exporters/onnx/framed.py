"""Compile a frame into a foreign graph: its input becomes one-hot bases, its output the predictions.

The nodes added here compute what zoo/weights/importers/framed.py does in NumPy. Their names begin with FRONT or BEHIND,
those of the foreign nodes and tensors with NETWORK, so that an engine can tell them apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import ZooError
from zoo.frame import BASES, Frame, Profile, Target, Transform
from zoo.layers.onnx_graph import Tensors
from zoo.weights.importers import framed as meaning
from zoo.weights.importers.framed import Tensor
from zoo_exporters.onnx.ensembles import add_statistics
from zoo_exporters.onnx.graph import BEHIND, FRONT, Graph, in_network
from zoo_exporters.onnx.inputs import PROFILE

if TYPE_CHECKING:
    import onnx


Shapes = Mapping[str, Sequence[int | str | None]]
"""Output of the network -> its shape."""

COMPLEMENT = [3, 2, 1, 0]
"""Channel of the complement, for each of A, C, G, T."""


def compile_frame(
    members: Sequence[onnx.ModelProto],
    frame: Frame,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    tensors: Tensors,
) -> onnx.ModelProto:
    """One graph from one-hot bases, float32 (N, 4, L), to predictions, float32 (N, T).

    members: foreign graphs with the same inputs and outputs; more than one are an ensemble, whose mean is predicted.
    inputs, outputs: those of a member.  tensors: names of the new input and output.
    Raises ZooError if the frame contradicts a graph, or members differ.
    """
    import onnx

    whole = onnx.ModelProto(ir_version=members[0].ir_version, opset_import=members[0].opset_import)
    graph = Graph(whole)
    fed = _front(graph, frame, inputs, tensors.input)
    activities, profiles = [], []
    for number, member in enumerate(members):
        graph.prefix = FRONT
        own = in_network(graph, member, number, fed)
        graph.prefix = BEHIND
        shapes = {one.name: one.shape for one in outputs}
        activities.append(_activities(graph, frame, own, shapes))
        profiles.append([_profile(graph, one, own, shapes) for one in frame.profiles])
    _finish(graph, frame, tensors.output, activities, profiles)
    length, _ = meaning.lengths(frame, meaning.dna_input(frame, inputs))
    graph.value("input", tensors.input, ["batch", len(BASES), length])
    return whole


def _front(graph: Graph, frame: Frame, inputs: Sequence[Tensor], one_hot: str) -> dict[str, str]:
    """Input of the network -> the tensor that it gets."""
    tensor = meaning.dna_input(frame, inputs)
    length, seen = meaning.lengths(frame, tensor)
    strands = [_construct(graph, frame, one_hot, length, reverse=False)]
    if frame.strand.rule == "mean":
        strands.append(_construct(graph, frame, one_hot, length, reverse=True))
    both = graph.node("Concat", strands, axis=0) if len(strands) > 1 else strands[0]
    fed = {tensor.name: graph.cast(_laid_out(graph, frame, both, seen), tensor.dtype)}
    for one in inputs:
        if one.name in frame.input.constants:
            # (N, 1, ..., 1) of zeros, then the size of the input by broadcasting
            nothing = graph.node(
                "Mul", [graph.reduce("ReduceSum", graph.reduce("ReduceSum", both, 1), 2), graph.number(0)]
            )
            rows = graph.node("Reshape", [nothing, graph.integers([-1, *[1] * (len(one.shape) - 1)])])
            sizes = [size if isinstance(size, int) else 1 for size in one.shape[1:]]
            value = graph.constant(np.full([1, *sizes], frame.input.constants[one.name], np.float32))
            fed[one.name] = graph.cast(graph.node("Add", [rows, value]), one.dtype)
    return fed


def _construct(graph: Graph, frame: Frame, bases: str, length: int, reverse: bool) -> str:
    """What the network sees of one strand, channels first: the bases in the order of the network, then the further
    channels."""
    left, right = frame.sequence.left, frame.sequence.right
    if reverse:
        bases = graph.node("Gather", [bases, graph.integers(COMPLEMENT)], axis=1)
        bases = graph.node("Gather", [bases, graph.integers(range(length)[::-1])], axis=2)
        if frame.strand.turns == "construct":
            complement = str.maketrans(BASES, BASES[::-1])
            left, right = (flank[::-1].translate(complement) for flank in (right, left))
    order = [BASES.index(base) for base in frame.input.alphabet]
    unknown = frame.input.unknown if frame.input.one_hot else 0
    if unknown:
        absent = graph.node("Sub", [graph.number(1), graph.reduce("ReduceSum", bases, 1)])
        bases = graph.node("Add", [bases, graph.node("Mul", [absent, graph.number(unknown)])])
    if order != sorted(order):
        bases = graph.node("Gather", [bases, graph.integers(order)], axis=1)
    further = meaning.channel_values(frame, reverse)
    if not (left or right or further):
        return bases
    rows = np.full((len(BASES) + 1, len(BASES)), unknown, np.float32)
    rows[: len(BASES)] = np.eye(len(BASES))[:, order]
    inside = np.zeros((length, len(BASES)), np.float32)
    around = np.concatenate([rows[meaning.base_codes(left)], inside, rows[meaning.base_codes(right)]])
    channels = np.tile(np.array(further, np.float32), (len(around), 1))
    padded = graph.pad(bases, [0, 0, len(left), 0, len(further), len(right)])
    return graph.node("Add", [padded, graph.constant(np.concatenate([around, channels], axis=1).T[None])])


def _laid_out(graph: Graph, frame: Frame, channels_first: str, length: int) -> str:
    """Channels first, float32 (N, C, L) -> the layout of the network."""
    layout = frame.input.layout
    if frame.input.one_hot:
        letters = layout.replace("1", "")
        turned = channels_first
        if letters != "NCL":
            turned = graph.node("Transpose", [channels_first], perm=["NCL".index(letter) for letter in letters])
        if letters == layout:
            return turned
        sizes = {"N": -1, "C": len(BASES) + len(frame.input.channels), "L": length, "1": 1}
        return graph.node("Reshape", [turned, graph.integers([sizes[letter] for letter in layout])])
    # one-hot bases in the order of the network: the number of a base is a product with the numbers of all
    values, unknown = ([0, 1, 2, 3], frame.input.unknown) if layout == "codes" else ([], 0.0)
    if layout == "letters":
        values, unknown = [ord(base) for base in frame.input.alphabet], float(ord("N"))
    differences = np.array([[value - unknown for value in values]], np.float32)
    product = graph.node("MatMul", [graph.constant(differences), channels_first])
    numbers = graph.node("Add", [product, graph.number(unknown)])
    return graph.node("Reshape", [numbers, graph.integers([-1, length])])


def _activities(graph: Graph, frame: Frame, own: str, shapes: Shapes) -> str:
    """Outputs of one network, whose names begin with `own` -> float32 (N, T), or (2 N, T) for both strands."""
    groups: list[tuple[Target, list[int]]] = []
    for target in frame.targets:
        kind = dict(vars(target), name="", column=0)
        if groups and dict(vars(groups[-1][0]), name="", column=0) == kind:
            groups[-1][1].append(target.column)
        else:
            groups.append((target, [target.column]))
    parts = [_columns(graph, target, columns, own, shapes) for target, columns in groups]
    return graph.node("Concat", parts, axis=1) if len(parts) > 1 else parts[0]


def _columns(graph: Graph, target: Target, columns: list[int], own: str, shapes: Shapes) -> str:
    """Targets of one output, float32 (N, T)."""
    name = meaning.output_of(target.output, list(shapes), target.name)
    axes = meaning.axes_of(target, len(shapes[name]))
    total = shapes[name][axes.index("T")] if "T" in axes else 1
    if isinstance(total, int) and max(columns) >= total:
        raise ZooError(f"targets: expected columns below {total}, the size of the output {name}, got {max(columns)}")
    tensor, axes = _targets_second(graph, graph.cast(f"{own}{name}", np.float32), axes)
    tensor = _transformed(graph, tensor, target.transform, len(axes) - 1)
    if not isinstance(total, int) or columns != list(range(total)):
        tensor = graph.node("Gather", [tensor, graph.integers(columns)], axis=1)
    if target.positions:
        tensor = graph.reduce(f"Reduce{target.positions.capitalize()}", tensor, 2)
        tensor = graph.node("Reshape", [tensor, graph.integers([-1, len(columns)])])
    return tensor


def _targets_second(graph: Graph, tensor: str, axes: str) -> tuple[str, str]:
    """A tensor with the axes N, T and perhaps P, in this order, and these axes."""
    if "T" not in axes:
        shape = [-1, 1] if axes == "N" else [0, 1, -1]
        return graph.node("Reshape", [tensor, graph.integers(shape)]), axes.replace("N", "NT")
    if axes == "NPT":
        return graph.node("Transpose", [tensor], perm=[0, 2, 1]), "NTP"
    return tensor, axes


def _transformed(graph: Graph, tensor: str, transform: Transform, axis: int) -> str:
    if transform == "softmax":
        above = graph.node("Sub", [tensor, graph.reduce("ReduceMax", tensor, axis)])
        powers = graph.node("Exp", [above])
        return graph.node("Div", [powers, graph.reduce("ReduceSum", powers, axis)])
    if transform in ("log", "exp", "sigmoid"):
        return graph.node(transform.capitalize(), [tensor])
    if transform == "log2":
        return graph.node("Mul", [graph.node("Log", [tensor]), graph.number(1 / np.log(2))])
    if transform == "exp2":
        return graph.node("Exp", [graph.node("Mul", [tensor, graph.number(np.log(2))])])
    if transform == "log1p":
        return graph.node("Log", [graph.node("Add", [tensor, graph.number(1)])])
    if transform == "expm1":
        return graph.node("Sub", [graph.node("Exp", [tensor]), graph.number(1)])
    return tensor


def _profile(graph: Graph, one: Profile, own: str, shapes: Shapes) -> str:
    """An output with positions, float32 (N, T, P)."""
    name = meaning.output_of(one.output, list(shapes), one.name)
    tensor, _ = _targets_second(graph, graph.cast(f"{own}{name}", np.float32), one.axes)
    tensor = _transformed(graph, tensor, one.transform, 2)
    if one.counts:
        counts = meaning.output_of(one.counts, list(shapes), one.name)
        meaning.check_counts(one, shapes[name], shapes[counts])
        numbers = graph.cast(f"{own}{counts}", np.float32)
        rows = graph.node("Reshape", [numbers, graph.integers([0, -1, 1] if len(shapes[counts]) > 1 else [-1, 1, 1])])
        tensor = graph.node("Mul", [tensor, _transformed(graph, rows, one.counts_transform, 1)])
    return tensor


def _finish(
    graph: Graph, frame: Frame, output: str, activities: Sequence[str], profiles: Sequence[Sequence[str]]
) -> None:
    """Means over strands and members, under the names of the outputs."""
    count = len(frame.targets)
    if frame.strand.rule == "mean":
        both = [graph.node("Reshape", [one, graph.integers([2, -1, count])]) for one in activities]
        means = [graph.reduce("ReduceMean", one, 0) for one in both]
        activities = [graph.node("Reshape", [one, graph.integers([-1, count])]) for one in means]
    if len(activities) > 1:
        add_statistics(graph, activities, output, count)
    else:
        graph.node("Identity", activities, name=output)
        graph.value("output", output, ["batch", count])
    for profile, tensors in zip(frame.profiles, zip(*profiles, strict=True), strict=True):
        name = f"{PROFILE}{profile.name}"
        graph.node("Mean", tensors, name=name)
        graph.value("output", name, ["batch", f"{name} targets", f"{name} positions"])
