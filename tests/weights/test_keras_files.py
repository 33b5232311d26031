"""Legacy Keras files are read layer by layer, whatever network they hold; others are refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from refusals import refuses

from zoo.errors import OtherArchitecture
from zoo.weights.importers import keras, layers

h5py = pytest.importorskip("h5py")

KERNELS = {
    "conv": (3, 4, 2),  # position, channel, filter
    "hidden": (10, 3),
    "Out_B": (3, 1),
    "Out_A": (3, 1),
}


def random(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A convolution and a hidden dense layer, each with batch normalization, and two outputs."""
    path = tmp_path / "small.h5"
    with h5py.File(path, "w") as file:
        order = []
        for name, shape in KERNELS.items():
            arrays = {"kernel": random(shape), "bias": random(shape[-1:])}
            layers = {name: arrays}
            if not name.startswith("Out"):
                layers[f"{name}_norm"] = dict.fromkeys(
                    ("gamma", "beta", "moving_mean", "moving_variance"), np.ones(shape[-1], np.float32)
                )
            for layer, values in layers.items():
                order.append(layer.encode())
                group = file.create_group(layer)
                group.attrs["weight_names"] = np.array([f"{layer}/{end}:0".encode() for end in values])
                for end, array in values.items():
                    group[f"{layer}/{end}:0"] = array
        file.attrs["layer_names"] = np.array(order)
    return path


def write_graph(path: Path) -> Path:
    layers = [
        {"class_name": "InputLayer", "config": {"name": "in", "batch_input_shape": [None, 12, 4]}},
        {"class_name": "Dropout", "config": {"name": "drop", "rate": 0.2}},
        {"class_name": "Dense", "config": {"name": "Out_B"}},
        {"class_name": "Dense", "config": {"name": "Out_A"}},
    ]
    body = {"layers": layers, "output_layers": [["Out_A", 0, 0], ["Out_B", 0, 0]]}
    path.write_text(json.dumps({"class_name": "Model", "config": body}))
    return path


def test_layers_come_in_order_with_canonical_kernels_and_their_norms(small: Path) -> None:
    file = keras.read(small)
    found = layers.network(file)
    assert [(layer.name, layer.norm_name) for layer in file.layers] == [
        ("conv", "conv_norm"),
        ("hidden", "hidden_norm"),
        ("Out_B", None),
        ("Out_A", None),
    ]
    assert (found.filters, found.kernel_sizes, found.dense_units, found.positions) == ((2,), (3,), (3,), 5)
    assert np.array_equal(found.convolutions[0].kernel, random((3, 4, 2)).transpose(2, 1, 0))
    assert np.array_equal(found.hidden[0].kernel, random((10, 3)).T)
    assert found.hidden[0].norm is not None
    assert sorted(found.hidden[0].norm) == ["bias", "running_mean", "running_var", "weight"]
    assert layers.targets(file, found, (), "Out_", ("dev", "hk")) == ("b", "a")
    assert (file.graph, file.spec, file.sequence_length, file.dropout) == (None, None, None, None)


def test_a_graph_tells_length_dropout_and_the_order_of_outputs(small: Path, tmp_path: Path) -> None:
    file = keras.read(small, write_graph(tmp_path / "graph.json"))
    assert (file.sequence_length, file.dropout) == (12, 0.2)
    assert layers.targets(file, layers.network(file), (), "Out_", ("dev", "hk")) == ("a", "b")
    with h5py.File(small, "r+") as stored:
        stored.attrs["model_config"] = (tmp_path / "graph.json").read_text()
    assert keras.read(small).sequence_length == 12


def test_a_graph_that_is_none_is_refused(small: Path, tmp_path: Path) -> None:
    graph = tmp_path / "graph.json"
    with refuses(graph):
        keras.read(small, graph)
    graph.write_text("{")
    with refuses(graph, "JSON"):
        keras.read(small, graph)
    graph.write_text('{"config": []}')
    with refuses(graph, "class_name", "config.layers"):
        keras.read(small, graph)


def test_a_list_of_layers_that_keras_cut_in_two_is_read(small: Path) -> None:
    whole = keras.read(small)
    with h5py.File(small, "r+") as file:
        order = file.attrs["layer_names"]
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = order[:4], order[4:]
    assert [layer.name for layer in keras.read(small).layers] == [layer.name for layer in whole.layers]


def test_outputs_that_only_keras_named_tell_no_targets(small: Path) -> None:
    with h5py.File(small, "r+") as file:
        file.move("Out_B", "dense_3")
        file["dense_3"].attrs["weight_names"] = np.array([b"Out_B/kernel:0", b"Out_B/bias:0"])
        file.attrs["layer_names"] = np.array([b"conv", b"conv_norm", b"hidden", b"hidden_norm", b"dense_3", b"Out_A"])
    file = keras.read(small)
    assert layers.targets(file, layers.network(file), (), "Out_", ("dev", "hk")) == ("dev", "hk")


def test_another_layout_or_a_damaged_file_is_refused_in_one_line(small: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.h5"
    cut.write_bytes(small.read_bytes()[:3000])
    with refuses(cut, ".h5"):
        keras.read(cut)
    with h5py.File(small, "r+") as file:
        del file["Out_A/Out_A/bias:0"]
    with refuses(small, ".h5"):
        keras.read(small)
    with h5py.File(small, "r+") as file:
        del file.attrs["layer_names"]
    with refuses(small, "layer_names", "save_weights"):
        keras.read(small)
    with refuses(tmp_path / "none.h5"):
        keras.read(tmp_path / "none.h5")


def test_a_layer_of_another_kind_belongs_to_another_architecture(small: Path) -> None:
    with h5py.File(small, "r+") as file:
        file["hidden"].attrs["weight_names"] = file["hidden"].attrs["weight_names"][:1]
    with refuses(small, "layer hidden", "kernel [10, 3]", kind=OtherArchitecture):
        keras.read(small)
