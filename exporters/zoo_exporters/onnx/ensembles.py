"""One graph with the members of an ensemble: their mean, its standard deviation, and the numbers of each.

The statistics are computed in float64 and rounded once, in the order of zoo/weights/spread.py, so that their bits are
the same. Axes: N sequences, M members, T targets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from zoo.errors import ZooError
from zoo.spec import ALPHABET, ModelSpec
from zoo.weights.checkpoint import profiles_of
from zoo_exporters.onnx.graph import BEHIND, Graph, in_network
from zoo_exporters.onnx.inputs import OUTPUT, PROFILE, TENSORS, remove_input

if TYPE_CHECKING:
    import onnx

Outputs = Callable[[np.ndarray], Sequence[np.ndarray]]
"""Base codes, uint8 (N, L) -> activities (N, T), those of all members (N, M * T), and profiles (N, S, P)."""

SPREAD = f"{OUTPUT}_sd"
"""Output of an ensemble: the standard deviation over its members (ddof=1), float32 (N, T)."""

MEMBERS = f"{OUTPUT}_members"
"""Output of an ensemble: the activities of each member, float32 (N, M, T)."""


def output_of(path: Path, outputs: Sequence[str], members: int) -> str:
    """The output of a file that holds the numbers of all members; raises ZooError if it is missing. members: M, 0 for a
    single network."""
    if not members:
        return outputs[0]
    if MEMBERS not in outputs:
        raise ZooError(f"{path}: expected the output {MEMBERS} of an ensemble of {members}, got {', '.join(outputs)}")
    return MEMBERS


def add_statistics(graph: Graph, activities: Sequence[str], output: str, targets: int) -> None:
    """Add the outputs of an ensemble. activities: tensors of the members, float32 (N, T); more than one.  output: name
    of the mean."""
    count, graph.prefix = len(activities), BEHIND
    wide = [graph.cast(one, np.float64) for one in activities]
    mean = graph.node("Div", [graph.sum(wide), graph.constant(np.array(count, np.float64))])
    differences = [graph.node("Sub", [one, mean]) for one in wide]
    squares = graph.sum([graph.node("Mul", [one, one]) for one in differences])
    variance = graph.node("Div", [squares, graph.constant(np.array(count - 1, np.float64))])
    for name, tensor in ((output, mean), (SPREAD, graph.node("Sqrt", [variance]))):
        graph.cast(tensor, np.float32, name)
        graph.value("output", name, ["batch", targets])
    rows = [graph.node("Reshape", [one, graph.integers([-1, 1, targets])]) for one in activities]
    graph.node("Concat", rows, name=MEMBERS, axis=1)
    graph.value("output", MEMBERS, ["batch", count, targets])


class Member(NamedTuple):
    """A network, or an ensemble, as a graph of the zoo from one-hot bases; see `joined`.

    name, reference: what its file is compared with.  members: their number.
    """

    graph: onnx.ModelProto
    name: str
    reference: Outputs
    members: int = 1


def joined(members: Sequence[Member], spec: ModelSpec) -> tuple[onnx.ModelProto, str, Outputs]:
    """One graph from one-hot bases, float32 (N, 4, L), and the name and function of its reference.

    Raises ZooError for graphs with different operator sets.
    """
    import onnx

    version = max(one.graph.ir_version for one in members)
    whole = onnx.ModelProto(ir_version=version, opset_import=members[0].graph.opset_import)
    graph, targets = Graph(whole, BEHIND), len(spec.targets)
    names = [f"{PROFILE}{one.name}" for one in profiles_of(spec)]
    activities: list[str] = []
    profiles: list[list[str]] = [[] for _ in names]
    for number, member in enumerate(members):
        if member.graph.graph.input[0].name != TENSORS.input:
            remove_input(member.graph.graph, spec.sequence_length)
        own = in_network(graph, member.graph, number, {TENSORS.input: TENSORS.input})
        for name, tensors in zip(names, profiles, strict=True):
            tensors += [f"{own}{name}"] * member.members
        if member.members == 1:
            activities.append(f"{own}{OUTPUT}")
            continue
        for place in range(member.members):
            row = graph.node("Gather", [f"{own}{MEMBERS}", graph.integers([place])], axis=1)
            activities.append(graph.node("Reshape", [row, graph.integers([-1, targets])]))
    add_statistics(graph, activities, OUTPUT, targets)
    for name, tensors in zip(names, profiles, strict=True):
        graph.node("Mean", tensors, name=name)
        graph.value("output", name, ["batch", f"{name} targets", f"{name} positions"])
    graph.value("input", TENSORS.input, ["batch", len(ALPHABET), spec.sequence_length])

    def reference(codes: np.ndarray) -> list[np.ndarray]:
        found = [one.reference(codes) for one in members]
        counts = [one.members for one in members]
        means = [
            np.average(np.stack([one[place] for one in found]), axis=0, weights=counts)
            for place in range(1, len(names) + 1)
        ]
        return [np.concatenate([one[0] for one in found], axis=1), *means]

    return whole, " and ".join(dict.fromkeys(one.name for one in members)), reference
