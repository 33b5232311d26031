"""Evaluations: their numbers, their comparisons and their output folder."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from labelled_files import COLUMNS
from refusals import refuses
from tables import read_rows

from zoo.data.dataset import Split
from zoo.dna.encoding import reverse_complement
from zoo.errors import CheckFailed, ZooError
from zoo.evaluation import evaluate, metrics, results
from zoo.evaluation.evaluate import EvaluationOptions
from zoo.spec import ModelSpec

pytest.importorskip("matplotlib")


LENGTH = 20
CHOSEN = dict(zip(("dev", "hk"), COLUMNS, strict=True))
QUICK = EvaluationOptions(resamples=50)
DIAGNOSED = EvaluationOptions(resamples=50, diagnosis=True)


class Counter:
    """Stands in for a loaded model: dev is the share of A, hk that of C, times `slope`."""

    runtime, provider = "counting-cpu", "NumPy"
    rc: str | None = None

    def __init__(self, slope: float = 1.0, targets: tuple[str, ...] = ("dev", "hk"), length: int = LENGTH) -> None:
        self.slope = slope
        self.spec = ModelSpec("deepstarr", {}, length, targets, f"{slope}")

    def predict_codes(self, codes: np.ndarray) -> np.ndarray:
        shares = [(codes == base).mean(axis=1) for base in range(len(self.spec.targets))]
        return (np.stack(shares, axis=1) * self.slope).astype(np.float32)

    @property
    def each(self) -> SimpleNamespace:
        """Its only member."""
        return SimpleNamespace(predict=self.predict_codes)


@pytest.fixture
def split() -> Split:
    """60 sequences and their other strands; measurements are the counts and noise, two are missing."""
    generator = np.random.default_rng(0)
    forward = generator.integers(0, 4, size=(60, LENGTH)).astype(np.uint8)
    codes = np.concatenate([forward, reverse_complement(forward)])
    targets = Counter().predict_codes(codes) + generator.normal(scale=0.05, size=(120, 2)).astype(np.float32)
    targets[[0, 7], 1] = np.nan
    names = [f"chr2L_{100 * i + 1}_{100 * i + LENGTH}_{strand}_peak" for strand in "+-" for i in range(60)]
    return Split(codes, targets, names)


def test_a_report_holds_the_metrics_of_every_model(split: Split) -> None:
    models = {"good": Counter(), "flat": Counter(0.0)}
    report = evaluate.evaluate(models, split, CHOSEN, DIAGNOSED)
    good, flat = report.evaluations
    assert good.scores == metrics.score(split.targets, Counter().predict_codes(split.codes))
    assert [score.n for score in good.scores] == [120, 118]
    assert ["constant predictions" in score.note for score in flat.scores] == [True] * 2
    assert report.sequences == 60
    (difference,) = report.comparisons
    assert (difference.first, difference.second) == ("flat", "good")
    assert difference.differences[0]["mse"].low > 0
    assert difference.differences[0]["pearson"] is None
    assert difference.verdicts(0)["mse"] == "worse"
    assert difference.verdicts(0)["pearson"] == "no clear difference"
    assert list(good.diagnoses[0].correlations) == ["observed hk", "GC content"]
    assert {strand: n for strand, (n, _) in good.diagnoses[1].strands.items()} == {"+": 58, "-": 60}
    assert [found.n for found in good.diagnoses] == [60, 60]
    residuals = split.targets[:, 0].astype(np.float64) - good.predicted[:, 0]
    assert good.diagnoses[0].one.means == pytest.approx(((residuals[:60] + residuals[60:]).mean() / 2,), abs=1e-6)


def test_all_models_are_compared_with_the_reference(split: Split, tmp_path: Path) -> None:
    models = {"half": Counter(0.5), "good": Counter(), "flat": Counter(0.0), "again": Counter()}
    report = evaluate.evaluate(models, split, CHOSEN, QUICK, "good")
    assert [(one.first, one.second) for one in report.comparisons] == [
        ("half", "good"),
        ("flat", "good"),
        ("again", "good"),
    ]
    half, flat, again = report.comparisons
    assert half.verdicts(0) == {
        "pearson": "no clear difference",
        "spearman": "no clear difference",
        "mse": "worse",
        "r2": "worse",
    }
    assert flat.differences[1]["mse"].value == pytest.approx(
        report.evaluations[2].scores[1].mse - report.evaluations[1].scores[1].mse
    )
    assert set(again.verdicts(1).values()) == {"no clear difference"}
    results.save(report, tmp_path / "out")
    assert [one["second"] for one in json.loads((tmp_path / "out" / "metrics.json").read_text())["comparisons"]] == [
        "good"
    ] * 3


def test_the_reference_is_found_by_its_label_or_its_path() -> None:
    given = ["original", "runs/a.safetensors"]
    assert evaluate.reference(given, None) == "original"
    assert evaluate.reference(given, "a") == evaluate.reference(given, "runs/a.safetensors") == "a"
    with refuses("--against b", "original, a"):
        evaluate.reference(given, "b")


@pytest.mark.parametrize("rc", [None, "average"])
def test_the_report_says_which_strands_were_predicted(split: Split, rc: str | None) -> None:
    model = Counter()
    model.rc = rc
    report = evaluate.evaluate({"one": model}, split, CHOSEN, QUICK)
    assert results.to_json(report)["weights"][0]["rc"] == rc


def test_a_folder_holds_numbers_table_and_figures(split: Split, tmp_path: Path) -> None:
    models = {"good": Counter(), "half": Counter(0.5)}
    report = evaluate.evaluate(models, split, CHOSEN, QUICK)
    results.save(report, tmp_path / "out", command="zoo evaluate", source="data.tsv")
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["comparison.png", "metrics.json", "predictions.tsv", "scatter.png"]
    assert "residuals" not in (tmp_path / "out" / "metrics.json").read_text()
    report = evaluate.evaluate(models, split, CHOSEN, DIAGNOSED)
    results.save(report, tmp_path / "out", True, command="zoo evaluate", source="data.tsv")
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    figures = ["comparison.png", "diagnosis-1.png", "diagnosis-2.png"]
    assert written == [*figures, "metrics.json", "predictions.tsv", "scatter.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    for figure in (tmp_path / "out").glob("*.png"):
        assert figure.read_bytes()[:4] == b"\x89PNG"

    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert found["data"]["rows"] == 120
    assert found["data"]["columns"] == {"dev": COLUMNS[0], "hk": COLUMNS[1]}
    target = found["weights"][1]["targets"]["hk"]
    assert target["pearson"] == report.evaluations[1].scores[1].pearson
    assert target["intervals"]["mse"][0] < target["mse"] < target["intervals"]["mse"][1]
    assert target["residuals"]["split"] is False
    (compared,) = found["comparisons"]
    assert (compared["first"], compared["second"]) == ("half", "good")
    assert compared["targets"]["dev"]["mse"]["low"] > 0
    assert compared["targets"]["dev"]["mse"]["verdict"] == "worse"

    rows = read_rows(tmp_path / "out" / "predictions.tsv")
    assert list(rows[0]) == [
        "name",
        *("predicted_dev_good", "predicted_hk_good", "predicted_dev_half", "predicted_hk_half"),
        *("observed_dev", "observed_hk"),
    ]
    assert [row["name"] for row in rows] == split.names
    assert rows[0]["observed_hk"] == ""
    values = np.array([[row["predicted_dev_half"], row["observed_dev"]] for row in rows], np.float32)
    np.testing.assert_array_equal(values[:, 0], report.evaluations[1].predicted[:, 0])
    np.testing.assert_array_equal(values[:, 1], split.targets[:, 0])


def test_a_constant_target_is_reported(split: Split, tmp_path: Path) -> None:
    constant = Split(split.codes, np.ones_like(split.targets))
    report = evaluate.evaluate({"one": Counter()}, constant, CHOSEN, QUICK)
    results.save(report, tmp_path / "out")
    target = json.loads((tmp_path / "out" / "metrics.json").read_text())["weights"][0]["targets"]["dev"]
    assert target["pearson"] is None
    assert target["intervals"]["pearson"] is None
    assert target["mse"] > 0
    assert "constant target" in target["note"]
    assert read_rows(tmp_path / "out" / "predictions.tsv")[2]["name"] == "3"


def test_overwrite_replaces_a_report_and_never_another_folder(split: Split, tmp_path: Path) -> None:
    report = evaluate.evaluate({"one": Counter()}, split, CHOSEN, QUICK)
    out = tmp_path / "out"
    results.save(report, out)
    with refuses("out", "--overwrite"):
        results.check_output(out)
    (out / "metrics.json").write_text("old")
    results.save(report, out, overwrite=True)
    assert json.loads((out / "metrics.json").read_text())["data"]["rows"] == 120
    (out / "thesis.docx").write_text("irreplaceable")
    with refuses("thesis.docx"):
        results.save(report, out, overwrite=True)
    assert (out / "thesis.docx").read_text() == "irreplaceable"
    with refuses(tmp_path):
        results.check_output(tmp_path / "no" / "out")


def test_a_failure_while_writing_leaves_no_folder(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = evaluate.evaluate({"one": Counter()}, split, CHOSEN, QUICK)

    def full(*_: object, **__: object) -> None:
        raise ZooError("disk full")

    monkeypatch.setattr(results.figures, "scatter", full)
    with refuses("disk full"):
        results.save(report, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_models_that_cannot_be_compared_are_refused_with_the_difference(split: Split) -> None:
    with refuses("dev, hk for a", "expression for b"):
        evaluate.choose({"a": Counter(), "b": Counter(targets=("expression",))})
    with refuses("20 for a", "10 for b"):
        evaluate.sequence_length({"a": Counter(), "b": Counter(length=10)})
    with refuses("dev", 2):
        evaluate.evaluate({"a": Counter()}, split, {"dev": "dev"}, QUICK)


def test_targets_are_chosen_by_name_and_a_column_may_have_another() -> None:
    published, own = Counter(), Counter(targets=COLUMNS)
    assert evaluate.choose({"published": published}) == {"dev": "dev", "hk": "hk"}
    assert evaluate.choose({"own": own}) == {name: name for name in COLUMNS}
    assert evaluate.choose({"published": published, "own": own}) == {"dev": "dev", "hk": "hk"}
    assert evaluate.choose({"own": own, "published": published}) == dict(zip(COLUMNS, ("dev", "hk"), strict=True))
    assert evaluate.choose({"published": published}, ("hk", "dev")) == {"hk": "hk", "dev": "dev"}
    assert evaluate.choose({"published": published}, ("dev=Dev_log2_enrichment",)) == {"dev": COLUMNS[0]}
    assert evaluate.choose({"published": published}, ("Dev_log2_enrichment",)) == {"dev": COLUMNS[0]}
    assert evaluate.choose({"odd": Counter(targets=("a=b",))}, ("a=b",)) == {"a=b": "a=b"}
    with refuses("--targets activity", "dev, hk", "TARGET=COLUMN"):
        evaluate.choose({"published": published}, ("activity",))
    with refuses("--targets", "TARGET=COLUMN", "dev"):
        evaluate.choose({"published": published}, ("dev", "dev=x"))
    with refuses("--targets", "'dev='"):
        evaluate.choose({"published": published}, ("dev=",))


def test_outputs_are_found_by_name_never_by_position(split: Split) -> None:
    """`--targets hk,dev` gives each target the numbers that `--targets dev,hk` gives it."""
    forward = evaluate.evaluate({"one": Counter()}, split, CHOSEN, QUICK)
    backward_split = Split(split.codes, split.targets[:, ::-1], split.names)
    backward = evaluate.evaluate({"one": Counter()}, backward_split, dict(reversed(CHOSEN.items())), QUICK)
    assert backward.targets == ("hk", "dev")
    assert backward.evaluations[0].scores == forward.evaluations[0].scores[::-1]


def test_a_model_of_one_target_is_compared_with_one_of_two(split: Split) -> None:
    class Second(Counter):
        """Predicts only hk, the second target of the other model."""

        def predict_codes(self, codes: np.ndarray) -> np.ndarray:
            return Counter().predict_codes(codes)[:, 1:]

    models = {"both": Counter(), "one": Second(targets=("Hk_log2_enrichment",))}
    assert evaluate.not_shared(models) == ["dev"]
    chosen = evaluate.choose(models)
    assert chosen == {"hk": "hk"}
    report = evaluate.evaluate(models, Split(split.codes, split.targets[:, 1:], split.names), chosen, QUICK)
    both, one = report.evaluations
    assert both.scores == one.scores
    assert one.scores[0].pearson > 0.5


def test_predictions_that_are_not_finite_fail_the_evaluation(split: Split) -> None:
    with refuses("a: 120", "row 1", kind=CheckFailed):
        evaluate.evaluate({"a": Counter(np.nan)}, split, CHOSEN, QUICK)


def test_labels_are_the_shortest_names_that_differ() -> None:
    assert evaluate.labels(["original", "runs/a.safetensors"]) == ["original", "a"]
    assert evaluate.labels(["a/weights.onnx", "b/weights.onnx"]) == ["a/weights.onnx", "b/weights.onnx"]
    with refuses("original"):
        evaluate.labels(["original", "original"])


def test_runs_are_named_by_their_folder(tmp_path: Path) -> None:
    for name in ("a", "b", "c/a"):
        (tmp_path / name).mkdir(parents=True)
        for file in ("weights.safetensors", "run.json"):
            (tmp_path / name / file).touch()
    a, b, other = (str(tmp_path / name) for name in ("a", "b", "c/a"))
    assert evaluate.labels([a, f"{b}/weights.safetensors", "original"]) == ["a", "b", "original"]
    assert evaluate.labels([a, other]) == [a, other]


def test_overlapping_windows_are_drawn_together() -> None:
    """Eight windows of one element are not eight observations: their common error makes the intervals wider."""
    generator = np.random.default_rng(0)
    elements = generator.integers(0, 4, (25, LENGTH * 10)).astype(np.uint8)
    codes = np.stack([one[10 * place : 10 * place + 6 * LENGTH] for one in elements for place in range(8)])
    model = Counter(length=6 * LENGTH)
    targets = model.predict_codes(codes) + generator.normal(0, 0.05, (25, 2)).repeat(8, 0).astype(np.float32)
    overlapping = evaluate.evaluate({"one": model}, Split(codes, targets), CHOSEN, QUICK)
    mixed = generator.permuted(codes, axis=1)  # the same composition, and nothing in common
    apart = evaluate.evaluate({"one": model}, Split(mixed, targets), CHOSEN, QUICK)
    found, alone = (report.evaluations[0].intervals[0]["pearson"] for report in (overlapping, apart))
    assert found is not None
    assert alone is not None
    assert found.value == pytest.approx(alone.value)
    assert found.high - found.low > 1.5 * (alone.high - alone.low)
