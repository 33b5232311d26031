"""Legacy Keras .h5 with the layer names of the published model, for pipelines that read that file."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from zoo.errors import require
from zoo.layers import keras_layers
from zoo.spec import SPEC_KEY, ModelSpec
from zoo.system.atomic import replacing
from zoo.weights import file_checks
from zoo.weights.checkpoint import Checkpoint

SUFFIX = ".h5"


def refuses(spec: ModelSpec) -> str | None:
    """Why a model has no Keras form; None if it has one."""
    return keras_layers.refuses(spec)


def export(weights: Checkpoint, path: Path, *, overwrite: bool = False) -> None:
    """Write `path` whole or not at all; `load_weights` of the Keras model reads it.

    The ModelSpec is stored as an attribute, which Keras ignores, and `zoo import` reads it back unchanged.
    Raises ZooError if the architecture has no Keras form or `path` exists.
    """
    model = keras_layers.of(weights.spec)
    require("h5py", "", "Keras .h5 files")
    with replacing(path, overwrite) as partial:
        # made in memory, because the HDF5 library ends the process if an open file cannot grow
        partial.write_bytes(_content(weights, model))
        file_checks.write_digest(partial)


def _content(weights: Checkpoint, model: keras_layers.KerasModel) -> bytes:
    """The bytes of the file."""
    import h5py

    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        names = [model.input, *(layer.name for layer in model.layers)]
        file.attrs["layer_names"] = np.array([name.encode() for name in names])
        file.attrs["backend"] = np.bytes_("tensorflow")
        file.attrs["keras_version"] = np.bytes_(keras_layers.KERAS_VERSION)
        file.attrs[SPEC_KEY] = file_checks.spec_json(weights.spec.to_dict())
        file.create_group(model.input).attrs["weight_names"] = np.array([])
        for layer in model.layers:
            group = file.create_group(layer.name)
            arrays = keras_layers.layer_arrays(weights.arrays, layer)
            group.attrs["weight_names"] = np.array([f"{layer.name}/{name}:0".encode() for name in arrays])
            for name, array in arrays.items():
                group[f"{layer.name}/{name}:0"] = array
    return content.getvalue()
