"""A cross-validation: its members, its tables, and that it continues where it stopped."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled_files import dna
from refusals import refuses

torch = pytest.importorskip("torch")

from command_line import Zoo  # noqa: E402
from toy import SMALL  # noqa: E402

from zoo.data import trained_sequences  # noqa: E402
from zoo.data.dataset import Dataset, DividedFile, Layout, read_folds  # noqa: E402
from zoo.dna.encoding import encode  # noqa: E402
from zoo.evaluation.metrics import score  # noqa: E402
from zoo.training import cross_validation  # noqa: E402
from zoo.training.config import TrainConfig, TrainingOptions  # noqa: E402
from zoo.training.run import TrainingJob, run  # noqa: E402
from zoo.training.run_folder import RunFolder  # noqa: E402
from zoo.training.scores import predict  # noqa: E402
from zoo.training.trainer import Reporter  # noqa: E402
from zoo.weights import checkpoint, folds, network  # noqa: E402

CHROMOSOMES = ["chr2L"] * 30 + ["chr2R"] * 28 + ["chr3L"] * 26 + ["chrX"] * 14

FOLDS = {0: ["chr2L"], 1: ["chr2R"], 2: ["chr3L"], 3: ["chrX"]}


@pytest.fixture(autouse=True)
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take a second for each member."""
    monkeypatch.setattr(RunFolder, "draw_curves", lambda *_: None)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "data.tsv"
    sequences = dna(len(CHROMOSOMES), length=SMALL.sequence_length)
    lines = ["name\tchromosome\tsequence\tdev\thk"]
    for row, (name, sequence) in enumerate(zip(CHROMOSOMES, sequences, strict=True)):
        share = sum(base in "GC" for base in sequence) / len(sequence)
        lines.append(f"e{row}\t{name}\t{sequence}\t{share}\t{'NA' if row % 7 == 0 else 1 - share}")
    path.write_text("\n".join([*lines, ""]))
    return path


def data(table: Path, *given: str) -> DividedFile:
    return read_folds(table, SMALL.targets, length=SMALL.sequence_length, layout=Layout(folds=given or ("4",)))


def job(folder: Path, resume: bool = False, **settings: Any) -> TrainingJob:
    options = TrainingOptions(output=folder, resume=resume)
    return TrainingJob("deepstarr", SMALL, TrainConfig(**{"epochs": 2, "batch_size": 16, **settings}), options)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.fixture(scope="module")
def whole(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "cv"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "draw_curves", lambda *_: None)
        cross_validation.run(job(folder), data(table), 1, run)
    return folder


def test_the_folder_lists_its_members_and_what_each_held_out(whole: Path) -> None:
    members = folds.members(whole)
    assert [one.run for one in members] == ["fold-0", "fold-1", "fold-2", "fold-3"]
    assert {one.fold: list(one.held_out) for one in members} == FOLDS
    for one in members:
        assert list(one.validation) == FOLDS[(one.fold + 1) % 4]
        card = checkpoint.load(whole / one.run / "weights.safetensors").spec.card
        assert card is not None
        assert card.held_out == one.held_out
        assert json.loads((whole / one.run / "run.json").read_text())["status"] == "finished"


def test_each_sequence_is_predicted_by_the_member_that_did_not_see_it(whole: Path, table: Path) -> None:
    found, given = rows(whole / "out-of-fold.tsv"), rows(table)
    assert [row["name"] for row in found] == [row["name"] for row in given]
    assert [FOLDS[int(row["fold"])] for row in found] == [[row["chromosome"]] for row in given]
    codes = encode([row["sequence"] for row in given])
    for fold in FOLDS:
        module = network.from_checkpoint(checkpoint.load(whole / f"fold-{fold}" / "weights.safetensors"))
        expected = predict(module, codes, torch.device("cpu"))
        for row, values in zip(found, expected, strict=True):
            same = np.allclose([float(row["predicted_dev"]), float(row["predicted_hk"])], values, atol=1e-6)
            assert same == (int(row["fold"]) == fold)
    assert [row["observed_hk"] == "NA" for row in found] == [row["hk"] == "NA" for row in given]


