"""`zoo compare-models`: its numbers are those of the run folders, it continues after a kill, bad input is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Zoo, one_line
from refusals import refuses

torch = pytest.importorskip("torch")

from searches import write_table  # noqa: E402

import zoo as library  # noqa: E402
from zoo.comparison import contenders, results, run, speed  # noqa: E402
from zoo.comparison.contenders import Predictions  # noqa: E402
from zoo.comparison.options import ComparisonOptions  # noqa: E402
from zoo.comparison.results import ComparedModels  # noqa: E402
from zoo.data import dataset  # noqa: E402
from zoo.data.labelled import Split  # noqa: E402
from zoo.dna.encoding import reverse_complement  # noqa: E402
from zoo.evaluation import figures, intervals, metrics  # noqa: E402
from zoo.training import run as training_run  # noqa: E402
from zoo.training.run_folder import RunFolder  # noqa: E402
from zoo.weights import lookup  # noqa: E402

MODEL = '[model]\narchitecture = "deepstarr"\nfilters = [{filters}]\nkernel_sizes = [3]\ndense_units = [4]\n'
SEEDS = (0, 1)
LENGTH = 40


def write_models(folder: Path) -> list[str]:
    """Two small networks, one with a learning rate that diverges, and the table mine.tsv."""
    for name, filters, rate in (("small", 4, 0.01), ("wide", 8, 0.01), ("wild", 4, 1e8)):
        text = MODEL.format(filters=filters) + f"\n[train]\nbatch_size = 32\nlearning_rate = {rate}\n"
        (folder / f"{name}.toml").write_text(text)
    if not (folder / "mine.tsv").exists():
        write_table(folder / "mine.tsv", length=LENGTH)
    return [str(folder / f"{name}.toml") for name in ("small", "wide", "wild")]


def compare(folder: Path, models: list[str], output: str = "compared", **options: Any) -> ComparedModels:
    where = {"epochs": 2, "seeds": 1, "threads": 1, "device": "cpu", **options}
    return run.run(tuple(models), folder / "mine.tsv", ComparisonOptions(output=folder / output, **where))


def table(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row["model"]: row for row in csv.DictReader(file, delimiter="\t")}


@pytest.fixture(scope="module", autouse=True)
def _short_turns() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "SECONDS", 0.0)
        patch.setattr(speed, "TURN_SECONDS", 0.001)
        patch.setattr(RunFolder, "draw_curves", lambda *_: None)
        yield


@pytest.fixture
def _only_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """No speeds and no figure, which take longer than the trainings."""
    monkeypatch.setattr(speed, "fastest", lambda *_: {})
    monkeypatch.setattr(figures, "comparison", lambda *_: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("compared")
    write_models(made)
    return made


@pytest.fixture(scope="module")
def found(folder: Path) -> ComparedModels:
    options = {"epochs": 2, "seeds": len(SEEDS), "threads": 1, "device": "cpu", "figure_format": "svg"}
    return library.compare_models(write_models(folder), folder / "mine.tsv", folder / "compared", **options)


def predictions(folder: Path, label: str, codes: np.ndarray) -> np.ndarray:
    """What the run folders of a model predict, as `zoo predict` does, (runs, N, T)."""
    runs = [folder / "compared" / run.RUNS / f"{label}-seed-{seed}" for seed in SEEDS]
    return np.stack([library.load(weights=one, runtime="torch-cpu").predict_codes(codes) for one in runs])


def test_the_numbers_are_those_of_the_run_folders_on_the_test_split(found: ComparedModels, folder: Path) -> None:
    test = dataset.read_split(folder / "mine.tsv", "test", ("dev", "hk"), length=LENGTH)
    predicted = {label: predictions(folder, label, test.codes) for label in ("small", "wide")}
    best, other, wild = found.models
    assert (wild.label, found.against) == ("wild", best.label)
    assert best.pearson > other.pearson
    for model in (best, other):
        runs = predicted[model.label]
        for place, score in enumerate(model.scores):
            alone = [metrics.score(test.targets, one)[place] for one in runs]
            assert score.pearson.value == pytest.approx(np.mean([one.pearson for one in alone]), abs=1e-6)
            assert score.mse == pytest.approx(np.mean([one.mse for one in alone]), rel=1e-5)
            assert score.pearson.low < score.pearson.value < score.pearson.high
        weights = lookup.load(None, model.trainings[0].folder)
        inner = [array for name, array in weights.arrays.items() if "running" not in name]
        assert model.parameters == sum(array.size for array in inner)
    for place, score in enumerate(other.scores):
        sides = [predicted[one.label][:, :, place] for one in (other, best)]
        expected = intervals.paired_difference(test.targets[:, place], *sides, "pearson", groups=np.arange(len(test)))
        assert score.difference.difference == pytest.approx(expected.difference, abs=1e-6)
        assert score.difference.verdict == expected.verdict


def test_the_files_hold_the_same_numbers_and_the_costs(found: ComparedModels, folder: Path) -> None:
    rows = table(folder / "compared" / results.TABLE)
    document = json.loads((folder / "compared" / results.NUMBERS).read_text())
    assert [*rows] == [model.label for model in found.models] == [one["model"] for one in document["models"]]
    assert (document["data"]["side"], document["data"]["sequence_length"]) == ("test", LENGTH)
    for model in found.models[:2]:
        row = rows[model.label]
        assert float(row["pearson_hk"]) == model.scores[1].pearson.value
        assert float(row["epochs"]) == 2
        assert 0 < float(row["training_seconds"]) == pytest.approx(model.mean("seconds"))
        assert float(row["training_sequences_per_second"]) > 0
        assert float(row["prediction_sequences_per_second"]) == model.rate > 0
        assert (row["runtime"], row["trainings"], row["note"]) == (model.runtime, "2", "")
    receipts = json.loads((found.models[0].trainings[0].folder / "run.json").read_text())
    assert (receipts["epochs"], receipts["test"]["sequences"]) == (2, document["data"]["rows"])
    assert "<svg" in (folder / "compared" / "comparison.svg").read_text()
    assert found.conclusion.startswith(found.models[0].label)
    assert "wild" not in found.conclusion


def test_a_model_that_diverges_is_a_row_with_its_reason(found: ComparedModels, folder: Path) -> None:
    wild = found.models[-1]
    assert [one.pearson for one in wild.scores] == [None, None]
    row = table(folder / "compared" / results.TABLE)["wild"]
    assert (row["pearson_dev"], row["trainings"], row["runtime"]) == ("", "0", "")
    assert all(fact in row["note"] for fact in ("seed 0", "seed 1", "diverges", "left out"))
    assert len(found.failures) == len(SEEDS)


@pytest.mark.usefixtures("_only_scores")
def test_a_finished_comparison_is_extended_without_training_again(
    found: ComparedModels, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []
    real = training_run.run

    def noting(job: Any, *rest: Any) -> Any:
        trained.append(job.options.output.name)
        return real(job, *rest)

    monkeypatch.setattr(training_run, "run", noting)
    (folder / "more.toml").write_text(MODEL.format(filters=6))
    models = [*write_models(folder)[:2], str(folder / "more.toml")]
    again = compare(folder, models, resume=True, seeds=len(SEEDS), against="small")
    assert trained == ["more-seed-0", "more-seed-1"]
    before = {model.label: model.scores[0].pearson for model in found.models}
    assert [model.scores[0].pearson for model in again.models if model.label in before] == [
        before[model.label] for model in again.models if model.label in before
    ]
    (small,) = [model for model in again.models if model.label == "small"]
    assert (again.against, small.scores[0].difference) == ("small", None)
    with refuses("compared", "epochs", "2", "3"):
        compare(folder, models, resume=True, epochs=3)
    with refuses("compared", "--resume"):
        compare(folder, models)


class Killed(BaseException):
    """As if the process had ended."""


@pytest.mark.usefixtures("_only_scores")
def test_a_killed_comparison_continues_with_the_same_bits(tmp_path: Path) -> None:
    models = write_models(tmp_path)[:2]
    whole = compare(tmp_path, models, "whole", epochs=3)

    def kill(step: contenders.Step) -> None:
        if step.name.startswith("wide") and step.done > 0.4:
            raise Killed

    where = ComparisonOptions(output=tmp_path / "killed", epochs=3, seeds=1, threads=1, device="cpu")
    reporter = run.ComparisonReporter(step=kill)
    with pytest.raises(Killed):
        run.run(tuple(models), tmp_path / "mine.tsv", where, reporter=reporter)
    assert not (tmp_path / "killed" / results.TABLE).exists()
    again = compare(tmp_path, models, "killed", epochs=3, resume=True)
    assert [model.scores for model in again.models] == [model.scores for model in whole.models]
    for name in ("small-seed-0", "wide-seed-0"):
        kept = [tmp_path / one / run.RUNS / name / "weights.safetensors" for one in ("killed", "whole")]
        assert kept[0].read_bytes() == kept[1].read_bytes()


@pytest.mark.usefixtures("_only_scores")
def test_out_of_memory_leaves_the_other_models_and_status_1(
    zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = write_models(tmp_path)[:2]
    write_table(tmp_path / "mine.tsv", length=LENGTH, test=False)
    real = training_run._run

    def full(trainer: Any, *rest: Any) -> Any:
        if trainer.config.filters == (8,):
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory")
        return real(trainer, *rest)

    monkeypatch.setattr(training_run, "_run", full)
    words = ("compare-models", "--data", tmp_path / "mine.tsv", "--models", ",".join(models), "-o", tmp_path / "out")
    status, out, err = zoo(*words, "--epochs", 1, "--seeds", 1, "--threads", 1)
    assert status == 1
    assert "wide" in err.splitlines()[-1]
    assert "memory" in err.splitlines()[-1]
    assert "validation" in err
    lines = [line.split() for line in out.splitlines()]
    assert [words for words in lines if words[:1] == ["small"] and "1" in words]
    assert table(tmp_path / "out" / results.TABLE)["small"]["pearson_dev"]


def test_what_cannot_be_compared_is_refused_before_anything_is_written(tmp_path: Path, zoo: Zoo) -> None:
    small, wide, _ = write_models(tmp_path)
    (tmp_path / "same.toml").write_text(Path(small).read_text())
    (tmp_path / "deep.toml").write_text(
        '[model]\narchitecture = "deepstarr"\nfilters = [4, 4, 4, 4, 4, 4]\nkernel_sizes = [3, 3, 3, 3, 3, 3]\n'
    )
    (tmp_path / "frozen.toml").write_text(Path(small).read_text() + "freeze_batch_norm = true\n")
    for models, facts in (
        ([small, small], ["--models", "small", "twice"]),
        ([small, str(tmp_path / "same.toml")], ["--models", "small", "same"]),
        ([small, str(tmp_path / "deep.toml")], ["--models", "deep", "40"]),
        ([small, str(tmp_path / "frozen.toml")], ["--models", "frozen", "freeze_batch_norm"]),
        ([small, "legnot"], ["legnot", "legnet"]),
    ):
        with refuses(*facts):
            compare(tmp_path, models)
    with refuses("--against", "other", "small", "wide"):
        compare(tmp_path, [small, wide], against="other")
    with refuses("compared", "resume"):
        compare(tmp_path, [small, wide], resume=True)
    assert not (tmp_path / "compared").exists()
    words = ("compare-models", "--data", tmp_path / "mine.tsv", "--models", f"{small},{wide}", "-o", tmp_path / "out")
    one_line(zoo, ["activity", "dev", "--targets"], *words, "--targets", "activity")


@pytest.mark.parametrize("model", ["legnet", "malinois", "basset", "dream-rnn"])
def test_networks_of_other_lengths_and_targets_take_the_data(model: str, tmp_path: Path) -> None:
    source = dataset.read(write_table(tmp_path / "mine.tsv", length=249), ("dev", "hk"), length=None)
    (one,) = contenders.read([model], {}, "--models")
    fitted = one.fitted(source, "--models").config
    assert (fitted.sequence_length, fitted.targets) == (249, ("dev", "hk"))
    for name in ("left_flank", "right_flank"):
        assert getattr(fitted, name, "") == getattr(one.config, name, "")


def test_both_strands_of_a_sequence_count_once() -> None:
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 4, (60, 20)).astype(np.uint8)
    targets = generator.normal(size=(60, 1)).astype(np.float32)
    values = {"a": targets + generator.normal(size=(1, 60, 1)), "b": targets + generator.normal(size=(1, 60, 1))}
    alone = Predictions(Split(codes, targets), values)
    doubled = Split(np.concatenate([codes, reverse_complement(codes)]), np.concatenate([targets, targets]))
    both = Predictions(doubled, {label: np.concatenate([runs, runs], axis=1) for label, runs in values.items()})
    pairs = [(alone.score("a", 0, "pearson"), both.score("a", 0, "pearson"))]
    pairs.append(tuple(one.difference("a", "b", 0, "mse").interval for one in (alone, both)))
    for first, second in pairs:
        assert (first.value, first.low, first.high) == pytest.approx((second.value, second.low, second.high))
