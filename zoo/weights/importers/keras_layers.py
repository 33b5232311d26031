"""A network as Keras has it: layers with names and settings, the JSON graph, each layer's arrays, the legacy .h5 file.

What the layers of an architecture are, its folder in zoo/models says (`HasKerasForm`). Plain JSON
types; no Keras is imported. Kernels: Keras (position, channel, filter) and (input, output); canonical (filter, channel,
position) and (output, input); Keras flattens (position, channel), the zoo (channel, position).
"""

from __future__ import annotations

import dataclasses
import importlib.util
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from zoo import registry
from zoo.errors import MissingDependency, ZooError
from zoo.spec import ALPHABET, SPEC_KEY, ModelSpec
from zoo.system.atomic import replacing
from zoo.weights import seal
from zoo.weights.checkpoint import Checkpoint

NORM_NAMES = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
"""Keras name of a batch normalization array -> the end of its canonical name."""

KERAS_VERSION = "2.2.4"
"""Written into files: the format that every later legacy Keras reads."""


@dataclasses.dataclass(frozen=True)
class KerasLayer:
    """One Keras layer.

    class_name: the Keras class.  module: the PyTorch module that computes the same.  settings: what is not Keras's
    default.  row: of the module's kernel, for a layer that is one output of it.  flattened: channels and positions of
    what is flattened, for a Flatten layer and the dense layer behind it.
    """

    name: str
    class_name: str
    module: str
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    row: int | None = None
    flattened: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True)
class KerasModel:
    """layers: behind the input, each fed by the one before; those with a `row` are the outputs."""

    name: str
    input: str
    layers: tuple[KerasLayer, ...]


class HasKerasForm(Protocol):
    """What a model offers, beside zoo.contracts.Model, if Keras can express it."""

    def keras_model(self, config: Any) -> KerasModel:
        """The network as Keras layers. Raises ZooError for a Config that Keras cannot express."""


def of(spec: ModelSpec) -> KerasModel:
    """The Keras form of a model. Raises ZooError if it has none."""
    reason = refuses(spec)
    if reason:
        raise ZooError(reason)
    plugin = registry.load("models", spec.architecture)
    return plugin.keras_model(plugin.Config(**spec.config))


def refuses(spec: ModelSpec) -> str | None:
    """Why a model has no Keras form; None if it has."""
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
    """The JSON graph, as `tf_keras.models.model_from_json` takes it."""
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
    """Arrays of one layer in the order of its `set_weights`: "kernel", "bias" or "gamma" ...; may be empty."""
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
    """What the PyTorch module of a layer gives, (N, C, P) or (N, features) -> laid out as Keras gives it."""
    if layer.class_name == "Flatten" and layer.flattened:
        return output.reshape(len(output), *layer.flattened).transpose(0, 2, 1).reshape(output.shape)
    if output.ndim == 3:
        return output.transpose(0, 2, 1)
    return output if layer.row is None else output[:, layer.row : layer.row + 1]


def write_h5(weights: Checkpoint, path: Path, overwrite: bool = False) -> None:
    """Canonical weights -> a legacy .h5 that `load_weights` of a Keras model takes, whole or not at all.

    The ModelSpec goes along as an attribute, which Keras ignores, so that it comes back unchanged when it is imported.
    Raises ZooError if the architecture has no Keras form.
    """
    model = of(weights.spec)
    require_h5py()
    with replacing(path, overwrite) as partial:
        # in memory first: the HDF5 library brings the process down if a file that it has open cannot grow
        partial.write_bytes(_content(weights, model))
        seal.seal(partial)


def _content(weights: Checkpoint, model: KerasModel) -> bytes:
    """The bytes of the file."""
    import h5py

    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        names = [model.input, *(layer.name for layer in model.layers)]
        file.attrs["layer_names"] = np.array([name.encode() for name in names])
        file.attrs["backend"] = np.bytes_("tensorflow")
        file.attrs["keras_version"] = np.bytes_(KERAS_VERSION)
        file.attrs[SPEC_KEY] = seal.unsealed(weights.spec.to_dict())
        file.create_group(model.input).attrs["weight_names"] = np.array([])
        for layer in model.layers:
            group = file.create_group(layer.name)
            arrays = layer_arrays(weights.arrays, layer)
            group.attrs["weight_names"] = np.array([f"{layer.name}/{name}:0".encode() for name in arrays])
            for name, array in arrays.items():
                group[f"{layer.name}/{name}:0"] = array
    return content.getvalue()


def require_h5py() -> None:
    """Raise MissingDependency, with the command that helps, where h5py is not installed."""
    if importlib.util.find_spec("h5py") is None:
        raise MissingDependency("h5py (Keras .h5 files) is not installed; pip install deepstarr-zoo brings it")
