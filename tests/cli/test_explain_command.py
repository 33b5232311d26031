"""`zoo explain` on bad input: one clear line, exit status 2, nothing written."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import RUNTIME, Zoo, one_line

COMMON = ("explain", "--weights", "w.safetensors", *RUNTIME, "-o", "out")


@pytest.fixture(autouse=True)
def _nothing_is_written(folder: Path) -> Iterator[None]:
    yield
    assert not (folder / "out").exists()
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["seqs.fa", "--targets", "dev"], ["targets: ", "a, b, c", "'dev'"]),
        (["seqs.fa", "--targets", "a,aa"], ["targets: ", "a, b, c", "'aa'"]),
        (["seqs.fa", "--targets", "a,a"], ["targets: ", "a "]),
        (["seqs.fa", "--shuffles", "0"], ["shuffles: ", "at least 1", "got 0"]),
        (["seqs.fa", "--shuffles", "20000"], ["shuffles: ", "at most", "20000"]),
        (["seqs.fa", "--seed", "-1"], ["seed: ", "-1"]),
        (["seqs.fa", "--rows", "-1"], ["rows: ", "-1"]),
        (["seqs.fa", "--logos", "-2"], ["logos: ", "-2"]),
        (["seqs.fa", "--method", "shap"], ["--method: ", "deeplift", "'shap'"]),
        (["seqs.fa", "--rc", "sum"], ["average", "'sum'"]),
        (["none.fa"], ["none.fa: "]),
        ([], ["FILE", "zoo explain --help"]),
        (["w.safetensors"], ["w.safetensors: "]),
        (["seqs.fa", "--bed", "peaks.bed", "--genome", "g.fa"], ["seqs.fa: ", "both"]),
        (["--bed", "peaks.bed"], ["--bed: ", "--genome"]),
    ],
)
def test_bad_input_is_refused(zoo: Zoo, arguments: list[str], facts: list[str]) -> None:
    one_line(zoo, facts, *COMMON, *arguments)


def test_a_record_that_is_no_sequence_is_named(zoo: Zoo, folder: Path) -> None:
    (folder / "bad.fa").write_text(f">a\n{'A' * 52}X\n")
    one_line(zoo, ["bad.fa: ", "record 1 (a)", "position 53", "ACGTN", "'X'"], *COMMON, "bad.fa")


def test_a_folder_that_is_there_is_kept(zoo: Zoo, folder: Path) -> None:
    (folder / "kept").mkdir()
    one_line(zoo, ["kept: ", "--overwrite"], *COMMON, "seqs.fa", "-o", "kept")
    (folder / "kept" / "thesis.tex").write_text("years")
    one_line(zoo, ["kept: ", "thesis.tex"], *COMMON, "seqs.fa", "-o", "kept", "--overwrite")
    assert (folder / "kept" / "thesis.tex").read_text() == "years"


def test_a_folder_of_pictures_of_somebody_else_is_kept(zoo: Zoo, folder: Path) -> None:
    (folder / "kept" / "photos").mkdir(parents=True)
    (folder / "kept" / "photos" / "a.png").write_text("x")
    one_line(zoo, ["kept: ", "photos"], *COMMON, "seqs.fa", "-o", "kept", "--overwrite")
    assert (folder / "kept" / "photos" / "a.png").exists()


def test_an_extra_that_is_missing_is_named(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "logomaker" else find(name, *rest)
    )
    one_line(zoo, ["--logos: ", "logomaker", "'deepstarr-zoo[explain]'"], *COMMON, "seqs.fa", "--logos", "2")


def test_motifs_without_modisco_names_the_extra(zoo: Zoo, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert zoo(*COMMON, "seqs.fa", "--shuffles", "2", "-o", "made")[0] == 0
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "modiscolite" else find(name, *rest)
    )
    one_line(zoo, ["modisco", "'deepstarr-zoo[motifs]'"], "motifs", "made")
    assert not (folder / "made" / "motifs").exists()


def test_a_runtime_that_computes_no_contributions_names_those_that_do(zoo: Zoo) -> None:
    pytest.importorskip("onnxscript")
    words = ("explain", "--weights", "w.safetensors", "--runtime", "onnx-cpu", "-o", "out", "seqs.fa")
    one_line(zoo, ["onnx-cpu", "kmer-cpu"], *words)
