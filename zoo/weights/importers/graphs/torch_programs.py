"""Programs of PyTorch -> graphs: .pt2 files of torch.export, TorchScript, and live modules.

Each file is checked by exported_checks.py or script_checks.py before PyTorch opens it.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import ZooError, require
from zoo.system.quiet import quiet
from zoo.weights.importers.graphs import exported_checks, script_checks
from zoo.weights.importers.graphs.graph import LENGTHS, Arrays, ForeignGraph, finished, reason
from zoo.weights.importers.graphs.torch_recurrent import whole_layers

if TYPE_CHECKING:
    import torch
    from torch import nn

EXAMPLES = 3
"""Sequences that a program is traced with."""


def read_exported(path: Path) -> ForeignGraph:
    """A .pt2 of torch.export. Raises ZooError as sources.read does."""
    clean = exported_checks.checked(path)
    torch = _torch(path)
    try:
        with _quiet():
            program = torch.export.load(clean)
    except Exception as error:  # noqa: BLE001  PyTorch has no common class of errors
        raise ZooError(f"{path}: PyTorch cannot read this program ({reason(error)})") from None
    return _graph(str(path), "torch.export", program, program.module())


def read_script(path: Path, shape: tuple[int | None, ...] | None) -> ForeignGraph:
    """TorchScript. shape: of its input, without the batch. Raises ZooError as sources.read does."""
    clean = script_checks.checked(path)
    if shape is None:
        raise ZooError(
            f"{path}: TorchScript does not say the shape of its input; give them, such as --layout "
            "NCL --length 600, or a frame"
        )
    torch = _torch(path)
    try:
        with _quiet():
            module = torch.jit.load(clean, map_location="cpu").eval()
    except Exception as error:  # noqa: BLE001
        raise ZooError(f"{path}: PyTorch cannot read this TorchScript program ({reason(error)})") from None
    try:
        with _quiet():
            from torch._export.converter import TS2EPConverter

            program = TS2EPConverter(module, _examples(shape)).convert()
    except Exception as error:  # noqa: BLE001
        raise ZooError(
            f"{path}: PyTorch cannot convert this TorchScript program ({reason(error)}); save the network with "
            "torch.export.save"
        ) from None
    return _graph(str(path), "TorchScript", program, module, shape)


def from_module(module: nn.Module, shape: tuple[int | None, ...]) -> ForeignGraph:
    """A live module, in evaluation mode. shape: of its input, without the batch. Raises ZooError as read does."""
    import torch

    name = type(module).__name__
    if isinstance(module, torch.jit.ScriptModule):
        raise ZooError(f"{name}: is TorchScript already; save it with torch.jit.save and import the file")
    training = {one: one.training for one in module.modules()}
    module.eval()
    free = {
        0: torch.export.Dim("batch"),
        **{i: torch.export.Dim.AUTO for i, size in enumerate(shape, 1) if size is None},
    }
    try:
        with _quiet():
            program = torch.export.export(module, _examples(shape), dynamic_shapes=(free,))
        return _graph(name, "PyTorch module", program, program.module())
    except ZooError:
        raise
    except Exception as error:  # noqa: BLE001
        raise ZooError(f"{name}: torch.export cannot export this module ({reason(error)})") from None
    finally:
        for one, was in training.items():
            one.training = was


def _graph(
    name: str, kind: str, program: torch.export.ExportedProgram, module: Any, shape: tuple[int | None, ...] = ()
) -> ForeignGraph:
    """name: start of messages.  module: what the conversion is compared with.  shape: of the input, where it is known
    better than the program says."""
    import torch

    try:
        with _quiet():
            model = torch.onnx.export(program, dynamo=True, verbose=False).model_proto
    except Exception as error:  # noqa: BLE001
        raise ZooError(f"{name}: PyTorch cannot convert this network to ONNX ({_cause(error)})") from None
    for size, dim in zip(shape, model.graph.input[0].type.tensor_type.shape.dim[1:], strict=False):
        if size is not None:
            dim.dim_value = size
    inputs = [one.name for one in model.graph.input]
    outputs = [one.name for one in model.graph.output]

    def run(feeds: Arrays) -> dict[str, np.ndarray]:
        with torch.no_grad(), torch.jit.optimized_execution(False):
            results = module(*(torch.from_numpy(np.ascontiguousarray(feeds[one])) for one in inputs))
        leaves = [one for one in torch.utils._pytree.tree_leaves(results) if isinstance(one, torch.Tensor)]
        return {one: leaf.numpy() for one, leaf in zip(outputs, leaves, strict=True)}

    return finished(name, kind, model, run, f"torch {torch.__version__}")


def _cause(error: BaseException) -> str:
    """What the exporter wraps in its own advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return reason(error)


def _examples(shape: tuple[int | None, ...]) -> tuple[torch.Tensor, ...]:
    """One input: a few sequences, since programs for one or two are made special."""
    import torch

    return (torch.zeros(EXAMPLES, *(LENGTHS[0] if size is None else size for size in shape)),)


def _torch(path: Path) -> Any:
    require("torch", "train", str(path))
    require("onnxscript", "train", str(path))
    import torch

    return torch


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice that PyTorch logs and prints for its developers."""
    with quiet(logging.ERROR), contextlib.redirect_stdout(io.StringIO()), whole_layers():
        yield
