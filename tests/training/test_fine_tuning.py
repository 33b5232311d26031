"""A run that begins with given weights: epoch 0, frozen batch norms, and the notes for the user."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusals import refuses

torch = pytest.importorskip("torch")

from checkpoints import random_checkpoint, random_codes  # noqa: E402
from command_line import Zoo  # noqa: E402
from forked import as_torchrun, started, was_killed  # noqa: E402
from toy import (  # noqa: E402
    SMALL,
    Toy,
    fine_tune_and_write_notes,
    fine_tune_until_killed,
    fine_tune_without_dropout,
)

from zoo.errors import CheckFailed  # noqa: E402
from zoo.formats import genome  # noqa: E402
from zoo.prediction.model import load  # noqa: E402
from zoo.spec import ALPHABET  # noqa: E402
from zoo.training import notes  # noqa: E402
from zoo.training.config import TrainConfig, TrainingOptions  # noqa: E402
from zoo.training.run import TrainingJob, run  # noqa: E402
from zoo.training.trainer import Reporter  # noqa: E402
from zoo.weights import checkpoint, lookup, network  # noqa: E402
from zoo.weights.checkpoint import Checkpoint  # noqa: E402
from zoo.weights.importers import importer  # noqa: E402

SIZES = ("200 train", "64 validation", "64 test")
"""Sizes of the splits of the toy task, as the first note gives them."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Weights that know the toy task."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    run(
        TrainingJob("deepstarr", SMALL, TrainConfig(epochs=8, batch_size=32), TrainingOptions(output=folder)),
        Toy(size=1200),
    )
    return checkpoint.load(folder / "weights.safetensors")


def tune(start: Checkpoint, folder: Path, source: Any = None, **settings: Any) -> tuple[dict[str, Any], list[str]]:
    """Best row and notes of a run that begins with `start`."""
    told: list[str] = []
    job = TrainingJob("deepstarr", start.config, TrainConfig(**settings), TrainingOptions(output=folder), start=start)
    return run(job, source or Toy(), Reporter(note=told.append)), told


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_epoch_0_is_the_score_of_the_given_weights(trained: Checkpoint, tmp_path: Path) -> None:
    tune(trained, tmp_path / "run", epochs=2)
    zero, first, _ = rows(tmp_path / "run")
    assert [row["epoch"] for row in rows(tmp_path / "run")] == ["0", "1", "2"]
    validation = Toy().validation
    errors = (network.from_checkpoint(trained)(one_hot(validation.codes)).detach().numpy() - validation.targets) ** 2
    assert float(zero["validation_loss"]) == pytest.approx(np.nanmean(errors, 0).sum(), rel=1e-5)
    assert {name for name, value in zero.items() if value == ""} == {
        *("learning_rate", "sequences_per_second"),
        *(name for name in zero if name.startswith("train_")),
    }
    assert all(first.values())


def one_hot(codes: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.eye(5, 4, dtype=np.float32)[codes]).mT


def test_where_no_epoch_is_better_the_given_weights_are_kept_unchanged(trained: Checkpoint, tmp_path: Path) -> None:
    start = dataclasses.replace(trained, spec=dataclasses.replace(trained.spec, source="a paper", licence="MIT"))
    best, _ = tune(start, tmp_path / "run", epochs=50, patience=2, learning_rate=0.5)
    assert best["epoch"] == 0
    assert len(rows(tmp_path / "run")) == 3
    kept = checkpoint.load(tmp_path / "run" / "weights.safetensors")
    assert kept.spec == start.spec
    for name, array in start.arrays.items():
        np.testing.assert_array_equal(kept.arrays[name], array)
    receipts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert receipts["best_epoch"] == 0
    assert receipts["best_validation_loss"] == best["validation_loss"]


def test_weights_whose_predictions_are_not_finite_are_refused_as_a_start(trained: Checkpoint, tmp_path: Path) -> None:
    arrays = {**trained.arrays, "head.weight": np.full_like(trained.arrays["head.weight"], 3e38)}
    start = checkpoint.make("deepstarr", SMALL, arrays, "broken", "MIT")
    with refuses("epoch 0", "validation loss", "--start", kind=CheckFailed):
        tune(start, tmp_path / "run", epochs=1)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp64"])
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_frozen_batch_norms_keep_their_statistics_and_are_trained_with_them(
    trained: Checkpoint, tmp_path: Path, precision: str, average: float
) -> None:
    start = checkpoint.make("deepstarr", SMALL, {**trained.arrays, "head.bias": np.ones(2, np.float32)}, "toy", "MIT")
    settings = {"epochs": 2, "precision": precision, "weight_average": average, "freeze_batch_norm": True}
    best, _ = tune(start, tmp_path / "run", **settings)
    assert best["epoch"] == 2
    kept = checkpoint.load(tmp_path / "run" / "weights.safetensors").arrays
    for name, array in start.arrays.items():
        same = np.array_equal(kept[name], array)
        assert same == ("running" in name), name


