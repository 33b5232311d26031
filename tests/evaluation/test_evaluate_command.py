"""`zoo evaluate`: its options, its output and its answers to bad input."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from command_line import Zoo, one_line
from labelled_files import COLUMNS
from tables import read_rows

from zoo.data import dataset
from zoo.data.dataset import Layout
from zoo.data.splits import SIDES
from zoo.weights import checkpoint
from zoo.weights.importers import importer

pytest.importorskip("matplotlib")


FRACTION = Layout(split_by="fraction")


@pytest.fixture(scope="module")
def published(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "published.safetensors"
    checkpoint.save(importer.read(data / "DeepSTARR.model.h5"), path)
    return path


def test_the_command_gives_the_pearson_of_the_published_predictions(
    zoo: Zoo, data: Path, published: Path, tmp_path: Path
) -> None:
    arguments = ["--sequences", data / "test_first10.fa", "--labels", data / "test_first10_activity.txt"]
    out = tmp_path / "out"
    arguments += ["--weights", published, "--runtime", "torch-cpu"]
    assert "not decided" not in zoo("evaluate", *arguments)[1]
    status, printed, _ = zoo("evaluate", *arguments, "--diagnosis", "-o", out)
    assert status == 0
    (line,) = (line for line in printed.splitlines() if "not decided" in line and "dev" in line)
    assert "10 measurements" in line

    labels = read_rows(data / "test_first10_activity.txt")
    predicted = read_rows(data / "test_first10.keras.tsv")
    found = json.loads((out / "metrics.json").read_text())["weights"][0]["targets"]
    for target, column in zip(("dev", "hk"), COLUMNS, strict=True):
        x, y = [float(row[column]) for row in labels], [float(row[target]) for row in predicted]
        assert found[target]["pearson"] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-6)
        assert found[target]["n"] == 10


def test_the_command_needs_sequences_with_measurements(zoo: Zoo) -> None:
    for arguments in ([], ["--data", "a", "--sequences", "b"]):
        one_line(zoo, ["--data", "--sequences", "--labels"], "evaluate", *arguments)
    one_line(zoo, ["--sequences", "b.fa", "--labels"], "evaluate", "--sequences", "b.fa")


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
    typed = ("evaluate", "--weights", "w.safetensors", "--data", "t.tsv", "--targets")
    one_line(zoo, ["--targets other", "a, b, c", "TARGET=COLUMN"], *typed, "other")
    one_line(zoo, ["--targets", "TARGET=COLUMN", "a twice"], *typed, "a,a")


@pytest.mark.usefixtures("odd")
def test_the_command_names_the_better_weights(zoo: Zoo) -> None:
    checkpoint.save(random_checkpoint(ODD, seed=1), Path("other.safetensors"))
    typed = ["evaluate", "--weights", "w.safetensors", "--weights", "other.safetensors", "--runtime", "kmer-cpu"]
    typed += ["--data", "t.tsv", "--split", "all", "--resamples", 50, "-o", "out"]
    status, printed, err = zoo(*typed, "--against", "other")
    assert (status, err) == (0, "")
    (title,) = (line for line in printed.splitlines() if "differences" in line and " other" in line)
    (compared,) = json.loads(Path("out/metrics.json").read_text())["comparisons"]
    assert (compared["first"], compared["second"]) == ("w", "other")
    said = [found["verdict"] for target in compared["targets"].values() for found in target.values()]
    for word in ("better", "worse"):
        assert printed.partition(title)[2].count(f" {word}") == said.count(word)
    assert Path("out/comparison.png").read_bytes()[:4] == b"\x89PNG"
    one_line(zoo, ["--against nobody", "w, other"], *typed, "--against", "nobody", "--overwrite")


@pytest.mark.usefixtures("odd")
def test_a_model_is_not_compared_with_itself(zoo: Zoo) -> None:
    shutil.copy("w.safetensors", "copy.safetensors")
    typed = ["evaluate", "--data", "t.tsv", "--split", "all", "--runtime", "kmer-cpu"]
    one_line(zoo, ["copy", " w "], *typed, "--weights", "w.safetensors", "--weights", "copy.safetensors")
    one_line(zoo, ["original:bundled", "original "], *typed, "--weights", "original", "--weights", "original:bundled")


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
    assert evaluation.endswith(" zoo evaluate --weights runs/first --data data.tsv --split-by fraction")
    assert prediction.endswith(" zoo predict seqs.fa --weights runs/first")
    return Path("runs/first")


def test_the_evaluation_of_a_run_folder_gives_the_test_scores_of_the_training(zoo: Zoo, run: Path) -> None:
    tested = json.loads((run / "run.json").read_text())["test"]
    typed = ["evaluate", "--weights", run, "--data", "data.tsv", "--split-by", "fraction", "--resamples", 10]
    status, printed, err = zoo(*typed, "-o", "out")
    assert (status, err) == (0, "")
    assert "\nfirst " in printed
    assert "Gaussian" not in printed
    assert "not decided" not in printed
    found = json.loads(Path("out/metrics.json").read_text())
    assert [one["label"] for one in found["weights"]] == ["first"]
    assert found["data"]["rows"] == tested["sequences"]
    assert found["weights"][0]["targets"]["dev"]["pearson"] == pytest.approx(tested["pearson_dev"], abs=1e-4)
    status, printed, _ = zoo(*typed, "--diagnosis")
    assert status == 0
    assert "dev: not decided" in printed


@pytest.mark.usefixtures("run")
def test_two_rows_have_no_correlation_and_no_interval(zoo: Zoo) -> None:
    rows = Path("data.tsv").read_text().splitlines(keepends=True)
    Path("two.tsv").write_text("".join(rows[:3]))
    status, printed, _ = zoo("evaluate", "--weights", "runs/first", "--data", "two.tsv", "--split", "all")
    assert status == 0
    (line,) = [line for line in printed.splitlines() if " dev " in line]
    assert line.count("not defined") == 4
    assert "two measurements" in printed
    assert "fewer than 5 sequences" in printed


@pytest.mark.usefixtures("run")
def test_sequences_of_the_training_are_reported_from_any_file_and_strand(zoo: Zoo) -> None:
    def told(*options: object, weights: str = "runs/first", data: str = "data.tsv") -> dict[str, str]:
        """How many sequences the model was trained on ("trained") and was chosen by ("best epoch"): "21 of 23"."""
        status, _, err = zoo("evaluate", "--weights", weights, "--data", data, "--resamples", 10, *options)
        assert status == 0
        counted = re.findall(r"(\d+ of \d+)\b(.*?)(?=\d+ of \d|;|$)", err, re.MULTILINE)
        assert err.startswith("zoo: first: ") if counted else err == ""
        return {use: count for count, words in counted for use in ("trained", "best epoch") if use in words}

    sizes = {
        side: len(dataset.read_split(Path("data.tsv"), side, ("dev",), length=40, layout=FRACTION)) for side in SIDES
    }
    train, validation = sizes["train"], sizes["validation"]
    assert told("--split", "train", "--split-by", "fraction") == {"trained": f"{train} of {train}"}
    expected = {"best epoch": f"{validation} of {validation}"}
    assert told("--split", "validation", "--split-by", "fraction", weights="runs/first/weights.safetensors") == expected
    complement = str.maketrans("ACGT", "TGCA")
    head, *lines = Path("data.tsv").read_text().splitlines()
    turned = ["\t".join([line[39::-1].translate(complement), *line.split("\t")[1:]]) for line in lines]
    Path("turned.tsv").write_text("\n".join([head, *turned, ""]))
    expected = {"trained": f"{train} of 200", "best epoch": f"{validation} of 200"}
    assert told("--split", "all", data="turned.tsv") == expected
    expected = {"trained": "21 of 23", "best epoch": "1 of 23"}
    assert told("--split-by", "fraction", "--split-seed", 1) == expected
    receipts = Path("runs/first/run.json")
    began = json.loads(receipts.read_text())
    receipts.write_text(json.dumps({**began, "best_epoch": 0}))
    assert told("--split", "all") == {}
    receipts.write_text(json.dumps(began))
    assert told("--split", "all") != {}
    Path("runs/first/weights.safetensors").rename("apart.safetensors")
    assert told("--split", "all", weights="apart.safetensors") == {}
