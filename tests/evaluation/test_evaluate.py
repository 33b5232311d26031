"""`zoo evaluate`: the numbers of an evaluation, its folder, and its answers to bad input."""

from __future__ import annotations

import csv
import json
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from command_line import Zoo

from zoo.data import dataset
from zoo.data.dataset import Layout, Split
from zoo.data.splits import SIDES
from zoo.dna.encoding import reverse_complement
from zoo.errors import CheckFailed, ZooError
from zoo.evaluation import evaluate, metrics, results
from zoo.evaluation.evaluate import Settings
from zoo.spec import ModelSpec
from zoo.system import futures
from zoo.weights import checkpoint, importing

LENGTH = 20
COLUMNS = ("Dev_log2_enrichment", "Hk_log2_enrichment")
CHOSEN = dict(zip(("dev", "hk"), COLUMNS, strict=True))
QUICK = Settings(resamples=50)
FRACTION = Layout(split_by="fraction")

pytest.importorskip("matplotlib")


class Counter:
    """Stands in for a loaded model: dev is the share of A, hk that of C, times `slope`."""

    runtime, provider = "counting-cpu", "NumPy"

    def __init__(self, slope: float = 1.0, targets: tuple[str, ...] = ("dev", "hk"), length: int = LENGTH) -> None:
        self.slope = slope
        self.spec = ModelSpec("deepstarr", {}, length, targets, f"{slope}")

    def predict_codes(self, codes: np.ndarray) -> np.ndarray:
        shares = [(codes == base).mean(axis=1) for base in range(len(self.spec.targets))]
        return (np.stack(shares, axis=1) * self.slope).astype(np.float32)

    def submit_codes(self, codes: np.ndarray) -> Future[np.ndarray]:
        return futures.done(self.predict_codes(codes))


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


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_a_report_holds_the_metrics_of_every_model(split: Split) -> None:
    models = {"good": Counter(), "flat": Counter(0.0)}
    report = evaluate.evaluate(models, split, CHOSEN, QUICK)
    good, flat = report.evaluations
    assert good.scores == metrics.score(split.targets, Counter().predict_codes(split.codes))
    assert [score.n for score in good.scores] == [120, 118]
    assert [score.note for score in flat.scores] == ["constant predictions: correlations are not defined"] * 2
    assert report.sequences == 60
    (difference,) = report.comparisons
    assert (difference.first, difference.second) == ("flat", "good")
    assert difference.differences[0]["mse"].low > 0
    assert difference.differences[0]["pearson"] is None
    assert difference.verdicts(0)["mse"] == "worse"
    assert difference.verdicts(0)["pearson"] == "not told apart"
    assert list(good.diagnoses[0].correlations) == ["observed hk", "GC content"]
    assert {strand: n for strand, (n, _) in good.diagnoses[1].strands.items()} == {"+": 58, "-": 60}
    assert [found.n for found in good.diagnoses] == [60, 60]
    residuals = split.targets[:, 0].astype(np.float64) - good.predicted[:, 0]
    assert good.diagnoses[0].one.means == pytest.approx(((residuals[:60] + residuals[60:]).mean() / 2,), abs=1e-6)


def test_all_others_are_compared_with_the_one_that_is_named(split: Split, tmp_path: Path) -> None:
    models = {"half": Counter(0.5), "good": Counter(), "flat": Counter(0.0), "again": Counter()}
    report = evaluate.evaluate(models, split, CHOSEN, QUICK, "good")
    assert [(one.first, one.second) for one in report.comparisons] == [
        ("half", "good"),
        ("flat", "good"),
        ("again", "good"),
    ]
    half, flat, again = report.comparisons
    assert half.verdicts(0) == {
        "pearson": "not told apart",
        "spearman": "not told apart",
        "mse": "worse",
        "r2": "worse",
    }
    assert flat.differences[1]["mse"].value == pytest.approx(
        report.evaluations[2].scores[1].mse - report.evaluations[1].scores[1].mse
    )
    assert set(again.verdicts(1).values()) == {"not told apart"}
    results.save(report, tmp_path / "out")
    assert [one["second"] for one in json.loads((tmp_path / "out" / "metrics.json").read_text())["comparisons"]] == [
        "good"
    ] * 3


