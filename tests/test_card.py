"""The card of weights: checked when it is made, carried by every format, left out of files that have none."""

import dataclasses
import json

import pytest
from checkpoints import ODD, random_checkpoint
from refusals import refuses

from zoo import registry
from zoo.card import Card
from zoo.prediction import description, session
from zoo.spec import NO_UNIT, UNIT, ModelSpec
from zoo.weights import checkpoint, lookup
from zoo.weights.importers import importer
from zoo.weights.importers.layers import ImportOptions

CARD = Card(species="fly", tissue="S2", unit="log2 RNA/DNA", held_out=("chr2R", "chr4"), redistribution=False)
BARE = random_checkpoint(ODD)
WEIGHTS = dataclasses.replace(BARE, spec=dataclasses.replace(BARE.spec, card=CARD))


@pytest.mark.parametrize(
    ("fields", "facts"),
    [
        ({"species": 7}, ["species", "7"]),
        ({"tissue": "a\nb"}, ["tissue", "a\\nb"]),
        ({"held_out": "chr2R"}, ["held-out", "list"]),
        ({"held_out": ["chr\t2R"]}, ["held-out"]),
        ({"redistribution": "yes"}, ["redistribution", "yes"]),
        ({"source_sha256": "abc"}, ["64", "abc"]),
        ({"citation": "x" * 1001}, ["citation", "1,000"]),
    ],
)
def test_bad_fields_are_refused(fields, facts):
    with refuses(*facts):
        Card(**fields)


def test_species_have_common_names():
    assert Card(species="Human,  fission  yeast, Homo sapiens").species == (
        "Homo sapiens, Schizosaccharomyces pombe, Homo sapiens"
    )


def test_a_card_says_only_what_is_known():
    assert CARD.to_dict() == {
        "species": "Drosophila melanogaster",
        "tissue": "S2",
        "unit": "log2 RNA/DNA",
        "held_out": ["chr2R", "chr4"],
        "redistribution": False,
    }
    assert Card(**CARD.to_dict()) == CARD
    assert CARD.lines()["redistribution"] == "not allowed"
    assert CARD.filled(Card(tissue="Kc", assay="MPRA")) == dataclasses.replace(CARD, assay="MPRA")


def test_a_spec_without_a_card_has_the_bytes_of_earlier_releases():
    assert "card" not in BARE.spec.to_json()
    assert BARE.spec.unit == UNIT
    assert WEIGHTS.spec.unit == "log2 RNA/DNA"
    assert dataclasses.replace(BARE.spec, card=Card()).unit == NO_UNIT
    assert ModelSpec(**json.loads(WEIGHTS.spec.to_json())) == WEIGHTS.spec
    with refuses("breed", "species"):
        ModelSpec(**{**BARE.spec.to_dict(), "card": {"breed": "fly"}})


def test_every_format_carries_the_card(tmp_path):
    checkpoint.save(WEIGHTS, tmp_path / "w.safetensors")
    assert checkpoint.load(tmp_path / "w.safetensors").spec == WEIGHTS.spec
    registry.load("exporters", "onnx").export(WEIGHTS, tmp_path / "w.onnx")
    assert lookup.read_spec(tmp_path / "w.onnx").card == CARD
    assert session.open_session(tmp_path / "w.onnx", "onnx-cpu").spec.card == CARD
    registry.load("exporters", "triton").export(WEIGHTS, tmp_path / "models")
    (graph,) = (tmp_path / "models").rglob("model.onnx")
    assert lookup.read_spec(graph).card == CARD


def test_the_card_comes_back_from_keras(tmp_path):
    registry.load("exporters", "keras").export(WEIGHTS, tmp_path / "w.h5")
    read = importer.read(tmp_path / "w.h5", ImportOptions(alphabet="ACGT"))
    assert read.spec == WEIGHTS.spec


def test_published_and_bundled_weights_have_a_card_without_one_in_the_file():
    bundled = lookup.card(checkpoint.load(lookup.path_of("original")).spec)
    assert bundled.species == "Drosophila melanogaster"
    assert bundled.unit == UNIT
    assert bundled.held_out == ()  # they learned from another network, on all chromosomes
    assert lookup.card(BARE.spec) is None


@pytest.mark.parametrize("variant", lookup.variants())
def test_the_card_of_every_model_says_what_it_is_for(variant):
    plugin = registry.load("models", lookup.variants()[variant])
    card = registry.card(plugin, variant)
    assert isinstance(card, Card)
    assert card.unit
    assert "doi:" in card.citation or "bioRxiv" in card.citation
    if not hasattr(plugin, "UNIT"):  # it has no data of its own
        assert not [name for name in ("species", "tissue", "assay", "training_data") if not getattr(card, name)]
        assert card.held_out or "fold" in card.training_data, "which chromosomes, or that it was another division"


def test_what_weights_predict_is_said_for_reports_and_the_page():
    described = description.of_weights(WEIGHTS.spec)
    assert described["unit"] == "log2 RNA/DNA"
    assert described["predicts"] == "activity in Drosophila melanogaster S2, as log2 RNA/DNA"
    assert description.of_weights(BARE.spec)["predicts"] is None
    assert Card(unit="x").predicts == ""