def test_the_scores_are_those_of_the_held_out_sequences_with_mean_and_deviation(whole: Path) -> None:
    found = rows(whole / "out-of-fold.tsv")
    *members, mean, sd, joint = rows(whole / "scores.tsv")
    assert [row["run"] for row in (mean, sd, joint)] == ["mean", "sd", "out of fold"]

    def numbers(kind: str, of: list[dict[str, str]]) -> np.ndarray:
        return np.array([[float(row[f"{kind}_{name}"].replace("NA", "nan")) for name in SMALL.targets] for row in of])

    for member in members:
        mine = [row for row in found if row["fold"] == member["fold"]]
        assert int(member["sequences"]) == len(mine)
        assert member["held_out"] == FOLDS[int(member["fold"])][0]
        for name, one in zip(SMALL.targets, score(numbers("observed", mine), numbers("predicted", mine)), strict=True):
            assert float(member[f"pearson_{name}"]) == pytest.approx(one.pearson, abs=2e-6)
            assert float(member[f"mse_{name}"]) == pytest.approx(one.mse, abs=2e-6)
    values = [float(member["pearson_dev"]) for member in members]
    assert float(mean["pearson_dev"]) == pytest.approx(np.mean(values), abs=2e-6)
    assert float(sd["pearson_dev"]) == pytest.approx(np.std(values, ddof=1), abs=2e-6)
    every = score(numbers("observed", found), numbers("predicted", found))
    assert float(joint["pearson_hk"]) == pytest.approx(every[1].pearson, abs=2e-6)


