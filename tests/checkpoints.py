"""Checkpoints of random weights for tests, whose batch norm statistics are far from 0 and 1, so that they matter.

Every model of the registry is among CONFIGS, with all its variants and an odd Config that is derived from the smallest.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from typing import Any

import numpy as np

from zoo import registry
from zoo.errors import ZooError
from zoo.models import deepstarr
from zoo.weights import checkpoint, model_arrays
from zoo.weights.checkpoint import Checkpoint

ODD = deepstarr.Config(
    filters=(9, 5, 7), kernel_sizes=(6, 1, 4), dense_units=(11,), sequence_length=53, targets=("a", "b", "c")
)
"""Nothing in it is a multiple of anything, and two kernels are even, which pads the ends unequally."""

MODELS = {name: model for name, model in registry.working("models").items() if model.VARIANTS}
"""Not the model of imported networks, which has no weights of its own."""

EMBRYO = deepstarr.Config(
    filters=(6, 5), kernel_sizes=(5, 4), dense_units=(7,), sequence_length=61, targets=("a",), pool_size=3, sigmoid=True
)
"""Stands for DeepSTARR's variants of 1,001 bp, which are slow."""

SMALLER: dict[str, dict[str, Any]] = {
    "bpnet": {"filters": 5, "layers": 2, "first_kernel": 7, "profile_kernel": 9, "profile_length": 20},
    "basset": {"filters": (30, 21, 20), "dense_units": (50, 41)},
    "deepstarr": {"filters": (19, 12, 7, 5), "dense_units": (33,)},
    "legnet": {"stem_filters": 6, "block_filters": (8, 10), "pools": (2, 3), "widening": 2},
    "malinois": {"filters": (8, 6, 4), "dense_units": (10,), "branch_units": 6},
    "dream": {
        "first_filters": 6,
        "core_filters": 4,
        "block_filters": (6,),
        "widening": 2,
        "squeezing": 2,
        "lstm_units": 5,
        "head_filters": 8,
    },
}
"""Architecture -> fields of its odd Config that make it small enough to train in a test."""


def odd_config(architecture: str) -> Any:
    """The smallest variant of a model on sequences of another length and with other targets, one more than it has."""
    model = MODELS[architecture]

    def numbers(config: Any) -> int:
        return sum(map(math.prod, model_arrays.shapes(architecture, config).values()))

    smallest = min(model.VARIANTS.values(), key=numbers)
    targets = tuple(f"target_{number}" for number in range(len(smallest.targets) + 1))

    def first_possible(least: int) -> Any:
        """The Config of the shortest sequences, of at least so many bases, that the network takes."""
        for length in range(least, smallest.sequence_length):
            with contextlib.suppress(ZooError):
                changes = {"sequence_length": length, "targets": targets, **SMALLER.get(architecture, {})}
                return dataclasses.replace(smallest, **changes)
        return dataclasses.replace(smallest, targets=targets)

    # neither the shortest, at which a position is left of all layers, nor the usual length
    shortest = first_possible(1).sequence_length
    return first_possible(shortest + (smallest.sequence_length - shortest) // 7)


EVERY_ODD_CONFIG = {f"odd {architecture}": odd_config(architecture) for architecture in MODELS}

EVERY_CONFIG = {
    **{
        name: config
        for model in MODELS.values()
        for name, config in model.VARIANTS.items()
        if not isinstance(config, deepstarr.Config) or config.pool_size != EMBRYO.pool_size
    },
    **EVERY_ODD_CONFIG,
    "odd": ODD,
    "small embryo": EMBRYO,
}
"""For tests that are quick for any network, whatever its size."""

TRACED = ("legnet", "malinois", "dream", "bpnet")
"""Bundled models whose ONNX graphs PyTorch traces, which takes seconds. For tests that export, the odd network of the
first one stands for all; tests/models/test_goldens.py exports each."""

ODD_CONFIGS = {name: config for name, config in EVERY_ODD_CONFIG.items() if name.removeprefix("odd ") not in TRACED[1:]}

SMALL_CONFIGS = {**ODD_CONFIGS, "odd": ODD}
"""For tests that export or run each network. A published size is for tests of what depends on the size."""

CONFIGS = {
    name: config
    for name, config in EVERY_CONFIG.items()
    if name in ODD_CONFIGS or not (config is EMBRYO or any(isinstance(config, MODELS[one].Config) for one in TRACED))
}


def architecture_of(config: Any) -> str:
    """The architecture whose Config it is."""
    (found,) = (architecture for architecture, model in MODELS.items() if type(config) is model.Config)
    return found


def random_checkpoint(config: Any, seed: int = 0) -> Checkpoint:
    """Weights whose activations stay near 1 through all layers."""
    architecture = architecture_of(config)
    shapes = model_arrays.shapes(architecture, config)
    gains = {array.replace("running_mean", "weight") for array in shapes if array.endswith("running_mean")}
    random = np.random.default_rng(seed)
    arrays = {}
    for name, shape in shapes.items():
        if name.endswith("running_var"):
            values = random.uniform(0.2, 2, shape)
        elif name in gains:
            values = random.uniform(0.5, 1.5, shape)
        elif len(shape) == 1:
            values = random.normal(0, 0.2, shape)
        else:
            values = random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        arrays[name] = values.astype(np.float32)
    return checkpoint.make(architecture, config, arrays, "random numbers", "none")


def random_codes(number: int, length: int, seed: int = 0) -> np.ndarray:
    """Base codes, uint8 (number, length): bases, some Ns, and a last sequence of Ns alone."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, 4, (number, length), np.uint8)
    codes[random.random(codes.shape) < 0.02] = 4
    if number > 1:
        codes[-1] = 4
    return codes
