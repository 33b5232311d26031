"""Legacy Keras .h5 with the layer names of the model's Keras form, for pipelines made for it."""

from __future__ import annotations

from pathlib import Path

from zoo.spec import ModelSpec
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.importers import keras_layers

SUFFIX = ".h5"


def refuses(spec: ModelSpec) -> str | None:
    """Why a model has no Keras form; None if it has."""
    return keras_layers.refuses(spec)


def export(weights: Checkpoint, path: Path, *, overwrite: bool = False) -> None:
    """Write `path`, whole or not at all. Raises ZooError if the architecture has no Keras form or the path is taken."""
    keras_layers.write_h5(weights, path, overwrite)