def test_a_frozen_step_is_one_of_the_network_in_evaluation_mode(trained: Checkpoint, tmp_path: Path) -> None:
    """Without dropout, the training loss of the first step is the loss of the predictions of the weights."""
    config = dataclasses.replace(SMALL, dropout=0.0)
    start = checkpoint.make("deepstarr", config, trained.arrays, "toy", "MIT")
    tune(start, tmp_path / "run", epochs=1, batch_size=200, freeze_batch_norm=True)
    train = Toy().train
    errors = (network.from_checkpoint(start)(one_hot(train.codes)).detach().numpy() - train.targets) ** 2
    assert float(rows(tmp_path / "run")[1]["train_loss"]) == pytest.approx(np.nanmean(errors, 0).sum(), rel=1e-5)


def test_frozen_batch_norms_need_weights_to_start_from(tmp_path: Path) -> None:
    job = TrainingJob("deepstarr", SMALL, TrainConfig(freeze_batch_norm=True), TrainingOptions(output=tmp_path / "run"))
    with refuses("freeze", "--start"):
        run(job, Toy())
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "frozen"])
def whole(
    trained: Checkpoint, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> tuple[Path, TrainConfig]:
    """A fine-tuning that nothing disturbs, with batch norms that are trained or frozen: its folder and settings."""
    settings = TrainConfig(epochs=2, batch_size=16, freeze_batch_norm=request.param)
    options = TrainingOptions(output=tmp_path_factory.mktemp("whole") / "run")
    run(TrainingJob("deepstarr", SMALL, settings, options, start=trained), Toy())
    return options.output, settings


@pytest.mark.parametrize("place", ["before epoch 0", "after epoch 0", "in epoch 2"])
def test_a_fine_tuning_that_is_killed_and_resumed_is_bit_identical(
    trained: Checkpoint, whole: tuple[Path, TrainConfig], tmp_path: Path, place: str
) -> None:
    (undisturbed, settings), part = whole, tmp_path / "part"
    assert was_killed(fine_tune_until_killed, part, trained, settings, place)
    (part / "run.json").write_text("{}")
    run(TrainingJob("deepstarr", SMALL, settings, TrainingOptions(output=part, resume=True), start=trained), Toy())
    assert (part / "weights.safetensors").read_bytes() == (undisturbed / "weights.safetensors").read_bytes()
    for expected, row in zip(rows(undisturbed), rows(part), strict=True):
        del expected["sequences_per_second"], row["sequences_per_second"]
        assert row == expected


def test_two_processes_fine_tune_as_one_does(trained: Checkpoint, tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL, dropout=0.0)
    arrays = {**trained.arrays, "head.bias": np.ones(2, np.float32)}
    start = checkpoint.make("deepstarr", config, arrays, "toy", "MIT")
    checkpoint.save(start, tmp_path / "start.safetensors")
    job = tmp_path / "two", tmp_path / "start.safetensors"
    torchrun = started(as_torchrun, fine_tune_and_write_notes, *job)
    torchrun.join(300)
    assert torchrun.exitcode == 0
    told = (tmp_path / "two.told").read_text().splitlines()
    told_by_one = fine_tune_without_dropout(tmp_path / "one", start)
    assert all(fact in told[0] for fact in (*SIZES, "cpu", "fp32", "2 processes"))
    assert told[1:-1] == told_by_one[1:-1]
    one, two = (checkpoint.load(tmp_path / name / "weights.safetensors").arrays for name in ("one", "two"))
    for name, array in one.items():
        np.testing.assert_allclose(two[name], array, rtol=1e-3, atol=2e-5, err_msg=name)
    assert [row["epoch"] for row in rows(tmp_path / "two")] == ["0", "1", "2"]


def test_two_notes_describe_the_start_and_one_the_test_scores(tmp_path: Path) -> None:
    told: list[str] = []
    job = TrainingJob("deepstarr", SMALL, TrainConfig(epochs=2), TrainingOptions(output=tmp_path / "run"))
    run(job, Toy(), Reporter(note=told.append))
    first, second, last = told
    assert all(fact in first for fact in (*SIZES, "cpu", "fp32"))
    assert "processes" not in first
    assert all(fact in second for fact in ("labels", "hk 12 of train", "4 of validation", "4 of test"))
    assert "dev" not in second
    test = Toy().test
    predicted = network.from_checkpoint(checkpoint.load(tmp_path / "run" / "weights.safetensors"))(one_hot(test.codes))
    expected = []
    for column in range(2):
        there = ~np.isnan(test.targets[:, column])
        expected.append(np.corrcoef(test.targets[there, column], predicted.detach().numpy()[there, column])[0, 1])
    for fact in ("test", "64 sequences", f"r(dev) {expected[0]:.4f}", f"r(hk) {expected[1]:.4f}"):
        assert fact in last
    receipts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert receipts["test"] == {
        "sequences": 64,
        "pearson_dev": pytest.approx(expected[0]),
        "pearson_hk": pytest.approx(expected[1]),
    }


def test_a_note_names_the_targets_of_a_fresh_head_and_those_of_the_given_weights(
    trained: Checkpoint, tmp_path: Path
) -> None:
    _, told = tune(trained, tmp_path / "run", Toy(targets=("leaf", "hk")), epochs=1)
    (line,) = (line for line in told if "leaf, hk" in line)
    assert "dev, hk" in line
    assert not [line for line in told if "--freeze-batch-norm" in line]


FEW, FIRST_EPOCH, FREEZE = "1,201", "first epoch", "--freeze-batch-norm"
SMALLER, SMALLEST = "--learning-rate 0.05", "--learning-rate 0.005"
"""Facts in the advice: the number of sequences, the epoch that was worse, and the options that help."""


def test_advice_against_worse_weights_is_given_once(
    trained: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "FEW_SEQUENCES", 1201)
    many = Toy(size=1201)

    def advice(name: str, source: Toy, start: Checkpoint = trained, **settings: Any) -> list[set[str]]:
        lines = [line for line in tune(start, tmp_path / name, source, **settings)[1] if "--learning-rate" in line]
        return [{fact for fact in (FEW, FIRST_EPOCH, FREEZE, SMALLER, SMALLEST) if fact in line} for line in lines]

    assert advice("few", Toy(), epochs=2, learning_rate=0.5) == [{FEW, FREEZE, SMALLER}]
    assert advice("frozen", Toy(), epochs=2, learning_rate=0.05, freeze_batch_norm=True) == [{FIRST_EPOCH, SMALLEST}]
    assert advice("many", many, epochs=2, batch_size=5000, learning_rate=0.5) == [{FIRST_EPOCH, FREEZE, SMALLER}]
    assert advice("better", many, random_checkpoint(SMALL), epochs=1) == []


NOISE = 0.5
"""Standard deviation of the differences between labels of a small experiment and the predictions."""


def strongest(start: Path, candidates: np.ndarray, table: Path) -> None:
    """Write a table of the 1,000 sequences with the strongest predictions; labels are the predictions and noise."""
    activities = load(weights=start, runtime="kmer-cpu").predict_codes(candidates)
    generator = np.random.default_rng(1)
    chosen = generator.permutation(np.argsort(-activities.max(1))[:1000])
    labels = activities[chosen] + generator.normal(scale=NOISE, size=(1000, 2))
    letters = np.array([*ALPHABET, "N"])
    lines = [
        "".join(letters[codes]) + "".join(f"\t{v}" for v in row)
        for codes, row in zip(candidates[chosen], labels, strict=True)
    ]
    table.write_text("\n".join(["sequence\tdev\thk", *lines, ""]))


@pytest.mark.slow
@pytest.mark.parametrize(("weights", "rate"), [("bundled", 1e-4), ("published", 2e-4)])
def test_a_thousand_sequences_do_not_make_weights_with_frozen_batch_norms_worse(
    zoo: Zoo, tmp_path: Path, request: pytest.FixtureRequest, weights: str, rate: float
) -> None:
    """Dropout is that of the weights: the bundled ones were distilled without it."""
    start, table = tmp_path / "start.safetensors", tmp_path / "data.tsv"
    if weights == "published":
        data = request.getfixturevalue("data")
        checkpoint.save(importer.read(data / "DeepSTARR.model.h5"), start)
        windows = genome.read(data / "dm6_2Mb.fa", 249)
        candidates = windows.windows(windows.train, 5_000, np.random.default_rng(0))
    else:
        checkpoint.save(lookup.load("tuned"), start)
        candidates = random_codes(5_000, 249)
    strongest(start, candidates, table)
    dropout = checkpoint.load(start).config.dropout
    variant = "original" if weights == "published" else "tuned"
    (tmp_path / "model.toml").write_text(f'[model]\nvariant = "{variant}"\ndropout = {dropout}\n')

    def losses(folder: str, *options: str) -> tuple[list[float], str]:
        source = ("--data", table, "--split-by", "fraction", "--start", start, "--learning-rate", rate)
        output = tmp_path / folder
        status, out, err = zoo("train", tmp_path / "model.toml", *source, "--epochs", 2, "-o", output, *options)
        assert (status, out) == (0, "")
        assert [row["epoch"] for row in rows(output)] == ["0", "1", "2"]
        return [float(row["validation_loss"]) for row in rows(output)], err

    plain, told = losses("plain")
    frozen, told_frozen = losses("frozen", "--freeze-batch-norm")
    assert plain[0] == frozen[0] == pytest.approx(2 * NOISE**2, rel=0.3)
    assert max(frozen) < 1.2 * frozen[0]
    assert max(frozen) < max(plain)
    (line,) = (line for line in told.splitlines() if FREEZE in line)
    assert f"--learning-rate {rate / 10:g}" in line
    assert re.search(r"^zoo: epoch 0\b.* validation \d", told_frozen, re.MULTILINE)
    assert FREEZE not in told_frozen
