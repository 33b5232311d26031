"""Basset as Keras describes it, for any Config. Its authors published no Keras model: layers are called as its modules.

Plain JSON types; imports no Keras.
"""

from __future__ import annotations

from typing import Any

from zoo.layers.keras_layers import KerasLayer, KerasModel
from zoo.models.basset import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, HEAD, Config


def model(config: Config) -> KerasModel:
    """Every layer, in the order of the network."""
    found: list[KerasLayer] = []

    def add(name: str, class_name: str, flattened: tuple[int, int] | None = None, **settings: Any) -> None:
        found.append(KerasLayer(name, class_name, name, settings, flattened=flattened))

    def add_norm_and_relu(layer: str) -> None:
        # Keras's momentum is the weight of what was there before
        momentum = 1 - BATCH_NORM_MOMENTUM
        add(f"{layer}_bn", "BatchNormalization", axis=-1, momentum=momentum, epsilon=BATCH_NORM_EPSILON)
        add(f"{layer}_relu", "Activation", activation="relu")

    sizes = zip(config.filters, config.kernel_sizes, config.pools, strict=True)
    for number, (filters, size, pool) in enumerate(sizes, 1):
        layer = f"conv{number}"
        add(layer, "Conv1D", filters=filters, kernel_size=[size], strides=[1], padding="valid")
        add_norm_and_relu(layer)
        add(f"{layer}_pool", "MaxPooling1D", pool_size=[pool], strides=[pool], padding="valid")
    flat = (config.filters[-1], config.positions[-1])
    add("flatten", "Flatten", flat)
    for number, units in enumerate(config.dense_units, 1):
        layer = f"hidden{number}"
        add(layer, "Dense", flat if number == 1 else None, units=units)
        add_norm_and_relu(layer)
        add(f"{layer}_dropout", "Dropout", rate=config.dropout)
    # numbered, since a target's name may hold what no Keras name can
    outputs = [KerasLayer(f"{HEAD}_{row + 1}", "Dense", HEAD, {"units": 1}, row) for row in range(len(config.targets))]
    return KerasModel("Basset", "one_hot", (*found, *outputs))
