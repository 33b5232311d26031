"""The graph of a model without plain layers: PyTorch's exporter traces the network, then convolutions are widened.

Needs the extra `train`, and takes seconds.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from zoo.errors import CheckFailed, require
from zoo.spec import ALPHABET, ModelSpec
from zoo_exporters.onnx.widen import widen

if TYPE_CHECKING:
    import onnx
    import torch

    from zoo.layers.onnx_graph import Tensors


def trace(module: torch.nn.Module, spec: ModelSpec, tensors: Tensors, opset: int) -> onnx.ModelProto:
    """The traced graph: one-hot bases, channels first -> activities. Batch norm is folded into the layer before it.

    Raises MissingDependency if onnxscript is missing, CheckFailed if PyTorch's exporter returns nothing.
    """
    import torch

    require("onnxscript", "train", "PyTorch's exporter")
    # the exporter treats a batch of 1 as a constant
    example = torch.zeros(2, len(ALPHABET), spec.sequence_length)
    with _quiet():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            opset_version=opset,
            input_names=[tensors.input],
            output_names=[tensors.output],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise CheckFailed("PyTorch's exporter returned nothing; is this release of PyTorch too old?")
    model = program.model_proto
    _drop_notes(model)
    widen(model.graph)
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Turn off the log and the warnings of PyTorch's exporter; its errors are raised."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _drop_notes(model: onnx.ModelProto) -> None:
    """Remove the notes of PyTorch on how each node was traced."""
    del model.metadata_props[:]
    del model.graph.value_info[:]
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
