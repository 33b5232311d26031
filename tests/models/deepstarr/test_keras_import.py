"""The published Keras file and its like come in and go out bit for bit; what is not DeepSTARR is refused."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from ports import plain_h5
from refusals import refuses
from zoo_exporters.keras import export as write_h5

from zoo import registry
from zoo.dna.encoding import one_hot
from zoo.layers import keras_layers
from zoo.models.deepstarr import Config
from zoo.prediction import session
from zoo.prediction.session import open_session
from zoo.weights import checkpoint
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.importers import importer
from zoo.weights.importers.keras_graph import KerasGraph
from zoo.weights.importers.layers import ImportOptions

h5py = pytest.importorskip("h5py")

ACGT = ImportOptions(alphabet="ACGT")
PUBLISHED_ID = "b8a0c2cf12fc0cc5ca2ea1bf2eafa093d1b5ce82238e420cbc5156848498863a"


def read_h5(path: Path, **options: Any) -> Checkpoint:
    return importer.read(path, dataclasses.replace(ACGT, **options), architecture="deepstarr")


def graph_of(config: Config) -> dict[str, Any]:
    return keras_layers.graph(checkpoint.describe("deepstarr", config))


@pytest.fixture(scope="module")
def published(data: Path) -> Checkpoint:
    return read_h5(data / "DeepSTARR.model.h5")


@pytest.fixture(scope="module")
def odd() -> Checkpoint:
    return random_checkpoint(ODD)


@pytest.fixture
def odd_h5(odd: Checkpoint, tmp_path: Path) -> Path:
    """The odd network as plain Keras writes it: without the spec that our own exports carry."""
    return plain_h5(odd, tmp_path / "odd.h5")


def layer_order(file: Any) -> list[str]:
    return [name.decode() for name in file.attrs["layer_names"]]


def test_the_published_file_is_read_with_its_dimensions_citation_and_licence(published: Checkpoint) -> None:
    assert published.config == Config()
    assert sum(array.size for array in published.arrays.values()) == 624_738
    assert published.spec.weights_id == PUBLISHED_ID
    assert published.spec.targets == ("dev", "hk")
    assert published.spec.licence == "MIT"
    assert "de Almeida" in published.spec.source
    assert "Zenodo record 5502060" in published.spec.source
    assert "DeepSTARR.model.h5 (md5 7e53a9351b2520a4713a5ffdb5f1566c)" in published.spec.source


def test_export_gives_the_names_the_order_and_the_bits_of_the_published_file(
    published: Checkpoint, data: Path, tmp_path: Path
) -> None:
    path = tmp_path / "exported.h5"
    registry.load("exporters", "keras").export(published, path)
    with h5py.File(path) as ours, h5py.File(data / "DeepSTARR.model.h5") as theirs:
        assert layer_order(ours) == layer_order(theirs)
        for layer in layer_order(theirs):
            wanted, got = theirs[layer].attrs["weight_names"], ours[layer].attrs["weight_names"]
            assert len(wanted) == len(got)
            for left, right in zip(wanted, got, strict=True):
                assert left.split(b"/")[-1] == right.split(b"/")[-1]
                assert np.array_equal(theirs[layer][left][()], ours[layer][right][()])


@pytest.mark.parametrize("with_spec", [True, False])
def test_import_of_an_export_is_bit_identical(odd: Checkpoint, tmp_path: Path, with_spec: bool) -> None:
    path = tmp_path / "odd.h5"
    if with_spec:
        write_h5(odd, path)
        back = read_h5(path)
        assert back.spec == odd.spec
    else:
        back = read_h5(plain_h5(odd, path), length=ODD.sequence_length)
        assert back.spec.weights_id == odd.spec.weights_id
        assert back.spec.source.startswith("imported from odd.h5 (md5 ")
    assert {name: array.tobytes() for name, array in back.arrays.items()} == {
        name: array.tobytes() for name, array in odd.arrays.items()
    }


def test_an_export_whose_arrays_were_changed_is_refused(odd: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "odd.h5"
    write_h5(odd, path)
    with h5py.File(path, "r+") as file:
        file["Dense_1/Dense_1/bias:0"][0] += 1
    with refuses(path, "sha256"):
        read_h5(path)


def test_layers_go_by_their_order_and_not_by_the_number_in_their_names(odd: Checkpoint, odd_h5: Path) -> None:
    with h5py.File(odd_h5, "r+") as file:
        order = layer_order(file)
        norms = [name for name in order if name.startswith("batch_normalization")]
        renamed = {name: f"batch_normalization_{9 - number}" for number, name in enumerate(norms)}
        for old, new in renamed.items():
            file.move(old, new)
        file.attrs["layer_names"] = np.array([renamed.get(name, name).encode() for name in order])
    assert read_h5(odd_h5, length=53).spec.weights_id == odd.spec.weights_id


def test_another_base_order_is_put_right_on_import(odd: Checkpoint, odd_h5: Path) -> None:
    swapped = read_h5(odd_h5, length=53, alphabet="ACTG").arrays["conv1.weight"]
    assert np.array_equal(swapped[:, [0, 1, 3, 2]], odd.arrays["conv1.weight"])


def test_the_sequence_length_comes_from_the_option_the_graph_or_the_default(odd_h5: Path, tmp_path: Path) -> None:
    with refuses(odd_h5, "48 to 55 bases", "--length"):
        read_h5(odd_h5)
    assert read_h5(odd_h5, length=50).spec.sequence_length == 50
    with refuses(odd_h5, "48 to 55 bases", "56"):
        read_h5(odd_h5, length=56)
    graph = tmp_path / "odd.json"
    graph.write_text(json.dumps(graph_of(ODD)))
    assert read_h5(odd_h5, graph=graph).config == ODD
    assert read_h5(odd_h5, graph=graph, targets=("a/b", "b", "c")).spec.targets == ("a/b", "b", "c")
    default = random_checkpoint(Config(filters=(4, 4), kernel_sizes=(3, 3), dense_units=(5,)))
    assert read_h5(plain_h5(default, tmp_path / "default.h5")).spec.sequence_length == 249


def test_names_of_outputs_come_from_their_layers_or_the_option(odd_h5: Path) -> None:
    assert read_h5(odd_h5, length=53).spec.targets == ("a", "b", "c")
    assert read_h5(odd_h5, length=53, targets=("x", "y", "z")).spec.targets == ("x", "y", "z")
    with refuses(odd_h5, "3 outputs", "x, y"):
        read_h5(odd_h5, length=53, targets=("x", "y"))


def drop_bias(file: Any) -> None:
    file["Conv1D_2"].attrs["weight_names"] = file["Conv1D_2"].attrs["weight_names"][:1]


def drop_norm(file: Any) -> None:
    order = file.attrs["layer_names"]
    file.attrs["layer_names"] = order[order != b"batch_normalization_61"]


def widen_norm(file: Any) -> None:
    name = "batch_normalization_60/batch_normalization_60/gamma:0"
    del file[name]
    file[name] = np.ones(10, np.float32)


def narrow_kernel(file: Any) -> None:
    del file["Conv1D_3/Conv1D_3/kernel:0"]
    file["Conv1D_3/Conv1D_3/kernel:0"] = np.ones((4, 6, 7), np.float32)


def flatten_wrongly(file: Any) -> None:
    del file["Dense_1/Dense_1/kernel:0"]
    file["Dense_1/Dense_1/kernel:0"] = np.ones((43, 11), np.float32)


def lose_outputs(file: Any) -> None:
    file.attrs["layer_names"] = file.attrs["layer_names"][:-3]


def poison(file: Any) -> None:
    file["Dense_1/Dense_1/bias:0"][3] = np.nan


@pytest.mark.parametrize(
    ("damage", "facts"),
    [
        (drop_bias, ["layer Conv1D_2", "got kernel"]),
        (drop_norm, ["layer Conv1D_2", "3 dimensions"]),
        (widen_norm, ["layer Conv1D_1st", "9 values", "norm weight", "[10]"]),
        (narrow_kernel, ["layer Conv1D_3", "5 inputs", "6"]),
        (flatten_wrongly, ["layer Dense_1", "7 filters", "43"]),
        (lose_outputs, ["got 4 layers"]),
        (poison, ["dense1.bias"]),
    ],
)
def test_what_is_not_deepstarr_is_refused_with_the_first_mismatch(
    odd_h5: Path, damage: Callable[[Any], None], facts: list[str]
) -> None:
    with h5py.File(odd_h5, "r+") as file:
        damage(file)
    with refuses(odd_h5, *facts):
        read_h5(odd_h5, length=53)


def change(layer: str, setting: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def changed(graph: dict[str, Any]) -> None:
        for node in graph["config"]["layers"]:
            if node["name"] == layer:
                node["config"][setting] = value

    return changed


def drop(layer: str) -> Callable[[dict[str, Any]], None]:
    def dropped(graph: dict[str, Any]) -> None:
        graph["config"]["layers"] = [node for node in graph["config"]["layers"] if node["name"] != layer]

    return dropped


@pytest.mark.parametrize(
    ("altered", "facts"),
    [
        (change("batch_normalization_61", "epsilon", 1e-5), ["layer batch_normalization_61", "epsilon 0.001", "1e-05"]),
        (change("Conv1D_2", "padding", "valid"), ["layer Conv1D_2", "padding same", "valid"]),
        (change("Conv1D_1st", "activation", "relu"), ["layer Conv1D_1st", "activation linear"]),
        (change("activation_60", "activation", "elu"), ["layer activation_60", "activation relu", "got elu"]),
        (change("max_pooling1d_45", "pool_size", [3]), ["layer max_pooling1d_45", "pool_size [2]"]),
        (change("input_12", "batch_input_shape", [None, 53, 5]), ["(None, length, 4)", "53, 5"]),
        (drop("activation_61"), ["layer 7", "Activation", "MaxPooling1D max_pooling1d_45"]),
        (drop("flatten_11"), ["Flatten", "Dense Dense_1"]),
    ],
)
def test_a_graph_that_computes_something_else_is_refused_where_it_begins_to(
    odd_h5: Path, tmp_path: Path, altered: Callable[[dict[str, Any]], None], facts: list[str]
) -> None:
    graph = graph_of(ODD)
    altered(graph)
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(graph))
    with refuses(*facts):
        read_h5(odd_h5, graph=path)


def test_the_generated_graph_is_the_published_one(data: Path) -> None:
    published = json.loads((data / "DeepSTARR.model.json").read_text())
    ours = graph_of(Config())
    theirs_read, ours_read = (KerasGraph.of(graph, "here") for graph in (published, ours))
    assert theirs_read.sequence_length == ours_read.sequence_length == 249
    assert theirs_read.dropout == ours_read.dropout == 0.4
    assert theirs_read.outputs == ours_read.outputs == ("Dense_Dev", "Dense_Hk")
    theirs_read.check(registry.load("models", "deepstarr").keras_model(Config()))
    for theirs, mine in zip(published["config"]["layers"], ours["config"]["layers"], strict=True):
        assert (theirs["name"], theirs["class_name"]) == (mine["name"], mine["class_name"])
        assert theirs["inbound_nodes"] == mine["inbound_nodes"]
        shared = set(theirs["config"]) & set(mine["config"])
        assert {name: theirs["config"][name] for name in shared} == {name: mine["config"][name] for name in shared}


LENGTH = 269


@pytest.fixture(scope="module")
def retrained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A network of other sizes as a user's tf_keras makes it: the model, its weights file and its whole-model file."""
    reason = session.missing("keras-cpu")
    if reason:
        pytest.skip(f"keras-cpu: {reason}")
    open_session(random_checkpoint(ODD), "keras-cpu")  # loads TensorFlow without its log
    import tf_keras
    from tf_keras import layers

    tf_keras.utils.set_random_seed(5)
    hidden = inputs = layers.Input((LENGTH, 4))
    for number, (filters, size) in enumerate([(24, 7), (16, 4), (20, 3)]):
        hidden = layers.Conv1D(filters, size, padding="same", bias_initializer="random_normal")(hidden)
        hidden = layers.BatchNormalization(name=f"norm_{9 - number}")(hidden)
        hidden = layers.MaxPooling1D(2)(layers.Activation("relu")(hidden))
    hidden = layers.Dense(32)(layers.Flatten()(hidden))
    hidden = layers.Dropout(0.25)(layers.ReLU()(layers.BatchNormalization()(hidden)))
    model = tf_keras.Model(inputs, [layers.Dense(1, name=f"Dense_{name}")(hidden) for name in ("Dev", "Hk")])
    random = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            units = layer.get_weights()[0].size
            scale, shift, mean, variance = random.uniform(0.5, 2, (4, units))
            layer.set_weights([scale, shift - 1, mean - 1, variance])
    folder = tmp_path_factory.mktemp("retrained")
    model.save_weights(folder / "weights.h5", save_format="h5")
    model.save(folder / "model.h5", save_format="h5")
    return model, folder


