"""Checkpoints of random weights for tests, whose batch norm statistics are far from 0 and 1, so that they matter.

Exporting one means tracing it, which takes seconds: `traced_once` stands in for the exporter's own tracing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import registry
from zoo.models import deepstarr
from zoo.weights import checkpoint
from zoo.weights.checkpoint import Checkpoint

ODD = deepstarr.Config(
    filters=(9, 5, 7), kernel_sizes=(6, 1, 4), dense_units=(11,), sequence_length=53, targets=("a", "b", "c")
)
"""Nothing in it is a multiple of anything, and two kernels are even, which pads the ends unequally."""

CONFIGS = {**deepstarr.VARIANTS, "odd": ODD}


def random_checkpoint(config: deepstarr.Config, seed: int = 0) -> Checkpoint:
    """Weights whose activations stay near 1 through all layers."""
    random = np.random.default_rng(seed)
    arrays = {}
    for name, shape in deepstarr.array_shapes(config).items():
        if name.endswith("running_var"):
            values = random.uniform(0.2, 2, shape)
        elif name.endswith("norm.weight"):
            values = random.uniform(0.5, 1.5, shape)
        elif len(shape) == 1:
            values = random.normal(0, 0.2, shape)
        else:
            values = random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        arrays[name] = values.astype(np.float32)
    return checkpoint.make("deepstarr", config, arrays, "random numbers", "none")


def random_codes(number: int, length: int, seed: int = 0) -> np.ndarray:
    """Base codes, uint8 (number, length): bases, some Ns, and a last sequence of Ns alone."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, 4, (number, length), np.uint8)
    codes[random.random(codes.shape) < 0.02] = 4
    if number > 1:
        codes[-1] = 4
    return codes


_trace = registry.load("exporters", "onnx")._trace
_known: dict[tuple[str, int], bytes] = {}


def traced_once(module: Any, spec: Any, opset: int) -> Any:
    """What exporters/onnx.py's `_trace` gives, each network traced once in the whole test run."""
    import onnx

    key = spec.weights_id, opset
    if key not in _known:
        _known[key] = _trace(module, spec, opset).SerializeToString()
    return onnx.ModelProto.FromString(_known[key])
