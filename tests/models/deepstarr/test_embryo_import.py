"""Keras files of the embryo networks: poolings by 3, and a network inside the network with a sigmoid after it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import EMBRYO, random_checkpoint, random_codes
from ports import plain_h5
from refusals import refuses

from zoo import registry
from zoo.dna.encoding import one_hot
from zoo.layers import keras_layers, plain
from zoo.models import deepstarr
from zoo.weights.importers import importer
from zoo.weights.importers.layers import ImportOptions

h5py = pytest.importorskip("h5py")

WEIGHTS = random_checkpoint(EMBRYO)
HEAD = "Dense_A"


def numbers(weights: Any) -> np.ndarray:
    codes = random_codes(7, EMBRYO.sequence_length)
    layers = registry.load("models", "deepstarr").plain_layers(weights.config, weights.arrays)
    return plain.activities(layers, one_hot(codes))


@pytest.fixture
def accessibility(tmp_path: Path) -> Path:
    """A network that ends with a dense layer."""
    return plain_h5(WEIGHTS, tmp_path / "accessibility.h5")


@pytest.fixture
def activity(accessibility: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The weights and the .json of a network that was trained on from the hidden layers of another one, as Keras
    writes both: the arrays of the inner network under its name, those that are not trained at the end."""
    path, graph = tmp_path / "activity.h5", tmp_path / "activity.json"
    with h5py.File(accessibility) as theirs, h5py.File(path, "w") as made:
        inner = [name.decode() for name in theirs.attrs["layer_names"] if name.decode() != HEAD]
        arrays = {name.decode(): theirs[layer][name] for layer in inner for name in theirs[layer].attrs["weight_names"]}
        names = sorted(arrays, key=lambda name: "moving" in name)
        made.attrs["layer_names"] = [b"input_2", b"model_1", HEAD.encode(), b"activation_6"]
        for layer, stored in (("input_2", []), ("model_1", names), ("activation_6", [])):
            made.create_group(layer).attrs["weight_names"] = [name.encode() for name in stored]
        for name in names:
            made["model_1"][name] = arrays[name][()]
        theirs.copy(HEAD, made)
    whole = keras_layers.graph(WEIGHTS.spec)
    nodes = [node for node in whole["config"]["layers"] if node["name"] != HEAD]
    head = next(node for node in whole["config"]["layers"] if node["name"] == HEAD)
    head["config"]["activation"] = "linear"
    last = {"class_name": "Activation", "config": {"name": "activation_6", "activation": "sigmoid"}}
    body = {"class_name": "Functional", "config": {"name": "model_1", "layers": nodes}}
    outer = {"layers": [nodes[0], body, head, last], "output_layers": [["activation_6", 0, 0]]}
    graph.write_text(json.dumps({"class_name": "Functional", "config": outer}))
    return path, graph


def test_a_network_inside_a_network_gives_its_probabilities(activity: tuple[Path, Path]) -> None:
    path, graph = activity
    weights = importer.read(path, ImportOptions(alphabet="ACGT", graph=graph, targets=("a",)))
    assert weights.config == EMBRYO
    np.testing.assert_array_equal(numbers(weights), numbers(WEIGHTS))
    assert numbers(weights).min() > 0
    assert numbers(weights).max() < 1


def test_an_activation_after_the_outputs_is_never_left_out(activity: tuple[Path, Path], accessibility: Path) -> None:
    path, graph = activity
    with refuses(path.name, "activation_6", "--graph"):
        importer.read(path, ImportOptions(alphabet="ACGT"))
    with refuses(graph.name, "Activation", accessibility.name, HEAD):
        importer.read(accessibility, ImportOptions(alphabet="ACGT", graph=graph))
    content = json.loads(graph.read_text())
    content["config"]["layers"][-1]["config"]["activation"] = "tanh"
    graph.write_text(json.dumps(content))
    with refuses("activation", "tanh"):
        importer.read(path, ImportOptions(alphabet="ACGT", graph=graph), "deepstarr")


@pytest.mark.parametrize(("length", "pool"), [(249, 2), (1001, 3)])
def test_the_length_shows_the_size_of_the_poolings(length: int, pool: int, tmp_path: Path) -> None:
    config = deepstarr.Config(
        filters=(4, 3, 3, 2), kernel_sizes=(5, 3, 3, 3), dense_units=(5,), pool_size=pool, sequence_length=length
    )
    written = random_checkpoint(config)
    path = plain_h5(written, tmp_path / "plain.h5")
    for given in (None, length):
        read = importer.read(path, ImportOptions(alphabet="ACGT", length=given), "deepstarr")
        assert dataclasses.replace(read.config, targets=config.targets) == config
    with refuses("bases"):
        importer.read(path, ImportOptions(alphabet="ACGT", length=100), "deepstarr")


def test_the_embryo_networks_have_the_sizes_of_the_study() -> None:
    shapes = deepstarr.array_shapes(deepstarr.VARIANTS["embryo"])
    assert deepstarr.VARIANTS["embryo"].positions == (1001, 333, 111, 37, 12)
    layers = ("conv1", "conv2", "conv3", "conv4", "dense1", "dense2", "head")
    assert [shapes[f"{layer}.weight"] for layer in layers] == [
        (256, 4, 7), (120, 256, 3), (60, 120, 3), (60, 60, 3), (64, 720), (256, 64), (1, 256),
    ]  # fmt: skip
