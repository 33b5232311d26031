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
from zoo_exporters.keras import export as write_h5

from zoo.dna.encoding import one_hot
from zoo.errors import OtherArchitecture, ZooError
from zoo.layers import keras_layers
from zoo.models import deepstarr
from zoo.models.basset import Config
from zoo.weights import network
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.importers import importing
from zoo.weights.importers.importing import ImportOptions

torch = pytest.importorskip("torch")

SMALL = Config(filters=(6, 5, 4), dense_units=(9, 8))


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
    with pytest.raises(ZooError, match=r"cannot tell how the network flattens nor its epsilon; give --flatten channel"):
        importing.read(path)
    back = importing.read(path, ImportOptions(flatten="channel", epsilon=1e-5))
    assert back.spec.architecture == "basset"
    assert back.config == SMALL
    assert back.spec.weights_id == weights.spec.weights_id
    with pytest.raises(OtherArchitecture, match="16 to 23 bases fit; give it with --length"):
        importing.read(path, ImportOptions(flatten="channel", epsilon=1e-5), architecture="deepstarr")


def test_the_zoo_s_own_names_need_no_flatten_order(tmp_path: Path) -> None:
    weights = random_checkpoint(SMALL)
    torch.save(network.from_checkpoint(weights).state_dict(), tmp_path / "own.pt")
    assert importing.read(tmp_path / "own.pt").spec.weights_id == weights.spec.weights_id


def test_a_network_for_600_bases_says_which_lengths_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    weights = random_checkpoint(dataclasses.replace(SMALL, sequence_length=600))
    path = Path("basset.pt")
    torch.save(renamed(weights), path)
    options = ImportOptions(flatten="channel", epsilon=1e-5, length=600)
    assert importing.read(path, options).spec.weights_id == weights.spec.weights_id
    with pytest.raises(ZooError) as error:
        importing.read(path, ImportOptions(flatten="channel", epsilon=1e-5))
    assert "fits no architecture; basset: does not say for which sequence length it was made, " in str(error.value)
    assert "deepstarr: does not say for which sequence length it was made, 80 to 87 bases fit" in str(error.value)
    with pytest.raises(OtherArchitecture, match="expected a sequence length of 80 to 87 bases, got 600"):
        importing.read(path, options, architecture="deepstarr")


@pytest.mark.parametrize("depth", [3, 4])
def test_a_state_dict_of_a_deepstarr_is_not_taken_for_a_basset(tmp_path: Path, depth: int) -> None:
    config = deepstarr.Config(filters=(6, 5, 4, 7)[:depth], kernel_sizes=(7, 3, 5, 3)[:depth], dense_units=(9, 8))
    path = tmp_path / "deepstarr.pt"
    torch.save(renamed(random_checkpoint(config)), path)
    assert importing.read(path, ImportOptions(flatten="channel", epsilon=1e-5)).spec.architecture == "deepstarr"
    with pytest.raises(OtherArchitecture):
        importing.read(path, ImportOptions(flatten="channel", epsilon=1e-5), architecture="basset")


def test_another_epsilon_is_folded_into_the_scale(tmp_path: Path) -> None:
    weights = random_checkpoint(SMALL)
    module = network.from_checkpoint(weights)
    torch.save(renamed(weights), tmp_path / "port.pt")
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.eps = 0.01
    codes = torch.from_numpy(one_hot(random_codes(20, 249)).transpose(0, 2, 1).copy())
    found = network.from_checkpoint(
        importing.read(tmp_path / "port.pt", ImportOptions(flatten="channel", epsilon=0.01))
    )
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
        back = importing.read(path, ImportOptions() if with_spec else ImportOptions(epsilon=epsilon))
        assert back.spec.architecture == architecture
        assert back.spec.weights_id == weights.spec.weights_id
        assert back.config == config


def test_a_graph_tells_the_two_apart(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    weights = random_checkpoint(dataclasses.replace(SMALL, sequence_length=600))
    path = plain_h5(weights, tmp_path / "basset.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(keras_layers.graph(weights.spec))
    back = importing.read(path)
    assert (back.spec.architecture, back.spec.sequence_length) == ("basset", 600)
    graph = keras_layers.graph(weights.spec)
    graph["config"]["layers"][1]["config"]["padding"] = "same"
    (tmp_path / "same.json").write_text(json.dumps(graph))
    with pytest.raises(OtherArchitecture, match=r"layer conv1: expected padding valid as in Basset, got same"):
        importing.read(path, ImportOptions(graph=tmp_path / "same.json"), architecture="basset")
