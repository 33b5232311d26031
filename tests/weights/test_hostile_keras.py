"""Keras files that lead elsewhere, declare more than they hold, or hold what is no weights: refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import WEIGHTS, refused_import
from ports import plain_h5
from zoo_exporters.keras import export as write_h5

from zoo.errors import LONGEST, ZooError
from zoo.layers import keras_layers
from zoo.weights import file_checks
from zoo.weights.importers import importer
from zoo.weights.importers.layers import ImportOptions

h5py = pytest.importorskip("h5py")


KERAS = ImportOptions(alphabet="ACGT", length=53)


@pytest.fixture
def h5(tmp_path: Path) -> Path:
    """The odd network as plain Keras writes it."""
    path = plain_h5(WEIGHTS, tmp_path / "odd.h5")
    assert importer.read(path, KERAS).spec.weights_id == WEIGHTS.spec.weights_id
    return path


DENSE = "Dense_1/Dense_1/kernel:0"


def external_link(file: Any) -> None:
    del file[DENSE]
    file[DENSE] = h5py.ExternalLink("other.h5", "/x")


def soft_link(file: Any) -> None:
    del file[DENSE]
    file[DENSE] = h5py.SoftLink("/other")


def linked_group(file: Any) -> None:
    del file["Dense_1"]
    file["Dense_1"] = h5py.ExternalLink("other.h5", "/")


def external_storage(file: Any) -> None:
    shape = file[DENSE].shape
    del file[DENSE]
    file.create_dataset(DENSE, shape, np.float32, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def virtual(file: Any) -> None:
    shape = file[DENSE].shape
    del file[DENSE]
    layout = h5py.VirtualLayout(shape, np.float32)
    layout[:] = h5py.VirtualSource("other.h5", "x", shape)
    file.create_virtual_dataset(DENSE, layout)


def unused_link(file: Any) -> None:
    file["somewhere"] = h5py.ExternalLink("/etc/passwd", "/")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (external_link, "kernel:0"),
        (soft_link, "kernel:0"),
        (linked_group, "Dense_1"),
        (unused_link, "somewhere"),
        (external_storage, "kernel:0"),
        (virtual, "kernel:0"),
    ],
)
def test_a_keras_file_that_leads_elsewhere_is_refused(change: Callable[[Any], None], name: str, h5: Path) -> None:
    with h5py.File(h5.parent / "other.h5", "w") as file:
        file["x"] = np.zeros(77, np.float32)
    with h5py.File(h5, "r+") as file:
        change(file)
    refused_import(h5, "refused", name, options=KERAS)


def test_groups_that_hold_each_other_have_an_end(h5: Path) -> None:
    with h5py.File(h5, "r+") as file:
        file["Dense_1/round"] = file["/"]
    assert importer.read(h5, KERAS).spec.weights_id == WEIGHTS.spec.weights_id


def declared(**settings: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        del file[DENSE]
        file.create_dataset(DENSE, dtype=np.float32, **settings)

    return change


@pytest.mark.parametrize(
    "change",
    [
        declared(shape=(5, 5_000_000_000)),
        declared(shape=(5, 5_000_000_000), chunks=(5, 1000), compression="gzip"),
        declared(shape=(1_000_000, 25_000), chunks=(1000, 1000), compression="gzip", fillvalue=1),
    ],
    ids=["plain", "chunked", "compressed"],
)
def test_a_keras_file_is_refused_by_what_it_declares(change: Callable[[Any], None], h5: Path) -> None:
    with h5py.File(h5, "r+") as file:
        change(file)
    assert h5.stat().st_size < 200_000
    refused_import(h5, "100,000,0", options=KERAS)


def test_one_array_under_several_names_counts_each_time(h5: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(h5, "r+") as file:
        file.create_dataset("array", (300_000,), np.float32)
        for name in ("a", "b"):
            file[f"Dense_1/{name}"] = file["array"]
        file["Dense_1"].attrs["weight_names"] = [b"a", b"b"]
        file.attrs["layer_names"] = [b"Dense_1"]
    monkeypatch.setattr(file_checks, "LARGEST", 2_000_000)
    refused_import(h5, "2,400,656 bytes", "2,000,000", options=KERAS)


@pytest.mark.parametrize("kind", [np.int32, np.complex64, np.bool_, "S5"])
def test_a_keras_file_of_other_than_floating_point_numbers_is_refused(kind: Any, h5: Path) -> None:
    with h5py.File(h5, "r+") as file:
        shape = file[DENSE].shape
        del file[DENSE]
        file[DENSE] = np.zeros(shape, kind)
    refused_import(h5, "Dense_1/kernel:0", options=KERAS)


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_a_keras_file_in_another_precision_is_converted(kind: Any, h5: Path) -> None:
    with h5py.File(h5, "r+") as file:
        values = file[DENSE][()].astype(kind)
        del file[DENSE]
        file[DENSE] = values
        file["Dense_1"].attrs["weight_names"] = [b"Dense_1/kernel:0", b"Dense_1/bias:0"]
    found = importer.read(h5, KERAS).arrays["dense1.weight"]
    np.testing.assert_allclose(found, WEIGHTS.arrays["dense1.weight"], rtol=1e-3, atol=1e-6)


def graph_with(change: Callable[[dict[str, Any]], Any]) -> str:
    graph = keras_layers.graph(WEIGHTS.spec)
    changed = change(graph)
    return json.dumps(graph if changed is None else changed)


def first_settings(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda graph: graph["config"]["layers"][0]["config"].update({name: value})


GRAPHS: dict[str, str] = {
    "deep": "[" * 100_000 + "]" * 100_000,
    "half deep": "[" * 500 + "]" * 500,
    "long": json.dumps("x" * 2_000_000),
    "a list": "[]",
    "null": "null",
    "a number of many digits": "9" * 10_000,
    "layers that are a number": graph_with(lambda graph: graph["config"].update(layers=5)),
    "a layer that is text": graph_with(lambda graph: graph["config"].update(layers=["Conv1D"])),
    "a class that is a list": graph_with(lambda graph: graph["config"]["layers"][1].update(class_name=["Conv1D"])),
    "outputs that are numbers": graph_with(lambda graph: graph["config"].update(output_layers=[[1, 2]])),
    "a length that is text": graph_with(first_settings("batch_input_shape", [None, "53", 4])),
    "a length that is half": graph_with(first_settings("batch_input_shape", [None, 53.5, 4])),
    "a length that is negative": graph_with(first_settings("batch_input_shape", [None, -53, 4])),
    "a shape that is a number": graph_with(first_settings("batch_input_shape", 7)),
    "a shape that is an object": graph_with(first_settings("batch_input_shape", {"0": 1, "1": 2, "2": 4})),
    "a dropout that is text": graph_with(
        lambda graph: (
            [
                layer["config"].update(rate="much")
                for layer in graph["config"]["layers"]
                if layer["class_name"] == "Dropout"
            ]
            and None
        )
    ),
    "a setting that is an object": graph_with(lambda graph: graph["config"]["layers"][1]["config"].update(strides={})),
}


@pytest.mark.parametrize("case", GRAPHS)
def test_an_odd_graph_is_refused_in_one_line(case: str, h5: Path) -> None:
    path = h5.parent / "graph.json"
    path.write_text(GRAPHS[case])
    with pytest.raises(ZooError) as caught:
        importer.read(h5, ImportOptions(graph=path))
    message = str(caught.value)
    assert len(message) <= LONGEST
    assert message.isprintable()
    assert "graph.json" in message or "odd.h5" in message


def test_a_keras_file_of_the_zoo_that_was_changed_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.h5"
    write_h5(WEIGHTS, path)
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(h5py, "File", lambda *_: pytest.fail("h5py opened it"))
    refused_import(path, "sha256", options=ImportOptions())
