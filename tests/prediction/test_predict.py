"""From sequences to activities: text, base codes and files give the same numbers, in order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from command_line import RUNTIME
from tables import read_predictions

import zoo
from zoo.errors import ZooError
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
    ("sequences", "message"),
    [
        (["A" * 53, "A" * 52], 'sequence 2: expected 53 bases, got 52; resize="center" crops or pads with N'),
        (
            ["A" * 52 + "R"],
            "sequence 1, position 53: expected a letter of ACGTN, got 'R'; ambiguous=\"n\" takes it as N",
        ),
        (["A" * 53, 5], "sequence 2: expected a text, got int"),
        ("A" * 53, "sequences: expected a list of texts, got one text; put it in a list"),
    ],
)
def test_sequences_that_the_model_does_not_take_are_refused(model: Model, sequences: list[str], message: str) -> None:
    with pytest.raises(ZooError) as refused:
        model.predict(sequences)
    assert str(refused.value) == message


def test_unknown_options_and_bad_values_are_refused(file: Path) -> None:
    with pytest.raises(
        ZooError, match="no option is called 'batch', did you mean batch_size\\?; there are rc, resize, ambiguous, "
    ):
        zoo.load(weights=file, batch=3)
    with pytest.raises(ZooError, match="batch size: expected at least 1, got 0"):
        zoo.load(weights=file, batch_size=0)
    with pytest.raises(ZooError, match="precision: expected one of fp32, tf32, bf16, got 'fp8'"):
        zoo.load(weights=file, precision="fp8")


def test_auto_picks_a_runtime_and_says_which(file: Path, texts: list[str], model: Model) -> None:
    automatic = zoo.load(weights=file, runtime="auto")
    assert automatic.runtime != "auto"
    assert np.allclose(automatic.predict(texts), model.predict(texts), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 10_000}, "threads: expected at most 1,024, got 10000"),
        ({"threads": 2**63}, "threads: expected at most 1,024, got 9223372036854775808"),
        ({"batch_size": 2**63}, "batch size: expected at most 1,048,576, got 9223372036854775808"),
        ({"threads": 1.5}, "threads: expected a whole number, got 1.5"),
        ({"batch_size": True}, "batch size: expected a whole number, got True"),
        ({"batch_size": "8"}, "batch size: expected a whole number, got '8'"),
    ],
)
def test_numbers_that_no_machine_has_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ZooError) as caught:
        RunOptions(**options)  # type: ignore[arg-type]
    assert str(caught.value) == message
