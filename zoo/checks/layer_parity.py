"""PyTorch against Keras, layer by layer, for models that have a Keras form: where do two computations part?"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zoo import registry
from zoo.checks import comparison
from zoo.checks.comparison import LayerReport, Tolerance
from zoo.checks.parity import Subject
from zoo.errors import CheckFailed, MissingDependency, ZooError
from zoo.layers import keras_layers
from zoo.prediction import session
from zoo.weights import network
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.lookup import load

RECORDS = 8
"""Records that are compared: enough to meet every filter, few enough to hold every output."""

REFERENCE = "keras-cpu"


def run_layers(
    subject: Subject, outputs: Path | None = None, tolerance: Tolerance | None = None
) -> tuple[str, list[LayerReport]]:
    """PyTorch against Keras, layer by layer: what the reference is, and a report a layer, the first layer first.

    outputs: a .npz of Keras layer outputs for the first records, by layer name, channels last; None runs tf_keras.
    Raises ZooError for bad input, MissingDependency if PyTorch, or without `outputs` tf_keras, is not installed.
    """
    network.require_torch()
    weights = load(subject.model, subject.weights)
    length = weights.spec.sequence_length
    if outputs is not None:
        expected = read_layers(outputs, weights)
        count = len(next(iter(expected.values())))
        codes = subject.records(length, count)[1]
        if len(codes) != count:
            raise ZooError(f"{outputs}: holds outputs for {count} records, there are only {len(codes)} sequences")
        label = str(outputs)
    else:
        label = REFERENCE
        if reason := session.missing(label):
            raise MissingDependency(f"{label} cannot run here: {reason}; or give a .npz of Keras layer outputs")
        codes = subject.records(length, RECORDS)[1]
        expected = registry.load("runtimes", "keras").layer_outputs(weights, codes)
    return label, comparison.compare_layers(expected, torch_layers(weights, codes), tolerance)


def check_layers(label: str, reports: Sequence[LayerReport]) -> None:
    """Raise CheckFailed that names the first layer which departs, and where."""
    for report in reports:
        if not report.passed:
            raise CheckFailed(
                f"parity: {report.name} is the first layer that departs from {label}, by {report.max_difference:.3g} "
                f"at {list(report.index)}: expected {report.expected:.9g}, got {report.actual:.9g}"
            )


def torch_layers(weights: Checkpoint, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Base codes, uint8 (N, L) -> what each PyTorch module gives, named and laid out as its Keras layer."""
    import torch

    from zoo.dna.encoding import one_hot

    module = network.from_checkpoint(weights)
    given: dict[str, np.ndarray] = {}
    for name, child in module.named_children():
        child.register_forward_hook(lambda _, __, output, name=name: given.update({name: output.numpy().copy()}))
    with torch.inference_mode():
        module(torch.from_numpy(one_hot(codes).transpose(0, 2, 1).copy()))
    found = {}
    for layer in keras_layers.of(weights.spec).layers:
        found[layer.name] = keras_layers.layer_output(given[layer.module], layer)
    return found


def read_layers(path: Path, weights: Checkpoint) -> dict[str, np.ndarray]:
    """Keras layer outputs of a .npz, under the names of the published file, in its order.

    Layers that another Keras session numbered otherwise are taken in the order of the file, if there are as many.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise ZooError(f"{path}: cannot be read as a .npz of layer outputs ({error})") from None
    names = [layer.name for layer in keras_layers.of(weights.spec).layers]
    absent = [name for name in names if name not in arrays]
    if not absent:
        return {name: arrays[name] for name in names}
    if len(arrays) != len(names):
        raise ZooError(f"{path}: expected outputs of {len(names)} layers, got {len(arrays)}; {absent[0]} is missing")
    return dict(zip(names, arrays.values(), strict=True))
