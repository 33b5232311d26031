"""The graph of a model that offers no plain layers: its network traced by PyTorch's exporter, its convolutions widened.

Needs the extra `train`, and seconds.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from zoo.errors import CheckFailed, MissingDependency
from zoo.spec import ALPHABET, ModelSpec
from zoo_exporters.onnx.widen import widen

if TYPE_CHECKING:
    import onnx
    import torch

    from zoo.layers.onnx_graph import Tensors


def trace(module: torch.nn.Module, spec: ModelSpec, tensors: Tensors, opset: int) -> onnx.ModelProto:
    """One-hot in, channels first, activities out; batch norm folded into the layer before it.

    Raises MissingDependency where PyTorch's exporter lacks a part, CheckFailed where it gives nothing.
    """
    import torch

    if importlib.util.find_spec("onnxscript") is None:
        raise MissingDependency(
            "onnxscript, which PyTorch's exporter needs, is missing; pip install 'deepstarr-zoo[train]'"
        )
    # a batch of 1 would be taken for a constant
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
        raise CheckFailed("PyTorch's exporter returned nothing; this release of PyTorch may be too old")
    model = program.model_proto
    _drop_notes(model)
    widen(model.graph)
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch's exporter tells its life story; only its errors, which are raised, concern the user."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _drop_notes(model: onnx.ModelProto) -> None:
    """Remove what PyTorch notes on how each node was traced."""
    del model.metadata_props[:]
    del model.graph.value_info[:]
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
