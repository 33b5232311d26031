"""The network without compiled code, where none was built: NumPy looks up, ONNX Runtime computes the rest.

Offers what kernel.Kernel and kernel.Backwards offer.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zoo.dna.encoding import one_hot
from zoo.layers import onnx_graph
from zoo.layers.plain import PlainLayers
from zoo_runtimes.kmer import contributions, mutants
from zoo_runtimes.kmer.tables import Tables

OPSET = 17
"""Old enough for every ONNX Runtime that the base install accepts."""

TENSORS = onnx_graph.Tensors("hidden", "activities", channels_last=True)


class Portable:
    """The whole network; threads may call it at the same time. tables: look the first layers up, or None."""

    def __init__(self, layers: PlainLayers, tables: Tables | None) -> None:
        self._layers, self.tables = layers, tables
        self._first: Callable[[np.ndarray], np.ndarray] = tables.look_up if tables else one_hot
        self._rest = _onnx_session(layers, tables.plan.convolutions if tables else 0)

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L), without N if there are tables -> activities, float32 (N, T)."""
        return self._rest(self._first(codes))

    def mutants(self, codes: np.ndarray) -> np.ndarray:
        """What each base in each place adds to the activities, float32 (N, L, 4, T)."""
        return mutants.mutants(self._layers, codes)

    def contributions(self, codes: np.ndarray, references: np.ndarray, target: int) -> np.ndarray:
        """As contracts.ShorterWays says."""
        return contributions.contributions(self._layers, codes, references, target)

    def gradient(self, codes: np.ndarray, target: int) -> np.ndarray:
        """As contracts.ShorterWays says."""
        return contributions.gradient(self._layers, codes, target)


def _onnx_session(layers: PlainLayers, done: int) -> Callable[[np.ndarray], np.ndarray]:
    """The layers after `done` convolutions in ONNX Runtime, in the thread that calls."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = onnx_graph.build(layers, TENSORS, OPSET, done).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda hidden: session.run([TENSORS.output], {TENSORS.input: hidden})[0]
