"""DeepSTARR as Keras describes it: layer names and JSON graph of the published model, for any Config.

Plain JSON types; imports no Keras. The published file numbers its layers as its authors' session did
(`batch_normalization_60`): the names are kept, so that pipelines written for it find them.
"""

from __future__ import annotations

import re
from typing import Any

from zoo.errors import ZooError
from zoo.layers.keras_layers import KerasLayer, KerasModel
from zoo.models.deepstarr import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, POOL_SIZE, Config

INPUT = "input_12"
FIRST_NUMBER = {"batch_normalization": 60, "activation": 60, "max_pooling1d": 44, "flatten": 11, "dropout": 17}
"""Layer kind -> number that the published file gives to its first layer of that kind."""


OUTPUT = "Dense_"
"""What the name of an output layer begins with; the target follows."""

LAYER_NAME = re.compile(r"[A-Za-z0-9_.-]+")
"""What TensorFlow and the groups of an .h5 file both take."""


def model(config: Config) -> KerasModel:
    """Every layer, in the order of the published file and under its names."""
    found: list[KerasLayer] = []
    counts = dict(FIRST_NUMBER)

    def add(kind: str, class_name: str, module: str, **settings: Any) -> None:
        found.append(KerasLayer(f"{kind}_{counts[kind]}", class_name, module, settings))
        counts[kind] += 1

    def add_norm_and_relu(module: str) -> None:
        settings = {"axis": -1, "momentum": 1 - BATCH_NORM_MOMENTUM, "epsilon": BATCH_NORM_EPSILON}
        add("batch_normalization", "BatchNormalization", f"{module}_norm", **settings)
        add("activation", "Activation", f"{module}_relu", activation="relu")

    for number, (filters, size) in enumerate(zip(config.filters, config.kernel_sizes, strict=True), 1):
        settings = {"filters": filters, "kernel_size": [size], "strides": [1], "padding": "same"}
        name = "Conv1D_1st" if number == 1 else f"Conv1D_{number}"
        found.append(KerasLayer(name, "Conv1D", f"conv{number}", settings))
        add_norm_and_relu(f"conv{number}")
        pool = {"pool_size": [POOL_SIZE], "strides": [POOL_SIZE], "padding": "valid"}
        add("max_pooling1d", "MaxPooling1D", f"conv{number}_pool", **pool)
    flat = (config.filters[-1], config.positions[-1])
    found.append(KerasLayer(f"flatten_{counts['flatten']}", "Flatten", "flatten", flattened=flat))
    for number, units in enumerate(config.dense_units, 1):
        settings = {"units": units}
        flattened = flat if number == 1 else None
        found.append(KerasLayer(f"Dense_{number}", "Dense", f"dense{number}", settings, flattened=flattened))
        add_norm_and_relu(f"dense{number}")
        add("dropout", "Dropout", f"dense{number}_dropout", rate=config.dropout)
    names = {layer.name for layer in found}
    for row, target in enumerate(config.targets):
        name = f"{OUTPUT}{target[:1].upper()}{target[1:]}"
        if name in names or not LAYER_NAME.fullmatch(name):
            raise ZooError(f"targets: {target!r} cannot name a Keras layer beside {', '.join(sorted(names))}")
        names.add(name)
        found.append(KerasLayer(name, "Dense", "head", {"units": 1}, row))
    return KerasModel("DeepSTARR", INPUT, tuple(found))
