"""`zoo search`: the sweep of a study, from its best trial to a checked export, and bad input in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Zoo, one_line

pytest.importorskip("torch")
pytest.importorskip("optuna")
yaml = pytest.importorskip("yaml")

from pictures import undrawn  # noqa: E402, F401
from searches import SWEEP, TINY, tiny, write_table  # noqa: E402

from zoo.search import space_files  # noqa: E402


def table(path: Path) -> list[dict[str, str]]:
    header, *rows = (line.split("\t") for line in path.read_text().splitlines())
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_the_sweep_of_the_study_gives_the_same_trials_every_time(zoo: Zoo, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(SWEEP))
    data = write_table(tmp_path / "mine.tsv", rows=60, length=249)
    common = ["search", tmp_path / "sweep.yaml", "--data", data, "--trials", 3, "--threads", 1, "--fix", "epochs=1"]
    found = []
    for name in ("one", "two"):
        status, out, err = zoo(*common, "-o", tmp_path / name)
        assert status == 0, err
        assert "3 of 3 trials" in out
        assert [line for line in err.splitlines() if "3 of 3" in line and "complete" in line and "pearson:dev" in line]
        found.append([{**row, "seconds": ""} for row in table(tmp_path / name / "trials.tsv")])
    assert found[0] == found[1]
    domains = {one.name: one.domain.options for one in space_files.of_model("deepstarr").parameters}
    for row in found[0]:
        for name, values in domains.items():
            allowed = {"1"} if name == "epochs" else {*map(str, values or ()), ""}
            assert row[name] in allowed, name
        assert (row["num_filters4"] == "") == (row["n_conv_layer"] == "3")


def test_the_best_trial_is_trained_exported_and_checked(zoo: Zoo, tmp_path: Path) -> None:
    data = write_table(tmp_path / "mine.tsv")
    study, run, onnx = (tmp_path / name for name in ("study", "run", "best.onnx"))
    assert zoo("search", tiny(tmp_path), "--data", data, "-o", study, "--trials", 2, "--fix", "epochs=1")[0] == 0
    assert zoo("train", study / "best.toml", "--data", data, "-o", run)[0] == 0
    assert zoo("export", "original", "--weights", run, "--onnx", "-o", onnx)[0] == 0
    (tmp_path / "seqs.fa").write_text(f">a\n{'ACGT' * 10}\n>b\n{'TTGCA' * 8}\n")
    status, out, err = zoo(
        "parity",
        "--weights",
        run,
        "--sequences",
        tmp_path / "seqs.fa",
        "--reference",
        "kmer-cpu",
        "--runtimes",
        "onnx-cpu",
    )
    assert status == 0, out + err
    status, out, _ = zoo("predict", tmp_path / "seqs.fa", "--weights", onnx)
    assert (status, out.count("\n")) == (0, 3)


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (["--objective", "pearson:dve"], ["'pearson:dve'", "pearson:dev?"]),
        (["--fix", "epoch=1"], ["--fix: ", "'epoch'", "epochs?", "layers, filters1"]),
        (["--fix", "epochs"], ["--fix: ", "NAME=VALUE", "'epochs'"]),
        (["--sampler", "grid"], ["grid", "dropout"]),
        (["--sampler", "anneal"], ["--sampler: ", "tpe, random, grid", "'anneal'"]),
        (["--against", "tuned"], ["--against: ", "--confirm"]),
        (["--best", "2"], ["--best: ", "--confirm"]),
        (["--name", "mine"], ["--name: ", "--storage"]),
        (["--confirm", "2", "--against", "tunde"], ["'tunde'", "tuned?"]),
        (["--storage", "sqlite:////nowhere/studies.db"], ["--storage: ", "sqlite:////nowhere/studies.db"]),
        (["--storage", "nosuch://host/studies"], ["--storage: ", "nosuch://host/studies"]),
        (["--resume"], ["resume", "study"]),
        (["--model", "tuned"], ["--model: ", "sweep"]),
        (["--fix", "sequence_length=3"], ["points"]),
        (["--workers", "0"], ["workers: ", "at least 1", "got 0"]),
        (["--targets", "dev,hl"], ["hl"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(zoo: Zoo, tmp_path: Path, words: list[str], facts: list[str]) -> None:
    data = write_table(tmp_path / "mine.tsv")
    one_line(zoo, facts, "search", tiny(tmp_path), "--data", data, "-o", tmp_path / "study", *words)
    assert not (tmp_path / "study").exists()


def test_an_invalid_search_space_is_refused(zoo: Zoo, tmp_path: Path) -> None:
    data = write_table(tmp_path / "mine.tsv")
    rest = ["--data", data, "-o", tmp_path / "study"]
    one_line(zoo, ["'deepstar'", "deepstarr?"], "search", "deepstar", *rest)
    one_line(zoo, "none.toml: ", "search", tmp_path / "none.toml", *rest)
    (tmp_path / "sweep.yaml").write_text("method: bayes\n")
    one_line(zoo, ["sweep.yaml: ", "parameters"], "search", tmp_path / "sweep.yaml", *rest)
    (tmp_path / "sweep.json").write_text("{")
    one_line(zoo, ["sweep.json: ", "json"], "search", tmp_path / "sweep.json", *rest)
    assert not (tmp_path / "study").exists()


def test_a_study_of_another_space_or_other_data_is_not_continued(zoo: Zoo, tmp_path: Path) -> None:
    data, other = write_table(tmp_path / "mine.tsv"), write_table(tmp_path / "other.tsv", rows=210)
    space = tiny(tmp_path)
    common = ["-o", tmp_path / "study", "--trials", 1, "--fix", "epochs=1"]
    assert zoo("search", space, "--data", data, *common)[0] == 0
    left = (tmp_path / "study" / "trials.tsv").read_text()
    one_line(zoo, ["study: ", "--resume"], "search", space, "--data", data, *common)
    one_line(zoo, ["data", "sha256"], "search", space, "--data", other, *common, "--resume")
    space.write_text(TINY.replace("[4, 8]", "[4, 16]"))
    one_line(zoo, ["space", "parameters"], "search", space, "--data", data, *common, "--resume")
    space.write_text(TINY)
    objective = ["--objective", "mse:dev"]
    one_line(zoo, "objective", "search", space, "--data", data, *common, "--resume", *objective)
    assert (tmp_path / "study" / "trials.tsv").read_text() == left
