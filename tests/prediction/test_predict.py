"""From sequences to activities: text, base codes and files give the same numbers, in order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from command_line import RUNTIME
from refusals import refuses
from tables import read_predictions

import zoo
from zoo.options import RunOptions
from zoo.prediction.model import Model
from zoo.prediction.run import PredictionJob, predict_file


def test_text_codes_and_a_file_give_the_same_numbers(
    model: Model, texts: list[str], fasta: Path, tmp_path: Path
) -> None:
    from_codes = model.predict_codes(random_codes(40, ODD.sequence_length))
    assert from_codes.dtype == np.float32
    assert from_codes.shape == (40, 3)
    assert np.array_equal(model.predict(texts), from_codes)
    assert np.array_equal(model.predict([text.lower() for text in texts]), from_codes)
    predict_file(model, PredictionJob(fasta, tmp_path / "out.tsv"))
    header, names, values = read_predictions(tmp_path / "out.tsv")
    assert header == ["name", "a", "b", "c"]
    assert names == [f"s{number}" for number in range(40)]
    assert np.array_equal(values, from_codes)


def test_a_model_says_what_it_is(model: Model) -> None:
    assert model.runtime == RUNTIME[1]
    assert model.provider.startswith("cpu")
    assert model.spec == random_checkpoint(ODD).spec


def test_no_sequences_are_no_rows(model: Model) -> None:
    assert model.predict([]).shape == (0, 3)
    assert model.predict_codes(np.empty((0, ODD.sequence_length), np.uint8)).shape == (0, 3)


@pytest.mark.parametrize(
    ("sequences", "facts"),
    [
        (["A" * 53, "A" * 52], ("sequence 2", 53, 52, 'resize="center"')),
        (["A" * 52 + "R"], ("sequence 1", "position 53", "ACGTN", "'R'", 'ambiguous="n"')),
        (["A" * 53, 5], ("sequence 2", "int")),
        ("A" * 53, ("sequences", "list")),
    ],
)
def test_sequences_that_the_model_does_not_take_are_refused(
    model: Model, sequences: list[str], facts: tuple[object, ...]
) -> None:
    with refuses(*facts):
        model.predict(sequences)


def test_unknown_options_and_bad_values_are_refused(file: Path) -> None:
    with refuses("'batch'", "batch_size", "rc", "resize", "ambiguous"):
        zoo.load(weights=file, batch=3)
    with refuses("batch-size", 1, 0):
        zoo.load(weights=file, batch_size=0)
    with refuses("precision", "fp32, tf32, bf16", "'fp8'"):
        zoo.load(weights=file, precision="fp8")


def test_auto_picks_a_runtime_and_says_which(file: Path, texts: list[str], model: Model) -> None:
    automatic = zoo.load(weights=file, runtime="auto")
    assert automatic.runtime != "auto"
    assert np.allclose(automatic.predict(texts), model.predict(texts), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        ({"threads": 10_000}, ("threads", 1024, 10000)),
        ({"threads": 2**63}, ("threads", 1024, 2**63)),
        ({"batch_size": 2**63}, ("batch-size", 2**20, 2**63)),
        ({"threads": 1.5}, ("threads", "whole number", 1.5)),
        ({"batch_size": True}, ("batch-size", "whole number", True)),
        ({"batch_size": "8"}, ("batch-size", "whole number", "'8'")),
    ],
)
def test_numbers_that_no_machine_has_are_refused(options: dict[str, object], facts: tuple[object, ...]) -> None:
    with refuses(*facts):
        RunOptions(**options)  # type: ignore[arg-type]
