"""Motif counts as an ONNX graph: convolution, comparison, sum, matrix. Needs `onnx` alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from zoo.layers import onnx_graph
from zoo.layers.onnx_graph import Tensors
from zoo.models.motif_counts import HEAD, Config, scoring
from zoo.spec import ALPHABET

if TYPE_CHECKING:
    import onnx


def build(config: Config, arrays: Mapping[str, np.ndarray], tensors: Tensors, opset: int) -> onnx.ModelProto:
    """An ONNX model of the whole network; `tensors` takes one-hot bases with the channels first."""
    from onnx import TensorProto

    kernels, limits = scoring.kernels(config.motifs)
    weight = np.tile(arrays[f"{HEAD}.weight"].T, (2, 1))  # both strands of a motif have its weight
    graph = onnx_graph.Chain(tensors.input)
    # with an axis of height 1, for which ONNX Runtime has its fast kernels
    graph.add("height", "Unsqueeze", {"axis": np.array([2])})
    pads = [0, 0, 0, config.widest - 1]
    graph.add("scores", "Conv", {"motifs": kernels[:, :, None]}, kernel_shape=[1, config.widest], pads=pads)
    graph.add("hit", "GreaterOrEqual", {"limits": limits[:, None, None]})
    graph.add("hit_number", "Cast", to=TensorProto.FLOAT)
    graph.add("hits", "ReduceSum", {"axes": np.array([2, 3])}, keepdims=0)
    graph.add(HEAD, "Gemm", {"weight": weight, "bias": arrays[f"{HEAD}.bias"]})
    return graph.model(tensors, (len(ALPHABET), config.sequence_length), len(config.targets), opset)
