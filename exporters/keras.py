"""Checkpoint -> legacy Keras .h5 with the layer names of the published DeepSTARR file, for pipelines made for it."""

from __future__ import annotations

from pathlib import Path

from zoo.models.deepstarr.keras_weights import write_h5
from zoo.weights.checkpoint import Checkpoint

SUFFIX = ".h5"


def export(weights: Checkpoint, path: Path, *, overwrite: bool = False) -> None:
    """Write `path`, whole or not at all. Raises ZooError if the architecture has no Keras form or the path is taken."""
    write_h5(weights, path, overwrite)
