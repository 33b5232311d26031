"""The graph of a model without plain layers: PyTorch's exporter traces the network, then convolutions are widened.

Needs the extra `train`, and takes seconds.
"""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

from zoo.errors import CheckFailed, ZooError, require
from zoo.spec import ALPHABET, ModelSpec
from zoo.system.quiet import quiet
from zoo.weights.checkpoint import profiles_of
from zoo_exporters.onnx.inputs import PROFILE
from zoo_exporters.onnx.widen import widen

if TYPE_CHECKING:
    import onnx
    import torch

    from zoo.layers.onnx_graph import Tensors


def trace(module: torch.nn.Module, spec: ModelSpec, tensors: Tensors, opset: int) -> onnx.ModelProto:
    """The traced graph: one-hot bases, channels first -> activities, and profiles if there are any. Batch norm is
    folded into the layer before it.

    Recurrent layers are traced by PyTorch's older exporter, if it knows all operators of the network, since it keeps
    them; the newer one writes out every position, and takes minutes.
    Raises MissingDependency if onnxscript is missing, CheckFailed if PyTorch's exporter returns nothing, and ZooError
    if the module makes the number of sequences a constant.
    """
    import torch

    require("onnxscript", "train", "PyTorch's exporter")
    # the exporter treats a batch of 1 as a constant
    example = torch.zeros(2, len(ALPHABET), spec.sequence_length)
    names = [f"{PROFILE}{one.name}" for one in profiles_of(spec)]
    if names:
        module = _with_profiles(module)
    outputs = [tensors.output, *names]
    recurrent = any(isinstance(layer, torch.nn.RNNBase) for layer in module.modules())
    model = _recurrent(module, example, tensors.input, outputs, opset) if recurrent else None
    model = model or _exported(module, example, tensors.input, outputs, opset)
    if model.graph.input[0].type.tensor_type.shape.dim[0].HasField("dim_value"):
        raise ZooError(
            f"{spec.architecture}: the batch axis became fixed at {len(example)}, the number of sequences in the "
            "trace; the network makes it a constant, as len(x) and int(x.shape[0]) do; use x.shape[0] or -1"
        )
    _drop_notes(model)
    widen(model.graph)
    return model


def _with_profiles(module: torch.nn.Module) -> torch.nn.Module:
    """A network that returns its profiles too (contracts.ModelExtras.profiles)."""
    import torch

    class WithProfiles(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = module

        def forward(self, one_hot: torch.Tensor) -> tuple[torch.Tensor, ...]:
            found: tuple[torch.Tensor, ...] = self.network.with_profiles(one_hot)
            return found

    return WithProfiles().eval()


def _recurrent(
    module: torch.nn.Module, example: torch.Tensor, given: str, outputs: list[str], opset: int
) -> onnx.ModelProto | None:
    """The graph by the older exporter; None if it does not know an operator."""
    import onnx
    import torch

    file = io.BytesIO()
    with quiet(), contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(torch.onnx.errors.OnnxExporterError):
        torch.onnx.export(
            module,
            (example,),
            file,
            dynamo=False,
            opset_version=opset,
            input_names=[given],
            output_names=outputs,
            dynamic_axes={name: {0: "batch"} for name in (given, *outputs)},
        )
    return onnx.load_model_from_string(file.getvalue()) if file.getvalue() else None


def _exported(
    module: torch.nn.Module, example: torch.Tensor, given: str, outputs: list[str], opset: int
) -> onnx.ModelProto:
    import torch

    with quiet():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            opset_version=opset,
            input_names=[given],
            output_names=outputs,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise CheckFailed("PyTorch's exporter returned nothing; is this release of PyTorch too old?")
    return program.model_proto


def _drop_notes(model: onnx.ModelProto) -> None:
    """Remove the notes of PyTorch on how each node was traced."""
    del model.metadata_props[:]
    del model.graph.value_info[:]
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
