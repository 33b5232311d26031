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
    ("arguments", "message"),
    [
        (["seqs.fa", "--targets", "dev"], "targets: these weights predict a, b, c, got 'dev'"),
        (["seqs.fa", "--targets", "a,aa"], "targets: these weights predict a, b, c, got 'aa'"),
        (["seqs.fa", "--targets", "a,a"], "targets: a is named twice"),
        (["seqs.fa", "--shuffles", "0"], "shuffles: expected at least 1, got 0"),
        (["seqs.fa", "--shuffles", "20000"], "shuffles: expected at most 10,000, got 20000"),
        (["seqs.fa", "--seed", "-1"], "seed: expected 0 to 2**64 - 1, got -1"),
        (["seqs.fa", "--rows", "-1"], "rows: expected at least 1, got -1"),
        (["seqs.fa", "--logos", "-2"], "logos: expected at least 1, got -2"),
        (["seqs.fa", "--method", "shap"], "method"),
        (["seqs.fa", "--rc", "sum"], "expected average, got 'sum'"),
        (["none.fa"], "none.fa: no such file"),
        ([], "FILE is missing; see zoo explain --help"),
        (["w.safetensors"], "w.safetensors: "),
        (
            ["seqs.fa", "--bed", "peaks.bed", "--genome", "g.fa"],
            "seqs.fa: expected FASTA files or intervals of a genome, got both",
        ),
        (["--bed", "peaks.bed"], "--bed: say with --genome which genome it lies in"),
    ],
)
def test_bad_input_is_told(zoo: Zoo, arguments: list[str], message: str) -> None:
    one_line(zoo, message, *COMMON, *arguments)


def test_a_record_that_is_no_sequence_is_told(zoo: Zoo, folder: Path) -> None:
    (folder / "bad.fa").write_text(f">a\n{'A' * 52}X\n")
    one_line(zoo, "record 1 (a), position 53: expected a letter of ACGTN, got 'X'", *COMMON, "bad.fa")


def test_a_folder_that_is_there_is_kept(zoo: Zoo, folder: Path) -> None:
    (folder / "kept").mkdir()
    one_line(zoo, "kept: exists already; give another name or --overwrite", *COMMON, "seqs.fa", "-o", "kept")
    (folder / "kept" / "thesis.tex").write_text("years")
    one_line(zoo, "kept: is not overwritten, it holds thesis.tex", *COMMON, "seqs.fa", "-o", "kept", "--overwrite")
    assert (folder / "kept" / "thesis.tex").read_text() == "years"


def test_a_folder_of_pictures_of_somebody_else_is_kept(zoo: Zoo, folder: Path) -> None:
    (folder / "kept" / "photos").mkdir(parents=True)
    (folder / "kept" / "photos" / "a.png").write_text("x")
    one_line(zoo, "kept: is not overwritten, it holds photos", *COMMON, "seqs.fa", "-o", "kept", "--overwrite")
    assert (folder / "kept" / "photos" / "a.png").exists()


@pytest.mark.parametrize(
    ("arguments", "library", "message"),
    [
        (
            [*COMMON, "seqs.fa", "--logos", "2"],
            "logomaker",
            "--logos: needs logomaker; pip install 'deepstarr-zoo[explain]' brings it",
        ),
    ],
)
def test_an_extra_that_is_missing_is_named(
    zoo: Zoo, monkeypatch: pytest.MonkeyPatch, arguments: list[str], library: str, message: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == library else find(name, *rest))
    one_line(zoo, message, *arguments)


def test_motifs_without_modisco_names_the_extra(zoo: Zoo, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert zoo(*COMMON, "seqs.fa", "--shuffles", "2", "-o", "made")[0] == 0
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "modiscolite" else find(name, *rest)
    )
    message = "zoo motifs: needs modisco-lite; pip install 'deepstarr-zoo[motifs]' brings it"
    one_line(zoo, message, "motifs", "made")
    assert not (folder / "made" / "motifs").exists()


def test_a_runtime_that_computes_no_contributions_names_those_that_do(zoo: Zoo) -> None:
    pytest.importorskip("onnxscript")
    words = ("explain", "--weights", "w.safetensors", "--runtime", "onnx-cpu", "-o", "out", "seqs.fa")
    one_line(zoo, "onnx-cpu computes no contributions; kmer-cpu", *words)
