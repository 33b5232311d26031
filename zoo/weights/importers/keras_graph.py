"""The JSON graph of a Keras model: what it adds to the arrays, and whether it computes the same as our network.

Needs no Keras. Our own graphs are made in zoo/layers/keras_layers.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from zoo.errors import OtherArchitecture, ZooError
from zoo.layers.keras_layers import KerasLayer, KerasModel
from zoo.spec import ALPHABET

MOST_INSIDE = 8
"""Models inside each other that a graph may have."""

PASSIVE = ("InputLayer", "Dropout")
"""Keras classes that change nothing in a prediction."""

WITH_WEIGHTS = ("Conv1D", "Dense", "BatchNormalization")
"""Keras classes with arrays."""

KERAS_EPSILON = 1e-3
"""Default epsilon of Keras's batch normalization."""

DEFAULTS: dict[str, dict[str, Any]] = {
    "Conv1D": {
        "padding": "valid",
        "strides": [1],
        "dilation_rate": [1],
        "groups": 1,
        "activation": "linear",
        "use_bias": True,
        "data_format": "channels_last",
    },
    "Dense": {"activation": "linear", "use_bias": True},
    "BatchNormalization": {"epsilon": KERAS_EPSILON, "center": True, "scale": True},
    "Activation": {"activation": "linear"},
    "ReLU": {"max_value": None, "negative_slope": 0, "threshold": 0},
    "MaxPooling1D": {"pool_size": [2], "strides": None, "padding": "valid", "data_format": "channels_last"},
    "Flatten": {"data_format": "channels_last"},
}
"""Keras class -> the settings that decide what it computes, beside its arrays, and their defaults in Keras."""


@dataclasses.dataclass(frozen=True)
class KerasGraph:
    """A graph. nodes: Keras class and settings of every layer, in order.  outputs: names of the output layers in order,
    () if unknown.  sequence_length: L, bases; None for any length. dropout: rate of the first dropout layer, 0 without
    one.
    """

    where: str
    nodes: tuple[tuple[str, Mapping[str, Any]], ...]
    outputs: tuple[str, ...]
    sequence_length: int | None
    dropout: float

    @classmethod
    def of(cls, content: Any, where: str) -> KerasGraph:
        """Read the parsed JSON of the file `where`. Raises ZooError if it is not the graph of a Keras model."""
        try:
            nodes = tuple(_nodes(content["config"]["layers"]))
            listed = content["config"].get("output_layers", [])
            outputs = tuple(output[0] for output in listed if isinstance(output, list))
            if not all(isinstance(text, str) for text in (*outputs, *(kind for kind, _ in nodes))):
                raise TypeError
        except (TypeError, KeyError, AttributeError, IndexError, ValueError):
            raise ZooError(
                f"{where}: expected the JSON graph of a Keras model, with class_name and config.layers"
            ) from None
        shapes = [settings.get("batch_input_shape") or settings.get("batch_shape") for _, settings in nodes]
        shape = next((shape for shape in shapes if shape), [None, None, len(ALPHABET)])
        if not isinstance(shape, list) or len(shape) != 3 or shape[2] != len(ALPHABET) or not _is_length(shape[1]):
            raise ZooError(f"{where}: expected an input of shape (None, length, {len(ALPHABET)}), got {shape}")
        dropout = next((settings.get("rate") for kind, settings in nodes if kind == "Dropout"), None) or 0.0
        if not isinstance(dropout, int | float):
            raise ZooError(f"{where}: expected a number as the rate of a Dropout, got {dropout}")
        return cls(where, nodes, outputs, shape[1], float(dropout))

    @property
    def pools(self) -> tuple[int, ...]:
        """Windows of the max-poolings, in order."""
        sizes = [settings.get("pool_size", 2) for kind, settings in self.nodes if kind == "MaxPooling1D"]
        return tuple(size[0] if isinstance(size, list) and size else size for size in sizes)

    @property
    def output_activation(self) -> str:
        """Activation of the last layer, in it or right after it."""
        return str(self._computing[-1][1].get("activation", "linear")) if self._computing else "linear"

    @property
    def _computing(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Layers that change a prediction; the activation of a dense layer is part of it if it is the last layer."""
        found = [(kind, settings) for kind, settings in self.nodes if kind not in PASSIVE]
        if [kind for kind, _ in found[-2:]] == ["Dense", "Activation"]:
            (_, settings), (_, last) = found[-2:]
            if settings.get("activation", "linear") in (None, "linear"):
                found[-2:] = [("Dense", {**settings, "activation": last.get("activation", "linear")})]
        return found

    def check(self, model: KerasModel) -> None:
        """Raise OtherArchitecture for the first layer that computes something else than the model's.

        Sizes and names are not compared: sizes follow from the arrays, and names do not matter. All outputs may be one
        layer.
        """
        found = self._computing
        hidden = [layer for layer in model.layers if layer.row is None and layer.class_name not in PASSIVE]
        output = next(layer for layer in model.layers if layer.row is not None)
        expected = hidden + [output] * max(1, len(found) - len(hidden))
        for position, layer in enumerate(expected):
            kind, settings = found[position] if position < len(found) else ("nothing", {})
            if kind != layer.class_name and not _is_relu(kind, layer):
                got = f"{kind} {settings.get('name', '')}".strip()
                raise OtherArchitecture(
                    f"{self.where}: layer {position + 1}: expected {layer.class_name} as in {model.name}, got {got}"
                )
        for (kind, settings), layer in zip(found, expected, strict=True):
            difference = _difference(kind, settings, layer.settings if kind == layer.class_name else {})
            if difference:
                name, wanted, value = difference
                raise OtherArchitecture(
                    f"{self.where}: layer {settings.get('name')}: expected {name} {wanted} as in {model.name}, "
                    f"got {value}"
                )


def _nodes(layers: Any, depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Class and settings of each layer; those of a model inside the model are in its place."""
    for node in layers:
        settings = dict(node["config"])
        if depth < MOST_INSIDE and "layers" in settings:
            yield from _nodes(settings["layers"], depth + 1)
        else:
            yield node["class_name"], settings


def _is_length(value: Any) -> bool:
    return value is None or (type(value) is int and value > 0)


def _difference(kind: str, settings: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """The first setting that differs between a layer and ours: its name, our value, its value; None if all agree."""
    for name, default in DEFAULTS.get(kind, {}).items():
        value, wanted = settings.get(name, default), own.get(name, default)
        if _plain(name, value, settings) != _plain(name, wanted, own):
            return name, wanted, value
    return None


def _is_relu(kind: str, layer: KerasLayer) -> bool:
    return kind == "ReLU" and layer.class_name == "Activation" and layer.settings.get("activation") == "relu"


def _plain(name: str, value: Any, settings: Mapping[str, Any]) -> Any:
    """A setting in one form, for comparison: Keras may write [2] or 2, and no activation for a linear one."""
    if name == "strides" and value is None:
        value = settings.get("pool_size", DEFAULTS["MaxPooling1D"]["pool_size"])
    if name == "activation" and value is None:
        return "linear"
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value
