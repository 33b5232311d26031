"""The file of a network of another program, whose graph obeys its frame (framed.py)."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from zoo import registry
from zoo.errors import CheckFailed, ZooError
from zoo.options import RunOptions
from zoo.spec import Member, ModelSpec
from zoo.weights import spread
from zoo.weights.importers.framed import Tensor
from zoo.weights.test_tensors import TestTensors
from zoo_exporters.onnx import framed
from zoo_exporters.onnx.graph import NETWORK
from zoo_exporters.onnx.inputs import INPUTS, TENSORS
from zoo_exporters.onnx.stored import describe, read_spec, written

if TYPE_CHECKING:
    import onnx


IMPORTED_BATCHES = (1, 2, 7, 64)
"""Batch sizes at which an imported network is compared with its own program."""


class Foreign(Protocol):
    """A network of another program, see zoo.weights.importers.graphs: its graph, its inputs and its outputs."""

    @property
    def model(self) -> onnx.ModelProto: ...
    @property
    def inputs(self) -> Sequence[Tensor]: ...
    @property
    def outputs(self) -> Sequence[Tensor]: ...


def write_imported(
    members: Sequence[Foreign], spec: ModelSpec, tests: TestTensors, path: Path, *, overwrite: bool = False
) -> ModelSpec:
    """Write the .onnx file of a foreign network, or of several that are an ensemble: a graph that obeys the frame in
    `spec`, with the input one_hot and the output `activity`; `spec` with its weights id; and `tests`. Returns the spec.

    tests: predictions by the network's own program, which the file must give for batches of every size.
    Raises ZooError if the frame contradicts the graph; CheckFailed if the file gives other numbers. Then no file is
    written.
    """
    first = members[0]
    assert spec.frame is not None
    model = framed.compile_frame([one.model for one in members], spec.frame, first.inputs, first.outputs, TENSORS)
    spec = dataclasses.replace(spec, weights_id=_digest(model), members=_members(members, spec))
    describe(model, spec, INPUTS["onehot"], tests)
    with written(model, path, overwrite) as partial:
        engine = registry.load("runtimes", "onnx").start_file(partial, "cpu", RunOptions(batch_size=len(tests.codes)))
        for batch in IMPORTED_BATCHES:
            parts = [tests.codes[first : first + batch] for first in range(0, len(tests.codes), batch)]
            found = spread.mean(np.concatenate([engine.run(part) for part in parts]), spec)
            difference = tests.difference(found, spec.targets)
            if difference:
                raise CheckFailed(
                    f"{path}: not written, ONNX Runtime and {tests.made_by} differ in batches of {batch}: {difference}"
                )
    return spec


def _digest(model: onnx.ModelProto) -> str:
    """sha256 (hex) of a graph."""
    return hashlib.sha256(model.graph.SerializeToString(deterministic=True)).hexdigest()


def _members(members: Sequence[Foreign], spec: ModelSpec) -> tuple[Member, ...]:
    """The members of an ensemble; none for a single network. Raises ZooError for two that are the same."""
    if len(members) == 1:
        return ()
    held_out = spec.card.held_out if spec.card else ()
    ids = [_digest(one.model) for one in members]
    for place, one in enumerate(ids):
        if one in ids[:place]:
            raise ZooError(
                f"members: expected different networks, number {ids.index(one) + 1} and {place + 1} are the same"
            )
    return tuple(Member(one, one, spec.architecture, held_out) for one in ids)


def network_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the arrays of an imported network, without those of its frame. Raises ZooError as `read_spec`
    does."""
    import onnx

    read_spec(path)
    arrays = onnx.load(path).graph.initializer
    return {one.name: tuple(one.dims) for one in arrays if one.name.startswith(NETWORK)}