def test_the_reference_is_found_by_its_label_or_as_it_was_given() -> None:
    given = ["original", "runs/a.safetensors"]
    assert evaluate.reference(given, None) == "original"
    assert evaluate.reference(given, "a") == evaluate.reference(given, "runs/a.safetensors") == "a"
    with pytest.raises(ZooError, match="--against b: expected one of the weights that are compared, original, a"):
        evaluate.reference(given, "b")


def test_the_strand_average_does_not_see_the_strand(split: Split) -> None:
    report = evaluate.evaluate({"one": Counter()}, split, CHOSEN, Settings(rc="average", resamples=10))
    predicted = report.evaluations[0].predicted
    np.testing.assert_array_equal(predicted[:60], predicted[60:])
    assert results.to_json(report)["weights"][0]["rc"] == "average"


def test_a_folder_holds_numbers_table_and_figures(split: Split, tmp_path: Path) -> None:
    models = {"good": Counter(), "half": Counter(0.5)}
    report = evaluate.evaluate(models, split, CHOSEN, QUICK)
    results.save(report, tmp_path / "out", command="zoo evaluate", source="data.tsv")
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["comparison.png", "metrics.json", "predictions.tsv", "scatter.png"]
    results.save(report, tmp_path / "out", True, command="zoo evaluate", source="data.tsv", with_diagnosis=True)
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

    rows = read_table(tmp_path / "out" / "predictions.tsv")
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
    assert target["note"] == "constant target: correlations and R2 are not defined"
    assert read_table(tmp_path / "out" / "predictions.tsv")[2]["name"] == "3"


def test_a_folder_is_replaced_when_asked_and_never_one_of_something_else(split: Split, tmp_path: Path) -> None:
    report = evaluate.evaluate({"one": Counter()}, split, CHOSEN, QUICK)
    out = tmp_path / "out"
    results.save(report, out)
    with pytest.raises(ZooError, match="out: exists already; give another name or --overwrite"):
        results.check_output(out)
    (out / "metrics.json").write_text("old")
    results.save(report, out, overwrite=True)
    assert json.loads((out / "metrics.json").read_text())["data"]["rows"] == 120
    (out / "thesis.docx").write_text("irreplaceable")
    with pytest.raises(ZooError, match=r"is not overwritten, it holds thesis\.docx"):
        results.save(report, out, overwrite=True)
    assert (out / "thesis.docx").read_text() == "irreplaceable"
    with pytest.raises(ZooError, match=r"the folder .* does not exist"):
        results.check_output(tmp_path / "no" / "out")


