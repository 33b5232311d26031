"""A training run writes a card: what the user says, then what the data say."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import toy
from command_line import Zoo

from zoo.card import Card
from zoo.data import dataset
from zoo.data.labelled import Layout
from zoo.models import deepstarr
from zoo.models.deepstarr import PUBLISHED
from zoo.system.files import cache_path
from zoo.training.config import TrainConfig
from zoo.training.run_folder import RunFolder
from zoo.training.trainer import Trainer
from zoo.weights import lookup


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sequences of 40 bases on three chromosomes, with their activities."""
    random = np.random.default_rng(0)
    rows = ["\t".join(("chromosome", "sequence", "dev", "hk"))]
    for number in range(120):
        letters = "".join(random.choice(list("ACGT"), 40))
        rows.append(f"{('chr1', 'chr2', 'chr3')[number % 3]}\t{letters}\t{random.normal():.3f}\t{random.normal():.3f}")
    path = tmp_path_factory.mktemp("data") / "mine.tsv"
    path.write_text("\n".join([*rows, ""]))
    return path


def test_data_divided_by_chromosome_say_which_are_held_out(table: Path) -> None:
    by = Layout(split_by="chromosome", validation_chromosomes=("chr2",), test_chromosomes=("chr3",))
    assert dataset.read(table, ("dev", "hk"), length=40, layout=by).card == Card(
        training_data="mine.tsv", held_out=("chr2", "chr3")
    )
    assert dataset.read(table, ("dev",), length=40, layout=Layout(split_by="fraction")).card == Card(
        training_data="mine.tsv"
    )


def test_pulled_data_have_the_card_of_their_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_HOME", str(tmp_path))
    folder = cache_path(PUBLISHED.data.folder)
    assert dataset._card(folder, ()) == deepstarr.CARD["original"]
    assert dataset._card(tmp_path / "else", ()) == Card(training_data="else")


def test_what_the_user_says_is_kept_and_completed(tmp_path: Path) -> None:
    stated = Card(species="human", training_data="MPRA of mine")
    folder = RunFolder(tmp_path / "run")
    folder.create()
    run = Trainer("deepstarr", toy.SMALL, toy.Toy(), TrainConfig(epochs=1), folder, card=stated)
    assert run.weights().spec.card == stated
    begun = dataclasses.replace(run.weights(), spec=dataclasses.replace(run.weights().spec, card=Card(unit="x")))
    again = Trainer("deepstarr", toy.SMALL, toy.Toy(), TrainConfig(epochs=1), folder, start=begun)
    assert again.weights().spec.card == Card(unit="x")  # they are still the weights that were given
    stated = Card(held_out=("chr2L", "chr3L"))
    for known, expected in ((Card(held_out=("chr2R", "chr2L")), ("chr2L",)), (Card(), ()), (None, ())):
        begun = dataclasses.replace(begun, spec=dataclasses.replace(begun.spec, card=known))
        given = Trainer("deepstarr", toy.SMALL, toy.Toy(), TrainConfig(epochs=1), folder, start=begun, card=stated)
        assert given.card.held_out == expected
    with_other_weights = Trainer("deepstarr", toy.SMALL, toy.Toy(), TrainConfig(epochs=1), folder)
    assert with_other_weights.weights().spec.card == Card(training_data="toy")


def test_the_command_writes_the_card(table: Path, zoo: Zoo, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(
        "[model]\nfilters = [4]\nkernel_sizes = [3]\ndense_units = [4]\nsequence_length = 40\n[train]\nepochs = 1\n"
    )
    words = [
        "--data",
        table,
        "--split-by",
        "chromosome",
        "--validation-chromosomes",
        "chr2",
        "--test-chromosomes",
        "chr3",
    ]
    about = ["--species", "yeast", "--assay", "MPRA", "--unit", "log2 RNA/DNA", "--licence", "CC-BY-4.0"]
    status, _, err = zoo("train", tmp_path / "small.toml", *words, *about, "-o", tmp_path / "run")
    assert status == 0, err
    spec = lookup.read_spec(tmp_path / "run" / lookup.RUN_WEIGHTS)
    assert spec.card == Card(
        species="Saccharomyces cerevisiae",
        assay="MPRA",
        unit="log2 RNA/DNA",
        training_data="mine.tsv",
        held_out=("chr2", "chr3"),
    )
    assert spec.unit == "log2 RNA/DNA"
