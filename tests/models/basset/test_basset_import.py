"""Files of a Basset are told from those of a DeepSTARR without being asked for, and give its own numbers."""

from __future__ import annotations

import dataclasses
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from ports import plain_h5
from refusals import refuses
from zoo_exporters.keras import export as write_h5

from zoo.dna.encoding import one_hot
from zoo.errors import OtherArchitecture
from zoo.layers import keras_layers
from zoo.models import deepstarr
from zoo.models.basset import Config
from zoo.weights import network
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.importers import importer
from zoo.weights.importers.layers import ImportOptions

torch = pytest.importorskip("torch")

SMALL = Config(filters=(6, 5, 4), dense_units=(9, 8))
SAID = ImportOptions(alphabet="ACGT", flatten="channel", epsilon=1e-5)


def renamed(weights: Checkpoint, trailing: bool = False) -> OrderedDict[str, Any]:
    """A state dict as another program names it; convolutions over an axis of one where `trailing`."""
    found: OrderedDict[str, Any] = OrderedDict()
    for name, array in weights.arrays.items():
        tensor = torch.from_numpy(array)
        found[f"x{name}"] = tensor[..., None] if trailing and tensor.ndim == 3 else tensor
    return found


@pytest.mark.parametrize("trailing", [False, True])
def test_a_state_dict_of_a_basset_is_imported_as_one(tmp_path: Path, trailing: bool) -> None:
    weights = random_checkpoint(SMALL)
    path = tmp_path / "basset.pt"
    torch.save(renamed(weights, trailing), path)
    with refuses(path, "--alphabet", "--flatten", "--epsilon", "--match"):
        importer.read(path)
    back = importer.read(path, SAID)
    assert back.spec.architecture == "basset"
    assert back.config == SMALL
    assert back.spec.weights_id == weights.spec.weights_id
    with refuses(path, "16 to 23 bases", "--length", kind=OtherArchitecture):
        importer.read(path, SAID, architecture="deepstarr")


def test_the_zoo_s_own_names_need_no_flatten_order(tmp_path: Path) -> None:
    weights = random_checkpoint(SMALL)
    torch.save(network.from_checkpoint(weights).state_dict(), tmp_path / "own.pt")
    with refuses("own.pt", "--alphabet") as caught:
        importer.read(tmp_path / "own.pt")
    assert "--flatten" not in str(caught.value)
    options = ImportOptions(alphabet="ACGT")
    assert importer.read(tmp_path / "own.pt", options).spec.weights_id == weights.spec.weights_id


def test_a_network_for_600_bases_says_which_lengths_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    weights = random_checkpoint(dataclasses.replace(SMALL, sequence_length=600))
    path = Path("basset.pt")
    torch.save(renamed(weights), path)
    options = ImportOptions(alphabet="ACGT", flatten="channel", epsilon=1e-5, length=600)
    assert importer.read(path, options).spec.weights_id == weights.spec.weights_id
    with refuses(path, "basset: ", "deepstarr: ", "80 to 87 bases", kind=OtherArchitecture):
        importer.read(path, SAID)
    with refuses(path, "80 to 87 bases", "600", kind=OtherArchitecture):
        importer.read(path, options, architecture="deepstarr")


@pytest.mark.parametrize("depth", [3, 4])
def test_a_state_dict_of_a_deepstarr_is_not_taken_for_a_basset(tmp_path: Path, depth: int) -> None:
    config = deepstarr.Config(filters=(6, 5, 4, 7)[:depth], kernel_sizes=(7, 3, 5, 3)[:depth], dense_units=(9, 8))
    path = tmp_path / "deepstarr.pt"
    torch.save(renamed(random_checkpoint(config)), path)
    assert importer.read(path, SAID).spec.architecture == "deepstarr"
    with pytest.raises(OtherArchitecture):
        importer.read(path, SAID, architecture="basset")


def test_another_epsilon_is_folded_into_the_scale(tmp_path: Path) -> None:
    weights = random_checkpoint(SMALL)
    module = network.from_checkpoint(weights)
    torch.save(renamed(weights), tmp_path / "port.pt")
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.eps = 0.01
    codes = torch.from_numpy(one_hot(random_codes(20, 249)).transpose(0, 2, 1).copy())
    found = network.from_checkpoint(importer.read(tmp_path / "port.pt", dataclasses.replace(SAID, epsilon=0.01)))
    with torch.inference_mode():
        assert np.abs(found(codes) - module(codes)).max() < 1e-5
        assert np.abs(network.from_checkpoint(weights)(codes) - module(codes)).max() > 1e-3


@pytest.mark.parametrize("with_spec", [True, False])
def test_a_keras_file_of_each_is_imported_as_what_it_is(tmp_path: Path, with_spec: bool) -> None:
    pytest.importorskip("h5py")
    fitting = dataclasses.replace(ODD, sequence_length=249, targets=("dev", "hk"))
    for architecture, config in (("basset", SMALL), ("deepstarr", fitting)):
        weights = random_checkpoint(config)
        path = tmp_path / f"{architecture}.h5"
        (write_h5 if with_spec else plain_h5)(weights, path)
        # arrays alone do not say that it is not Keras's 1e-3, which a DeepSTARR has
        epsilon = {"basset": 1e-5, "deepstarr": 1e-3}[architecture]
        back = importer.read(path, ImportOptions() if with_spec else ImportOptions(alphabet="ACGT", epsilon=epsilon))
        assert back.spec.architecture == architecture
        assert back.spec.weights_id == weights.spec.weights_id
        assert back.config == config


def test_a_graph_tells_the_two_apart(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    weights = random_checkpoint(dataclasses.replace(SMALL, sequence_length=600))
    path = plain_h5(weights, tmp_path / "basset.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(keras_layers.graph(weights.spec))
    back = importer.read(path, ImportOptions(alphabet="ACGT"))
    assert (back.spec.architecture, back.spec.sequence_length) == ("basset", 600)
    graph = keras_layers.graph(weights.spec)
    graph["config"]["layers"][1]["config"]["padding"] = "same"
    (tmp_path / "same.json").write_text(json.dumps(graph))
    with refuses("layer conv1", "padding", "valid", "same", kind=OtherArchitecture):
        importer.read(path, ImportOptions(graph=tmp_path / "same.json"), architecture="basset")
