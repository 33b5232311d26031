"""Gapped k-mer counts as an ONNX graph: number each window, look its sum up, add all sums. Needs `onnx` alone.

Numbers are exact: float32 holds the base codes, int64 the numbers of the windows. No convolution makes them, since one
on a GPU may round. An N has a code so large that a window with one is numbered beyond the table, where a row of zeros
is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from zoo.layers import onnx_graph
from zoo.layers.onnx_graph import Tensors
from zoo.models.gapped_kmer import HEAD, Config, words

if TYPE_CHECKING:
    import onnx


def build(config: Config, arrays: Mapping[str, np.ndarray], tensors: Tensors, opset: int) -> onnx.ModelProto:
    """An ONNX model of the whole network; `tensors` takes one-hot bases with the channels first."""
    from onnx import TensorProto

    length = config.word_length
    unknown = words.BASES**length
    table = words.window_table(config, arrays[f"{HEAD}.weight"])
    table = np.vstack([table, np.zeros(table.shape[1])]).astype(np.float32)
    places = np.arange(config.positions)[:, None] + np.arange(length)
    powers = (words.BASES ** np.arange(length - 1, -1, -1)).astype(np.float32)

    graph = onnx_graph.Chain(tensors.input)
    bases = np.arange(words.BASES, dtype=np.float32)[:, None] - unknown
    graph.add("base_values", "Mul", {"per_base": bases})
    graph.add("base_value", "ReduceSum", {"axis": np.array([1])}, keepdims=0)
    graph.add("base_code", "Add", {"unknown": np.array(unknown, np.float32)})
    graph.add("windows", "Gather", {"places": places}, axis=1)
    graph.add("window_values", "Mul", {"powers": powers})
    graph.add("window_value", "ReduceSum", {"axis": np.array([2])}, keepdims=0)
    # whole numbers that float32 holds, and far more where there is an N: engines with 32 bits would overflow
    graph.add("window_code", "Min", {"last": np.array(unknown, np.float32)})
    graph.add("window_number", "Cast", to=TensorProto.INT64)
    graph.look_up("window_sums", table)
    graph.add("sum", "ReduceSum", {"axis": np.array([1])}, keepdims=0)
    graph.add(HEAD, "Add", {"bias": arrays[f"{HEAD}.bias"]})
    return graph.model(tensors, (words.BASES, config.sequence_length), len(config.targets), opset)
