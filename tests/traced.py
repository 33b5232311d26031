"""Networks as PyTorch's own exporter traces them, which no export of a model with a graph of its own goes through."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from zoo_exporters.onnx import traced

from zoo.weights import network
from zoo.weights.checkpoint import Checkpoint


@pytest.fixture(scope="session", autouse=True)
def traced_once() -> Iterator[None]:
    """One trace of each of the bundled models' networks with the same arrays, since it takes seconds."""
    export, kept = traced._exported, {}

    def export_once(module: Any, example: Any, *rest: Any) -> Any:
        if not type(module).__module__.startswith("zoo.models."):
            return export(module, example, *rest)
        digest = hashlib.sha256()
        for name, tensor in module.state_dict().items():
            digest.update(repr((name, tensor.dtype)).encode() + tensor.numpy().tobytes())
        key = (type(module), module.config, module.training, tuple(example.shape), repr(rest), digest.digest())
        if key not in kept:
            kept[key] = export(module, example, *rest)
        copy = type(kept[key])()
        copy.CopyFrom(kept[key])
        return copy

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traced, "_exported", export_once)
        yield


def activities(weights: Checkpoint, one_hot: np.ndarray) -> np.ndarray:
    """One-hot bases (N, 4, L) -> float32 (N, T), by ONNX Runtime from the traced graph."""
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    from zoo_exporters.onnx import OPSET, TENSORS

    model = traced.trace(network.from_checkpoint(weights), weights.spec, TENSORS, OPSET)
    running = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (numbers,) = running.run(None, {TENSORS.input: one_hot})
    return numbers
