"""Networks of Keras and TensorFlow as ONNX: every operator of docs/import.md, and what is refused. One TensorFlow."""

from __future__ import annotations

import itertools
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from fuzz import budget
from graph_networks import documented, keras_network, verdicts
from mutated_graphs import changed_archive
from refusals import refuses

from zoo.errors import ZooError
from zoo.weights.importers.graphs import keras_checks, keras_models, sources
from zoo.weights.importers.graphs.graph import Tensor, onnx_run

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
tensorflow = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
tf_keras = pytest.importorskip("tf_keras")
pytest.importorskip("tf2onnx")


def small(library: Any, length: int | None = None) -> Any:
    """A network of free length with two inputs of one kind and two heads."""
    x = library.Input((length, 4), name="dna")
    h = library.layers.GlobalMaxPooling1D()(library.layers.Conv1D(3, 4, activation="relu")(x))
    return library.Model(x, [library.layers.Dense(1, name="dev")(h), library.layers.Dense(2, name="hk")(h)])


def without_free_length(source: str) -> dict[str, str]:
    return {name: found for name, found in documented(source).items() if name != "free length"}


@pytest.mark.parametrize(("library", "suffix", "source"), [(keras, ".keras", "Keras 3"), (tf_keras, ".h5", "Keras 2")])
def test_every_operator(library: Any, suffix: str, source: str, tmp_path: Path) -> None:
    model, names = keras_network(library)
    path = tmp_path / f"all{suffix}"
    model.save(path)
    graph = sources.read(path)
    assert graph.kind == f"{source} ({suffix})"
    assert graph.inputs == (Tensor("sequence", "float32", (None, 20, 4)),)
    assert verdicts(graph, names) == without_free_length(source)


def save(kind: str, folder: Path) -> tuple[Path, Path | None, Any]:
    """A small network in one of the forms; the file, the .json of its graph, and the network."""
    model = small(tf_keras if kind.startswith("Keras 2") else keras)
    if kind == "SavedModel":
        model.export(folder / "small", verbose=False)
        return folder / "small", None, model
    if kind.endswith("json"):
        (folder / "small.json").write_text(model.to_json())
        model.save_weights(folder / "small.weights.h5")
        return folder / "small.weights.h5", folder / "small.json", model
    path = folder / ("small.keras" if kind.endswith(".keras") else "small.h5")
    model.save(path)
    return path, None, model


