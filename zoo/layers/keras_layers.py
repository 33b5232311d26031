"""A network as Keras layers: their names and settings, the JSON graph, and the arrays of each layer in Keras's layout.

An architecture says what its layers are (`HasKerasForm`). Needs no Keras.
Kernels are (position, channel, filter) and (input, output) in Keras, (filter, channel, position) and (output, input) in
the zoo; Keras flattens in the order (position, channel), the zoo in (channel, position).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from zoo import registry
from zoo.errors import ZooError
from zoo.spec import ALPHABET, ModelSpec

NORM_NAMES = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
"""Keras name of an array of a batch norm -> the end of its canonical name."""

KERAS_VERSION = "2.2.4"
"""Version written into files; every later legacy Keras reads its format."""


@dataclasses.dataclass(frozen=True)
class KerasLayer:
    """One Keras layer.

    class_name: the Keras class.  module: the PyTorch module that computes the same.  settings: those that differ from
    Keras's defaults.  row: for one of several outputs, its row in the module's kernel.  flattened: number of channels
    and positions that are flattened, for a Flatten layer and the dense layer after it.
    """

    name: str
    class_name: str
    module: str
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    row: int | None = None
    flattened: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True)
class KerasModel:
    """layers: those after the input, each fed by the one before it; layers with a `row` are the outputs."""

    name: str
    input: str
    layers: tuple[KerasLayer, ...]


class HasKerasForm(Protocol):
    """What a model offers, beside zoo.contracts.Model, if Keras can express it."""

    def keras_model(self, config: Any) -> KerasModel:
        """The network as Keras layers. Raises ZooError for a Config that Keras cannot express."""


def of(spec: ModelSpec) -> KerasModel:
    """The Keras layers of a model. Raises ZooError if it has no Keras form."""
    reason = refuses(spec)
    if reason:
        raise ZooError(reason)
    plugin = registry.load("models", spec.architecture)
    return plugin.keras_model(plugin.Config(**spec.config))


def refuses(spec: ModelSpec) -> str | None:
    """Why a model has no Keras form; None if it has one."""
    plugin = registry.load("models", spec.architecture)
    keras_model = getattr(plugin, "keras_model", None)
    if keras_model is None:
        return f"the architecture {spec.architecture} has no Keras form"
    try:
        keras_model(plugin.Config(**spec.config))
    except ZooError as error:
        return str(error)
    return None


def graph(spec: ModelSpec) -> dict[str, Any]:
    """The JSON graph that `tf_keras.models.model_from_json` takes."""
    model = of(spec)
    shape = [None, spec.sequence_length, len(ALPHABET)]
    settings = {"batch_input_shape": shape, "dtype": "float32", "sparse": False, "name": model.input}
    nodes: list[dict[str, Any]] = [
        {"name": model.input, "class_name": "InputLayer", "config": settings, "inbound_nodes": []}
    ]
    before = model.input
    for layer in model.layers:
        nodes.append(
            {
                "name": layer.name,
                "class_name": layer.class_name,
                "config": {"name": layer.name, "trainable": True, "dtype": "float32", **layer.settings},
                "inbound_nodes": [[[before, 0, 0, {}]]],
            }
        )
        if layer.row is None:
            before = layer.name
    outputs = [[layer.name, 0, 0] for layer in model.layers if layer.row is not None]
    body = {"name": model.name, "layers": nodes, "input_layers": [[model.input, 0, 0]], "output_layers": outputs}
    return {"class_name": "Model", "config": body, "keras_version": KERAS_VERSION, "backend": "tensorflow"}


def layer_arrays(arrays: Mapping[str, np.ndarray], layer: KerasLayer) -> dict[str, np.ndarray]:
    """Keras name ("kernel", "gamma") -> array of one layer, in the order of its `set_weights`; {} without arrays."""
    if layer.class_name == "BatchNormalization":
        return {name: arrays[f"{layer.module}.{end}"] for name, end in NORM_NAMES.items()}
    if layer.class_name not in ("Conv1D", "Dense"):
        return {}
    kernel, bias = arrays[f"{layer.module}.weight"], arrays[f"{layer.module}.bias"]
    if layer.row is not None:
        kernel, bias = kernel[layer.row : layer.row + 1], bias[layer.row : layer.row + 1]
    if layer.flattened:
        kernel = kernel.reshape(len(kernel), *layer.flattened).transpose(0, 2, 1).reshape(kernel.shape)
    return {"kernel": np.ascontiguousarray(kernel.T), "bias": bias}


def layer_output(output: np.ndarray, layer: KerasLayer) -> np.ndarray:
    """Output of the PyTorch module of a layer, (N, C, P) or (N, features) -> the same in Keras's layout."""
    if layer.class_name == "Flatten" and layer.flattened:
        return output.reshape(len(output), *layer.flattened).transpose(0, 2, 1).reshape(output.shape)
    if output.ndim == 3:
        return output.transpose(0, 2, 1)
    return output if layer.row is None else output[:, layer.row : layer.row + 1]
