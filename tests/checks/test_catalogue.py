"""`zoo.list_models` and the options of `zoo list`: everything with a name, and what fits."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from checkpoints import ODD, random_checkpoint
from command_line import Zoo, one_line
from refusals import refuses

import zoo as library
from zoo.card import Card
from zoo.publish import pack
from zoo.publish.options import PackOptions
from zoo.weights import checkpoint, lookup, packs


@pytest.fixture
def hub_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Human weights of a hub, as zoo pull leaves them in the cache."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    name = "hf:lab/odd@v1"
    folder = packs.hub_folder(name)
    folder.parent.mkdir(parents=True)
    made = random_checkpoint(ODD)
    spec = dataclasses.replace(made.spec, licence="CC-BY-NC-4.0")
    checkpoint.save(dataclasses.replace(made, spec=spec), tmp_path / "w.safetensors")
    options = PackOptions(runtime="kmer-cpu", formats=("safetensors",))
    pack.pack(tmp_path / "w.safetensors", folder, Card(species="human, mouse", assay="lentiMPRA"), options)
    return name


def named(**wanted: object) -> list[str]:
    return [one.name for one in library.list_models(**wanted)]


def test_every_name_of_weights_is_listed_and_can_be_loaded(hub_weights: str) -> None:
    assert set(named()) == set(lookup.names())
    assert hub_weights in named()
    for one in library.list_models(pretrained=True):
        if one.here:
            spec = lookup.read_spec(lookup.path_of(one.name))
            assert (spec.targets, spec.sequence_length) == (one.targets, one.sequence_length)
        else:
            assert one.obstacle


def test_models_without_weights_are_not_pretrained() -> None:
    assert {one.weights for one in library.list_models(pretrained=True)} <= {"bundled", "published", "hub"}
    assert "basset" in named()
    assert "basset" not in named(pretrained=True)


def test_filters_take_common_names_and_parts_in_any_case(hub_weights: str) -> None:
    assert "original" in named(species="Fly", assay="starr", length=249, licence="mit")
    assert named(species="drosophila melanogaster", pretrained=True) == named(species="fly", pretrained=True)
    assert hub_weights not in named(species="fly")
    assert named(species="mouse", pretrained=True) == [hub_weights]
    assert {"mouse", "mouse-activity"} <= set(named(species="mouse"))
    assert named(assay="LENTI", length=ODD.sequence_length) == [hub_weights]
    assert named(licence="CC-BY") == [hub_weights]
    assert named(species="yeast") == []
    (found,) = library.list_models(species="mouse", pretrained=True)
    assert (found.weights, found.here, found.licence) == ("hub", True, "CC-BY-NC-4.0")
    assert found.species == "Homo sapiens, Mus musculus"


def test_a_damaged_pack_is_listed_with_the_reason(hub_weights: str) -> None:
    file = lookup.path_of(hub_weights)
    file.write_bytes(file.read_bytes()[:-4])
    (found,) = [one for one in library.list_models() if one.name == hub_weights]
    assert not found.here
    assert f"zoo pull {hub_weights}" in (found.obstacle or "")


def test_other_filters_are_refused() -> None:
    with refuses("breed", "species"):
        library.list_models(breed="fly")
    with refuses("length", "249"):
        library.list_models(length="249")


def test_the_command_prints_what_fits(hub_weights: str, zoo: Zoo) -> None:
    status, out, _ = zoo("list", "--species", "human", "--pretrained")
    assert status == 0
    assert out.splitlines()[1].split("  ")[0] == hub_weights
    assert len(out.splitlines()) == 2
    status, out, _ = zoo("list", "--assay", "MPRA", "--pretrained", "--json")
    assert [one["name"] for one in json.loads(out)] == [hub_weights]
    assert zoo("list", "--species", "yeast")[1].count("\n") == 1
    one_line(zoo, ["length"], "list", "--length", "0")
