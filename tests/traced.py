"""Networks as PyTorch's own exporter traces them, which no export of a model with a graph of its own goes through."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.weights import network
from zoo.weights.checkpoint import Checkpoint


def activities(weights: Checkpoint, one_hot: np.ndarray) -> np.ndarray:
    """One-hot bases (N, 4, L) -> float32 (N, T), by ONNX Runtime from the traced graph."""
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    from zoo_exporters.onnx import OPSET, TENSORS, traced

    model = traced.trace(network.from_checkpoint(weights), weights.spec, TENSORS, OPSET)
    running = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (numbers,) = running.run(None, {TENSORS.input: one_hot})
    return numbers