@pytest.mark.parametrize("place", ["between members", "in a member", "at the end"])
def test_a_stopped_cross_validation_continues_and_gives_the_same_bytes(
    whole: Path, table: Path, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []

    def train(member: TrainingJob, source: Dataset) -> None:
        if place == "between members" and len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(member.options.output.name)
        if place == "in a member" and len(trained) == 2:
            run(member, source, Reporter(enough=lambda _: True))
            raise KeyboardInterrupt
        run(member, source)

    if place == "at the end":
        monkeypatch.setattr(cross_validation, "_summarize", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        cross_validation.run(job(tmp_path / "cv"), data(table), 1, train)
    monkeypatch.undo()
    monkeypatch.setattr(RunFolder, "draw_curves", lambda *_: None)
    with refuses(tmp_path / "cv", "--resume"):
        folds.members(tmp_path / "cv")
    with refuses(tmp_path / "cv", "--resume"):
        cross_validation.run(job(tmp_path / "cv"), data(table), 1, run)
    before, again = list(trained), []

    def resumed(member: TrainingJob, source: Dataset) -> None:
        again.append(member.options.output.name)
        run(member, source)

    cross_validation.run(job(tmp_path / "cv", resume=True), data(table), 1, resumed)
    finished = before[:-1] if place == "in a member" else before
    assert [*finished, *again] == ["fold-0", "fold-1", "fold-2", "fold-3"]
    names = ["scores.tsv", "out-of-fold.tsv", *(f"fold-{fold}/weights.safetensors" for fold in FOLDS)]
    for name in names:
        assert (tmp_path / "cv" / name).read_bytes() == (whole / name).read_bytes()
    assert folds.members(tmp_path / "cv") == folds.members(whole)


def test_other_settings_or_data_are_not_resumed(whole: Path, table: Path) -> None:
    with refuses(whole, "train, batch_size", 16, 32):
        cross_validation.run(job(whole, resume=True, batch_size=32), data(table), 1, run)
    with refuses(whole, "cannot resume"):
        cross_validation.run(job(whole, resume=True), data(table, "chr2L", "chr2R", "chr3L", "chrX"), 2, run)


def test_replicates_have_seeds_of_their_own_and_predict_their_mean(table: Path, tmp_path: Path) -> None:
    given = data(table, "chr2L+chrX", "chr2R", "chr3L")
    cross_validation.run(job(tmp_path / "cv", epochs=1), given, 2, run)
    members = folds.members(tmp_path / "cv")
    assert [one.run for one in members[:3]] == ["fold-0-replicate-0", "fold-0-replicate-1", "fold-1-replicate-0"]
    seeds = [json.loads((tmp_path / "cv" / one.run / "run.json").read_text())["train"]["seed"] for one in members]
    assert seeds == [0, 1] * 3
    first = rows(tmp_path / "cv" / "out-of-fold.tsv")[0]
    codes = encode([rows(table)[0]["sequence"]])
    both = [
        predict(
            network.from_checkpoint(checkpoint.load(tmp_path / "cv" / one.run / "weights.safetensors")),
            codes,
            torch.device("cpu"),
        )[0, 0]
        for one in members[:2]
    ]
    assert both[0] != both[1]
    assert float(first["predicted_dev"]) == pytest.approx(np.mean(both), abs=1e-6)


def test_given_weights_that_may_know_the_answers_are_told(table: Path, whole: Path, tmp_path: Path) -> None:
    told: list[str] = []
    start = checkpoint.load(whole / "fold-0" / "weights.safetensors")
    made = job(tmp_path / "cv", epochs=1)
    begun = dataclasses.replace(
        made, start=start, options=dataclasses.replace(made.options, start=str(whole / "fold-0"))
    )
    cross_validation.run(begun, data(table), 1, run, told.append)
    seen = [line for line in told if "saw" in line]
    # fold-0 held out chr2L, validated on chr2R and was trained on the others
    assert [line.split(":")[0] for line in seen] == ["fold-1", "fold-2", "fold-3"]
    assert "28 in its validation split" in seen[0]
    assert "26 in its train split" in seen[1]
    assert [one.held_out for one in folds.members(tmp_path / "cv")] == [("chr2L",), (), (), ()]
    held_out = data(table).holding_out(3).test  # chrX, in the training of the given weights
    assert held_out is not None
    for of_start in (False, True):
        assert trained_sequences.count(tmp_path / "cv" / "fold-3", held_out.codes, of_start) == {"train": 14}
    seen_itself = data(table).holding_out(3).validation.codes
    assert trained_sequences.count(tmp_path / "cv" / "fold-3", seen_itself, True) == {}


def test_a_damaged_list_or_an_unfinished_folder_is_one_line(tmp_path: Path) -> None:
    with refuses(tmp_path / "folds.json"):
        folds.members(tmp_path)
    for text in ("{", "[]", '{"status": "finished", "members": [{"run": 3, "fold": 0}]}', '{"members": []}'):
        (tmp_path / "folds.json").write_text(text)
        with refuses(tmp_path / "folds.json", "zoo train --folds"):
            folds.members(tmp_path)


def test_the_command_trains_all_folds_or_one_and_evaluate_reads_the_same_split(
    zoo: Zoo, table: Path, tmp_path: Path
) -> None:
    toml = tmp_path / "small.toml"
    toml.write_text(
        '[model]\nvariant = "original"\nfilters = [8, 6]\nkernel_sizes = [5, 4]\ndense_units = [8]\n'
        "sequence_length = 40\n[train]\nepochs = 1\nbatch_size = 16\n"
    )
    train = ("train", toml, "--data", table, "--folds", "chr2L+chrX,chr2R,chr3L")
    status, out, err = zoo(*train, "-o", tmp_path / "cv")
    assert (status, out) == (0, "")
    assert [line for line in err.splitlines() if "fold-1" in line and "chr2R" in line]
    assert "r(dev)" in err
    assert str(tmp_path / "cv") in err
    status, _, err = zoo(*train, "--fold", 1, "-o", tmp_path / "alone")
    assert status == 0, err
    alone, member = (tmp_path / name / "weights.safetensors" for name in ("alone", "cv/fold-1"))
    assert checkpoint.load(alone).spec.weights_id == checkpoint.load(member).spec.weights_id
    scores = rows(tmp_path / "cv" / "scores.tsv")[1]
    measured = (
        "evaluate",
        "--weights",
        tmp_path / "cv" / "fold-1",
        "--data",
        table,
        "--folds",
        "chr2L+chrX,chr2R,chr3L",
    )
    status, out, err = zoo(*measured, "--fold", 1, "--resamples", 10, "--runtime", "torch-cpu")
    assert status == 0, err
    assert "too good" not in err
    assert f"{float(scores['pearson_dev']):.3f}" in out
    status, _, err = zoo(*measured)
    assert status == 2
    assert "--fold" in err
    status, _, err = zoo(*train, "--fold", 1, "--replicates", 2, "-o", tmp_path / "no")
    assert (status, (tmp_path / "no").exists()) == (2, False)
    assert "--replicates" in err