def test_a_failure_while_writing_leaves_no_folder(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = evaluate.evaluate({"one": Counter()}, split, CHOSEN, QUICK)

    def full(*_: object) -> None:
        raise ZooError("disk full")

    monkeypatch.setattr(results.figures, "scatter", full)
    with pytest.raises(ZooError, match="disk full"):
        results.save(report, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_models_that_cannot_be_compared_say_what_differs(split: Split) -> None:
    with pytest.raises(ZooError, match="share a target, got dev, hk for a and expression for b; evaluate one at a"):
        evaluate.choose({"a": Counter(), "b": Counter(targets=("expression",))})
    with pytest.raises(ZooError, match="one sequence length, got 20 for a and 10 for b"):
        evaluate.sequence_length({"a": Counter(), "b": Counter(length=10)})
    with pytest.raises(ZooError, match="expected measurements of dev, got 2 columns"):
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
    line = r"^--targets activity: expected a target that every model predicts, dev, hk; TARGET=COLUMN takes a column"
    with pytest.raises(ZooError, match=line):
        evaluate.choose({"published": published}, ("activity",))
    with pytest.raises(ZooError, match="expected different targets, TARGET or TARGET=COLUMN, got dev twice"):
        evaluate.choose({"published": published}, ("dev", "dev=x"))
    with pytest.raises(ZooError, match="got 'dev='"):
        evaluate.choose({"published": published}, ("dev=",))


def test_outputs_are_found_by_name_never_by_position(split: Split) -> None:
    """What `--targets hk,dev` gives each target is what `--targets dev,hk` gives it."""
    forward = evaluate.evaluate({"one": Counter()}, split, CHOSEN, QUICK)
    backward_split = Split(split.codes, split.targets[:, ::-1], split.names)
    backward = evaluate.evaluate({"one": Counter()}, backward_split, dict(reversed(CHOSEN.items())), QUICK)
    assert backward.targets == ("hk", "dev")
    assert backward.evaluations[0].scores == forward.evaluations[0].scores[::-1]


def test_a_model_of_one_target_is_compared_with_one_of_two(split: Split) -> None:
    class Second(Counter):
        """Predicts hk alone, which the two-target model has in its second place."""

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
    with pytest.raises(CheckFailed, match="a: 120 predictions are not finite, the first for row 1"):
        evaluate.evaluate({"a": Counter(np.nan)}, split, CHOSEN, QUICK)


def test_weights_are_called_by_the_shortest_name_that_tells_them_apart() -> None:
    assert evaluate.labels(["original", "runs/a.safetensors"]) == ["original", "a"]
    assert evaluate.labels(["a/weights.onnx", "b/weights.onnx"]) == ["a/weights.onnx", "b/weights.onnx"]
    with pytest.raises(ZooError, match="original is given twice"):
        evaluate.labels(["original", "original"])


@pytest.fixture(scope="module")
def published(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "published.safetensors"
    checkpoint.save(importing.read(data / "DeepSTARR.model.h5"), path)
    return path


def test_the_command_gives_the_pearson_of_the_published_predictions(
    zoo: Zoo, data: Path, published: Path, tmp_path: Path
) -> None:
    arguments = ["--sequences", data / "test_first10.fa", "--labels", data / "test_first10_activity.txt"]
    out = tmp_path / "out"
    status, printed, _ = zoo("evaluate", "--weights", published, *arguments, "--runtime", "torch-cpu", "-o", out)
    assert status == 0
    assert "dev: not decided: 10 measurements, at least 50 are needed" in printed

    labels = read_table(data / "test_first10_activity.txt")
    predicted = read_table(data / "test_first10.keras.tsv")
    found = json.loads((out / "metrics.json").read_text())["weights"][0]["targets"]
    for target, column in zip(("dev", "hk"), COLUMNS, strict=True):
        x, y = [float(row[column]) for row in labels], [float(row[target]) for row in predicted]
        assert found[target]["pearson"] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-6)
        assert found[target]["n"] == 10


def test_the_command_wants_sequences_with_measurements(zoo: Zoo) -> None:
    for arguments in ([], ["--data", "a", "--sequences", "b"]):
        status, _, err = zoo("evaluate", *arguments)
        assert status == 2
        assert err.startswith("zoo: expected the measured sequences as --data PATH, or as --sequences")
    message = "zoo: --sequences b.fa: needs the measurements, --labels TABLE\n"
    assert zoo("evaluate", "--sequences", "b.fa") == (2, "", message)


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of the targets a, b and c, and a table whose columns of the same names hold other measurements."""
    monkeypatch.chdir(tmp_path)
    checkpoint.save(random_checkpoint(ODD), Path("w.safetensors"))
    generator = np.random.default_rng(0)
    rows = [
        "\t".join(["".join("ACGT"[base % 4] for base in codes), *map(str, generator.normal(size=4))])
        for codes in random_codes(60, ODD.sequence_length)
    ]
    Path("t.tsv").write_text("\n".join(["sequence\ta\tb\tc\tother", *rows, ""]))


@pytest.mark.usefixtures("odd")
def test_the_command_finds_targets_by_name(zoo: Zoo) -> None:
    def scores(*targets: str) -> dict[str, dict]:
        arguments = ["evaluate", "--weights", "w.safetensors", "--runtime", "kmer-cpu", "--data", "t.tsv"]
        status, _, err = zoo(*arguments, "--split", "all", "--resamples", 10, *targets, "-o", "out", "--overwrite")
        assert (status, err) == (0, "")
        found = json.loads(Path("out/metrics.json").read_text())
        assert list(found["data"]["columns"]) == list(found["weights"][0]["targets"])
        return {
            found["data"]["columns"][name]: {key: one[key] for key in ("n", "pearson", "mse")}
            for name, one in found["weights"][0]["targets"].items()
        }

    every = scores()
    assert list(every) == ["a", "b", "c"]
    assert scores("--targets", "b,a") == {name: every[name] for name in ("b", "a")}
    assert scores("--targets", "c=c") == {"c": every["c"]}
    assert scores("--targets", "a=other")["other"]["mse"] != every["a"]["mse"]
    status, _, err = zoo("evaluate", "--weights", "w.safetensors", "--data", "t.tsv", "--targets", "other")
    assert status == 2
    assert err.startswith("zoo: --targets other: expected a target that every model predicts, a, b, c; TARGET=COLUMN")
    status, _, err = zoo("evaluate", "--weights", "w.safetensors", "--data", "t.tsv", "--targets", "a,a")
    assert (status, err) == (2, "zoo: --targets: expected different targets, TARGET or TARGET=COLUMN, got a twice\n")


@pytest.mark.usefixtures("odd")
def test_the_command_says_in_words_which_weights_are_better(zoo: Zoo) -> None:
    checkpoint.save(random_checkpoint(ODD, seed=1), Path("other.safetensors"))
    typed = ["evaluate", "--weights", "w.safetensors", "--weights", "other.safetensors", "--runtime", "kmer-cpu"]
    typed += ["--data", "t.tsv", "--split", "all", "--resamples", 50, "-o", "out"]
    status, printed, err = zoo(*typed, "--against", "other")
    assert (status, err) == (0, "")
    assert "differences from other, paired bootstrap; better or worse where the interval does not hold 0" in printed
    (compared,) = json.loads(Path("out/metrics.json").read_text())["comparisons"]
    assert (compared["first"], compared["second"]) == ("w", "other")
    said = [found["verdict"] for target in compared["targets"].values() for found in target.values()]
    for word in ("better", "worse"):
        assert printed.partition("hold 0")[2].count(f" {word}") == said.count(word)
    assert Path("out/comparison.png").read_bytes()[:4] == b"\x89PNG"
    line = "zoo: --against nobody: expected one of the weights that are compared, w, other\n"
    assert zoo(*typed, "--against", "nobody", "--overwrite") == (2, "", line)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zoo: Zoo) -> Path:
    """The folder of a short training on data.tsv, divided by fraction; its table and network are beside it."""
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    rows = ["".join("ACGT"[code] for code in codes) for codes in generator.integers(0, 4, (200, 40))]
    lines = [f"{row}\t{row.count('G') / 10}\t{row.count('A') / 10}" for row in rows]
    Path("data.tsv").write_text("\n".join(["sequence\tdev\thk", *lines, ""]))
    Path("small.toml").write_text(
        "[model]\narchitecture = 'deepstarr'\nfilters = [8, 6]\nkernel_sizes = [5, 4]\ndense_units = [8]\n"
        "sequence_length = 40\n[train]\nepochs = 2\n"
    )
    status, _, err = zoo("train", "small.toml", "--data", "data.tsv", "--split-by", "fraction", "-o", "runs/first")
    assert status == 0
    *_, evaluation, prediction = err.splitlines()
    assert evaluation == "zoo: next: zoo evaluate --weights runs/first --data data.tsv --split-by fraction"
    assert prediction == "zoo: or: zoo predict seqs.fa --weights runs/first"
    return Path("runs/first")


def test_a_run_is_evaluated_by_its_folder_as_the_end_of_the_training_says(zoo: Zoo, run: Path) -> None:
    tested = json.loads((run / "run.json").read_text())["test"]
    typed = ["evaluate", "--weights", run, "--data", "data.tsv", "--split-by", "fraction", "--resamples", 10]
    status, printed, err = zoo(*typed, "-o", "out")
    assert (status, err) == (0, "")
    assert " first " in printed
    found = json.loads(Path("out/metrics.json").read_text())
    assert [one["label"] for one in found["weights"]] == ["first"]
    assert found["data"]["rows"] == tested["sequences"]
    assert found["weights"][0]["targets"]["dev"]["pearson"] == pytest.approx(tested["pearson_dev"], abs=1e-4)
    status, _, err = zoo("evaluate", "--weights", run, "--data", "data.tsv", "--diagnosis")
    assert (status, err) == (2, "zoo: --diagnosis: draws a figure into a folder; name it with --output\n")


@pytest.mark.usefixtures("run")
def test_sequences_of_the_training_are_told_whatever_file_or_strand_they_come_in(zoo: Zoo) -> None:
    def told(*options: object, weights: str = "runs/first", data: str = "data.tsv") -> str:
        status, _, err = zoo("evaluate", "--weights", weights, "--data", data, "--resamples", 10, *options)
        assert status == 0
        return err.partition(";")[0]

    sizes = {
        side: len(dataset.read_split(Path("data.tsv"), side, ("dev",), length=40, layout=FRACTION)) for side in SIDES
    }
    train, validation = sizes["train"], sizes["validation"]
    assert told("--split", "train", "--split-by", "fraction") == f"zoo: first: {train} of {train} were trained on"
    line = f"zoo: first: {validation} of {validation} chose the best epoch"
    assert told("--split", "validation", "--split-by", "fraction", weights="runs/first/weights.safetensors") == line
    complement = str.maketrans("ACGT", "TGCA")
    head, *lines = Path("data.tsv").read_text().splitlines()
    turned = ["\t".join([line[39::-1].translate(complement), *line.split("\t")[1:]]) for line in lines]
    Path("turned.tsv").write_text("\n".join([head, *turned, ""]))
    line = f"zoo: first: {train} of 200 were trained on and {validation} of 200 chose the best epoch"
    assert told("--split", "all", data="turned.tsv") == line
    line = "zoo: first: 21 of 23 were trained on and 1 of 23 chose the best epoch"
    assert told("--split-by", "fraction", "--split-seed", 1) == line
    receipts = Path("runs/first/run.json")
    began = json.loads(receipts.read_text())
    receipts.write_text(json.dumps({**began, "best_epoch": 0}))
    assert told("--split", "all") == ""
    receipts.write_text(json.dumps(began))
    assert told("--split", "all") != ""
    Path("runs/first/weights.safetensors").rename("apart.safetensors")
    assert told("--split", "all", weights="apart.safetensors") == ""


def test_runs_are_named_by_their_folder(tmp_path: Path) -> None:
    for name in ("a", "b", "c/a"):
        (tmp_path / name).mkdir(parents=True)
        for file in ("weights.safetensors", "run.json"):
            (tmp_path / name / file).touch()
    a, b, other = (str(tmp_path / name) for name in ("a", "b", "c/a"))
    assert evaluate.labels([a, f"{b}/weights.safetensors", "original"]) == ["a", "b", "original"]
    assert evaluate.labels([a, other]) == [a, other]
