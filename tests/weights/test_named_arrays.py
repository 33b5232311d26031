"""State dicts whose names and shapes are those of a model's network are taken as they are, in a file or in Python."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import EVERY_ODD_CONFIG, random_checkpoint
from refusals import refuses

import zoo
from zoo import registry
from zoo.errors import BadPlugin
from zoo.weights import checkpoint, model_arrays
from zoo.weights.importers import importer
from zoo.weights.importers.layers import ImportOptions

torch = pytest.importorskip("torch")

LEGNET = registry.load("models", "legnet")
CONFIG = LEGNET.Config(stem_filters=6, block_filters=(8, 10, 6, 4), widening=2)
WEIGHTS = random_checkpoint(CONFIG)


def tensors(**changes: Any) -> dict[str, Any]:
    counters = {"stem.norm.num_batches_tracked": torch.tensor(7)}
    return {**{name: torch.from_numpy(array) for name, array in WEIGHTS.arrays.items()}, **counters, **changes}


def saved(folder: Path, state: dict[str, Any]) -> Path:
    torch.save(state, folder / "state.pt")
    return folder / "state.pt"


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_file_with_the_names_of_a_network_of_any_size_is_taken_as_it_is(prefix: str, tmp_path: Path) -> None:
    path = saved(tmp_path, {f"{prefix}{name}": value for name, value in tensors().items()})
    made = importer.read(path, ImportOptions(), "legnet")
    assert made.spec.weights_id == WEIGHTS.spec.weights_id
    assert made.config == CONFIG
    assert "left_flank AGGACCGGATCAACT" in made.spec.imported
    with refuses("legnet", "legnet-230", "--architecture"):
        importer.read(path)


def test_a_file_that_nearly_fits_is_told_what_it_lacks(tmp_path: Path) -> None:
    state = tensors()
    del state["output.bias"], state["output.weight"]
    with refuses("output.weight", "absent", [1, 8]):
        importer.read(saved(tmp_path, state))
    with refuses("output.weight", [3, 8], "--targets"):
        importer.read(saved(tmp_path, tensors(**{"output.weight": torch.zeros(3, 8), "output.bias": torch.zeros(3)})))
    with refuses("no arrays of legnet"):
        importer.read(saved(tmp_path, {"conv.weight": torch.zeros(4, 4, 3)}), architecture="legnet-230")
    with refuses("--flatten"):
        importer.read(saved(tmp_path, tensors()), ImportOptions(flatten="length"), "legnet")


def test_another_base_order_moves_the_bases_of_the_first_layer_alone(tmp_path: Path) -> None:
    made = importer.read(saved(tmp_path, tensors()), ImportOptions(alphabet="TGCA"), "legnet")
    for name, array in WEIGHTS.arrays.items():
        expected = array[:, ::-1] if name == "stem.conv.weight" else array
        np.testing.assert_array_equal(made.arrays[name], expected)
    assert len(importer.combinations(importer.read_file(saved(tmp_path, tensors())), architecture="legnet")) == 24


def test_python_makes_weights_of_a_state_dict_and_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "made.safetensors"
    made = zoo.weights_from_state_dict(tensors(), CONFIG, source="a test", licence="MIT", output=path)
    assert (made.spec.source, made.spec.licence) == ("a test", "MIT")
    assert checkpoint.load(path).spec == made.spec
    with refuses("exists", "--overwrite"):
        zoo.weights_from_state_dict(tensors(), CONFIG, output=path)
    with refuses("stem.conv.weight", [64, 4, 11], [6, 4, 11]):
        zoo.weights_from_state_dict(tensors(), "legnet")
    for name, value in (("output.bias", torch.tensor([np.nan])), ("output.bias", torch.tensor([1]))):
        with refuses(name):
            zoo.weights_from_state_dict(tensors(**{name: value}), CONFIG)
    for model in ("lagnet", 3):
        with refuses("legnet" if model == "lagnet" else "int"):
            zoo.weights_from_state_dict(tensors(), model)


@pytest.mark.parametrize(
    "name", [name for name in EVERY_ODD_CONFIG if not hasattr(registry.load("models", name[4:]), "read_layers")]
)
def test_every_model_without_a_reader_of_layers_reads_its_own_state_dict(name: str, tmp_path: Path) -> None:
    weights = random_checkpoint(EVERY_ODD_CONFIG[name])
    network = zoo.torch_module(_file(weights, tmp_path))
    assert zoo.weights_from_state_dict(network.state_dict(), weights.config).spec.weights_id == weights.spec.weights_id


def _file(weights: checkpoint.Checkpoint, folder: Path) -> Path:
    checkpoint.save(weights, folder / "weights.safetensors")
    return folder / "weights.safetensors"


def test_shapes_come_from_the_network_and_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_HOME", str(tmp_path))
    model_arrays._of_network.cache_clear()
    config = dataclasses.replace(CONFIG, stem_kernel=3)
    found = model_arrays.shapes("legnet", config)
    assert found["stem.conv.weight"] == (6, 4, 3)
    (kept,) = (tmp_path / "shapes").iterdir()
    monkeypatch.setattr(LEGNET, "network", None)
    model_arrays._of_network.cache_clear()
    assert list(model_arrays.shapes("legnet", config).items()) == list(found.items())
    kept.write_text("{")
    model_arrays._of_network.cache_clear()
    with refuses("legnet", "array_shapes", kind=BadPlugin):
        model_arrays.shapes("legnet", config)


def test_whole_numbers_in_a_state_dict_are_one_line() -> None:
    module = torch.nn.Linear(2, 1)
    module.register_buffer("places", torch.arange(3))
    with refuses("places", "int64", "persistent=False", kind=BadPlugin):
        model_arrays.state(module)
    module.register_buffer("places", torch.arange(3), persistent=False)
    assert list(model_arrays.state(module)) == ["weight", "bias"]


@pytest.mark.parametrize(
    ("architecture", "field", "value"),
    [
        ("legnet", "block_filters", (1,) * 300_000),
        ("legnet", "left_flank", "ACGU"),
        ("legnet", "sequence_length", 1 << 40),
        ("malinois", "branch_layers", 1 << 30),
        ("malinois", "filters", (1, 2)),
        ("dream", "targets", tuple(map(str, range(100_000)))),
        ("dream", "core", "attention"),
    ],
)
def test_a_config_that_would_make_an_endless_network_is_refused(architecture: str, field: str, value: Any) -> None:
    model = registry.load("models", architecture)
    with refuses(field):
        model.Config(**{field: value})
