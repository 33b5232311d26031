"""Tables of predictions are written whole or not at all, overwrite nothing, and have a description beside them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, random_codes
from command_line import RUNTIME
from refusals import refuses
from tables import read_predictions

import zoo
from zoo.dna.read_options import ReadOptions
from zoo.formats import fasta
from zoo.prediction import description
from zoo.prediction.model import Model
from zoo.prediction.run import PredictionJob, description_path, predict_file


def test_the_description_tells_how_the_table_was_made(model: Model, fasta: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.tsv"
    returned = predict_file(model, PredictionJob(fasta, output, command="zoo predict seqs.fa -o out.tsv"))
    described = json.loads(description_path(output).read_text())
    assert described == returned
    assert described["command"] == "zoo predict seqs.fa -o out.tsv"
    assert described["version"] == zoo.__version__
    assert described["runtime"] == RUNTIME[1]
    assert described["provider"] == model.provider
    assert described["weights"]["id"] == model.spec.weights_id
    assert described["weights"]["source"] == "random numbers"
    assert described["targets"] == ["a", "b", "c"]
    unknown = int(((random_codes(40, ODD.sequence_length) == 4).mean(axis=1) > 0.5).sum())
    counts = {"records": 40, "resized": 0, "ambiguous_letters": 0, "mostly_unknown": unknown}
    assert described["counts"] == counts


def test_changed_sequences_are_counted(model: Model, tmp_path: Path) -> None:
    source = tmp_path / "seqs.fa"
    source.write_text(f">a\n{'A' * 60}\n>b\n{'C' * 53}\n>c\n{'R' * 53}\n")
    described = predict_file(model, PredictionJob(source, tmp_path / "out.tsv", ReadOptions("center", "n")))
    assert described["counts"] == {"records": 3, "resized": 1, "ambiguous_letters": 53, "mostly_unknown": 1}
    summary = description.summary(described)
    assert all(fact in summary for fact in ("3 sequences", "1 resized", "53 ambiguous", "1 mostly unknown"))
    _, _, values = read_predictions(tmp_path / "out.tsv")
    assert np.array_equal(values, model.predict(["A" * 53, "C" * 53, "N" * 53]))


@pytest.mark.parametrize("records_before", [0, 1, 20_000])
def test_an_error_in_the_last_record_leaves_no_file(model: Model, tmp_path: Path, records_before: int) -> None:
    source = tmp_path / "seqs.fa"
    source.write_text(f">good\n{'A' * 53}\n" * records_before + ">bad\nACGT\n")
    with refuses(f"record {records_before + 1} (bad)", 53, 4):
        predict_file(model, PredictionJob(source, tmp_path / "out.tsv"))
    assert list(tmp_path.iterdir()) == [source]


def test_an_output_that_cannot_be_written_is_refused_before_the_work(model: Model, fasta: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.tsv"
    output.write_text("mine")
    with refuses("out.tsv: ", "--overwrite"):
        predict_file(model, PredictionJob(fasta, output))
    assert output.read_text() == "mine"
    output.unlink()
    description_path(output).write_text("mine")
    with refuses("out.tsv.json"):
        predict_file(model, PredictionJob(fasta, output))
    predict_file(model, PredictionJob(fasta, output, overwrite=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.tsv", "out.tsv.json", "seqs.fa"]


def test_names_pass_through_byte_by_byte(model: Model, tmp_path: Path) -> None:
    source = tmp_path / "seqs.fa"
    names = [b"caf\xe9", "café".encode(), b"a,b", b'"q"', b"]", b"[x]", b"", b"twice", b"twice"]
    source.write_bytes(b"".join(b">" + name + b"\n" + b"A" * 53 + b"\n" for name in names))
    predict_file(model, PredictionJob(source, tmp_path / "out.tsv"))
    rows = (tmp_path / "out.tsv").read_bytes().split(b"\n")[1:-1]
    assert [row.split(b"\t")[0] for row in rows] == names
    assert {row.count(b"\t") for row in rows} == {3}


def test_a_file_that_shrinks_while_it_is_read_leaves_no_table(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "seqs.fa"
    source.write_text(f">s\n{'A' * 53}\n" * 100_000)
    original = fasta._File._texts

    def cut_off(file: fasta._File) -> Iterator[bytes]:
        for number, text in enumerate(original(file)):
            if number == 1:
                os.truncate(source, 3_000_004)
            yield text

    monkeypatch.setattr(fasta._File, "_texts", cut_off)
    with refuses("seqs.fa", "5,700,000", "3,000,004"):
        predict_file(model, PredictionJob(source, tmp_path / "out.tsv"))
    assert list(tmp_path.iterdir()) == [source]


def test_progress_is_reported(model: Model, fasta: Path, tmp_path: Path) -> None:
    told: list[int] = []

    def on_progress(reader: fasta.Reader) -> None:
        told.append(reader.counts.records)

    predict_file(model, PredictionJob(fasta, tmp_path / "out.tsv"), on_progress)
    assert told == [40]


def test_the_description_names_its_table(model: Model, fasta: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.tsv"
    described = predict_file(model, PredictionJob(fasta, output))
    table = output.read_bytes()
    assert described["table"] == {"bytes": len(table), "sha256": hashlib.sha256(table).hexdigest()}


def test_a_description_without_its_table_is_replaced(model: Model, fasta: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.tsv"
    predict_file(model, PredictionJob(fasta, output, command="the first"))
    output.unlink()
    predict_file(model, PredictionJob(fasta, output, command="the second"))
    assert json.loads(description_path(output).read_text())["command"] == "the second"
    assert output.is_file()
    with refuses("out.tsv", "--overwrite"):
        PredictionJob(fasta, output).check_output()


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"table": 3}', b'{"table": {}}', b"\xff"])
def test_another_file_with_the_name_of_the_description_is_not_replaced(
    fasta: Path, tmp_path: Path, content: bytes
) -> None:
    output = tmp_path / "out.tsv"
    description_path(output).write_bytes(content)
    with refuses("out.tsv.json", "--overwrite"):
        PredictionJob(fasta, output).check_output()


def test_no_input_is_replaced(fasta: Path, file: Path) -> None:
    for output in (fasta, file):
        with refuses(output, "input"):
            PredictionJob(fasta, output, overwrite=True, weights=(file,)).check_output()