@pytest.mark.parametrize("kind", ["SavedModel", "Keras 2 .keras", "Keras 2 json", "Keras 3 json", "Keras 3 .h5"])
def test_each_form_of_a_network_of_free_length(kind: str, tmp_path: Path) -> None:
    path, text, model = save(kind, tmp_path)
    graph = sources.read(path, text)
    assert graph.kind.startswith(kind[:7])
    assert graph.inputs[0].name == "dna"
    x = np.random.default_rng(0).random((3, 17, 4), np.float32)
    found = onnx_run(graph.model, "a test")({"dna": x})
    for name, wanted in zip([one.name for one in graph.outputs], model(x), strict=True):
        np.testing.assert_allclose(found[name], wanted, atol=1e-6)
    if kind != "SavedModel":
        assert [one.name for one in graph.outputs] == ["dev", "hk"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "small.keras"
    small(keras, 9).save(path)
    return path


def rewritten(path: Path, folder: Path, **changes: bytes) -> Path:
    """A copy of a .keras archive with other records; names have "__" for "."."""
    new = folder / "bad.keras"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(new, "w") as copy:
        records = {name: old.read(name) for name in old.namelist()}
        for name, content in {**records, **{key.replace("__", "."): text for key, text in changes.items()}}.items():
            copy.writestr(name, content)
    return new


def layer(**changes: Any) -> dict[str, Any]:
    return {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {"name": "odd"},
        "registered_name": None,
        **changes,
    }


@pytest.mark.parametrize(
    ("bad", "fact"),
    [
        (layer(class_name="Lambda", config={"function": {"class_name": "__lambda__"}}), "Lambda"),
        (layer(config={"activation": {"class_name": "__lambda__", "config": {}}}), "lambda"),
        (layer(module="os", class_name="Dense"), "os"),
        (layer(module="keras.utils", class_name="get_file"), "get_file"),
        (layer(class_name="TFSMLayer"), "another file"),
        (layer(class_name="TorchModuleWrapper"), "TorchModuleWrapper"),
        (layer(class_name="StringLookup"), "StringLookup"),
        (layer(registered_name="my_package>Dense"), "my_package"),
        (layer(class_name="TFOpLambda", config={"function": "io.write_file"}), "io.write_file"),
        (layer(class_name="function", module="builtins", config="exec"), "exec"),
        (layer(class_name=["Dense"]), "Dense"),
        (layer(config={"units": 10**12}), "1e+12"),
    ],
)
def test_a_graph_that_names_other_code_is_refused(archive: Path, tmp_path: Path, bad: Any, fact: str) -> None:
    with zipfile.ZipFile(archive) as file:
        config = json.loads(file.read("config.json"))
    config["config"]["layers"].append(bad)
    path = rewritten(archive, tmp_path, config__json=json.dumps(config).encode())
    with refuses(path, fact):
        sources.read(path)


def test_losses_and_optimizers_are_not_made(archive: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        config = json.loads(file.read("config.json"))
    config.pop("compile_config", None)
    keras_checks.check_config(config, "a test")


def test_other_records_are_refused(archive: Path, tmp_path: Path) -> None:
    path = rewritten(archive, tmp_path, **{"assets/vocabulary": b"/etc/passwd"})
    with refuses(path, "assets/vocabulary"):
        sources.read(path)


def test_weights_that_are_elsewhere_or_too_large_are_refused(archive: Path, tmp_path: Path) -> None:
    for name, fact in (("linked", "link"), ("large", "bytes")):
        weights = tmp_path / f"{name}.h5"
        with h5py.File(weights, "w") as file:
            if name == "linked":
                file["numbers"] = h5py.ExternalLink("/etc/passwd", "/")
            else:
                file.create_dataset("numbers", (10**6, 10**6), chunks=(1, 1))
        path = rewritten(archive, tmp_path, model__weights__h5=weights.read_bytes())
        with refuses(path, fact):
            sources.read(path)


def test_weights_alone_have_no_graph(tmp_path: Path) -> None:
    path = tmp_path / "alone.weights.h5"
    small(keras, 9).save_weights(path)
    with refuses(path, "no graph", "--graph", "plug-in"):
        sources.read(path)


@pytest.mark.parametrize("operator", ["ReadFile", "WriteFile", "PyFunc"])
def test_a_saved_model_that_reads_files_is_refused(operator: str, tmp_path: Path) -> None:
    class Network(tensorflow.Module):
        @tensorflow.function(input_signature=[tensorflow.TensorSpec((None, 8, 4))])
        def call(self, x: Any) -> Any:
            if operator == "ReadFile":
                tensorflow.io.read_file("/etc/passwd")
            elif operator == "WriteFile":
                tensorflow.io.write_file(str(tmp_path / "written"), "text")
            else:
                x = tensorflow.numpy_function(lambda y: y, [x], tensorflow.float32)
            return x * 2.0

    network = Network()
    tensorflow.saved_model.save(network, str(tmp_path / "bad"), signatures={"serving_default": network.call})
    with refuses(tmp_path / "bad", operator):
        sources.read(tmp_path / "bad")
    assert not (tmp_path / "written").exists()


def test_mutated_archives_pass_the_checks_or_are_one_line(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(path: Path) -> None:
        raise ZooError(f"{path}: passed")

    monkeypatch.setattr(keras_models, "_tensorflow", made)
    content, path = archive.read_bytes(), tmp_path / "net.keras"
    for _, generator in itertools.islice(budget(1), 60):
        path.write_bytes(changed_archive(content, generator))
        with refuses(path):
            sources.read(path)
