"""The file of a network of another program, whose graph obeys its frame (framed.py)."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from zoo import registry
from zoo.errors import CheckFailed
from zoo.options import RunOptions
from zoo.spec import ModelSpec
from zoo.weights.importers.framed import Tensor
from zoo.weights.test_tensors import TestTensors
from zoo_exporters.onnx import framed
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
    graph_id = hashlib.sha256(model.graph.SerializeToString(deterministic=True)).hexdigest()
    spec = dataclasses.replace(spec, weights_id=graph_id)
    describe(model, spec, INPUTS["onehot"], tests)
    with written(model, path, overwrite) as partial:
        engine = registry.load("runtimes", "onnx").start_file(partial, "cpu", RunOptions(batch_size=len(tests.codes)))
        for batch in IMPORTED_BATCHES:
            parts = [tests.codes[first : first + batch] for first in range(0, len(tests.codes), batch)]
            difference = tests.difference(np.concatenate([engine.run(part) for part in parts]), spec.targets)
            if difference:
                raise CheckFailed(
                    f"{path}: not written, ONNX Runtime and {tests.made_by} differ in batches of {batch}: {difference}"
                )
    return spec


def network_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the arrays of an imported network, without those of its frame. Raises ZooError as `read_spec`
    does."""
    import onnx

    read_spec(path)
    arrays = onnx.load(path).graph.initializer
    return {one.name: tuple(one.dims) for one in arrays if one.name.startswith(framed.NETWORK)}