def keras_predictions(model: Any, codes: np.ndarray) -> np.ndarray:
    return np.concatenate(model.predict_on_batch(one_hot(codes)), axis=1)


def test_a_retrained_keras_network_of_other_sizes_gives_its_numbers_on_every_runtime(retrained: Any) -> None:
    model, folder = retrained
    weights = importer.read(folder / "model.h5", ACGT)
    assert weights.config == Config(
        filters=(24, 16, 20), kernel_sizes=(7, 4, 3), dense_units=(32,), dropout=0.25, sequence_length=LENGTH
    )
    codes = random_codes(100, LENGTH)
    wanted = keras_predictions(model, codes)
    assert np.ptp(wanted) > 0.1
    for runtime in ("torch-cpu", "onnx-cpu", "keras-cpu"):
        if session.missing(runtime) is None:
            assert np.abs(open_session(weights, runtime).predict(codes) - wanted).max() < 1e-4, runtime


def test_the_weights_alone_of_a_retrained_network_need_a_length(retrained: Any) -> None:
    _, folder = retrained
    with refuses(folder / "weights.h5", "264 to 271 bases", "--length"):
        read_h5(folder / "weights.h5")
    alone, whole = (
        read_h5(folder / "weights.h5", length=LENGTH),
        importer.read(folder / "model.h5", ACGT),
    )
    assert alone.spec.weights_id == whole.spec.weights_id
    assert alone.spec.targets == ("dev", "hk")


def test_keras_loads_an_export_and_gives_the_same_bits(retrained: Any, tmp_path: Path) -> None:
    import tf_keras

    model, folder = retrained
    weights = importer.read(folder / "model.h5", ACGT)
    registry.load("exporters", "keras").export(weights, tmp_path / "exported.h5")
    assert read_h5(tmp_path / "exported.h5").spec == weights.spec
    codes = random_codes(10, LENGTH)
    wanted = keras_predictions(model, codes)
    clone = tf_keras.models.clone_model(model)
    clone.load_weights(tmp_path / "exported.h5")
    assert np.array_equal(keras_predictions(clone, codes), wanted)
    generated = tf_keras.models.model_from_json(json.dumps(graph_of(weights.config)))
    generated.load_weights(tmp_path / "exported.h5", by_name=True)
    assert np.array_equal(keras_predictions(generated, codes), wanted)


@pytest.mark.usefixtures("retrained")
def test_the_published_graph_loads_an_export_of_the_published_weights(
    published: Checkpoint, data: Path, tmp_path: Path
) -> None:
    import tf_keras

    write_h5(published, tmp_path / "exported.h5")
    models = []
    for path in (tmp_path / "exported.h5", data / "DeepSTARR.model.h5"):
        models.append(tf_keras.models.model_from_json((data / "DeepSTARR.model.json").read_text()))
        models[-1].load_weights(path)
    ours, theirs = ([array.tobytes() for array in model.get_weights()] for model in models)
    assert ours == theirs
