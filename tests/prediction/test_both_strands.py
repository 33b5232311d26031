"""The mean over both strands is the same for either strand."""

from __future__ import annotations

import json
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

from zoo.dna.encoding import reverse_complement
from zoo.errors import ZooError
from zoo.prediction import strands
from zoo.prediction.run import PredictionJob, predict_file
from zoo.spec import ModelSpec
from zoo.system import futures

CODES = np.random.default_rng(0).integers(0, 5, size=(6, 9)).astype(np.uint8)


def counts(codes: np.ndarray) -> np.ndarray:
    """A model that depends on the strand: as many A as there are, and position-weighted C."""
    weights = np.linspace(0, 1, codes.shape[1], dtype=np.float32)
    return np.stack([(codes == 0).sum(axis=1), (codes == 1) @ weights], axis=1).astype(np.float32)


def submit(codes: np.ndarray) -> Future[np.ndarray]:
    return futures.done(counts(codes))


def average(codes: np.ndarray) -> np.ndarray:
    return strands.average(submit, codes).result()


def test_the_average_is_the_mean_of_both_strands_to_the_last_bit() -> None:
    found = average(CODES)
    np.testing.assert_array_equal(found, (counts(CODES) + counts(reverse_complement(CODES))) / 2)
    np.testing.assert_array_equal(found, average(reverse_complement(CODES)))
    assert found.dtype == np.float32
    assert (counts(CODES) != found).any()


def test_the_choice_is_checked_before_anything_is_computed() -> None:
    assert strands.with_choice(submit, None) is submit
    np.testing.assert_array_equal(strands.with_choice(submit, "average")(CODES).result(), average(CODES))
    with pytest.raises(ZooError, match="rc: expected average, got 'both'"):
        strands.with_choice(submit, "both")


class Counter:
    """Stands in for a loaded model."""

    runtime, provider, batch_size = "counting-cpu", "NumPy", 4
    spec = ModelSpec("deepstarr", {}, 9, ("dev", "hk"), "0")
    submit_codes = staticmethod(submit)


def test_predict_writes_the_average_and_says_so(tmp_path: Path) -> None:
    fasta = tmp_path / "a.fa"
    fasta.write_text("".join(f">{i}\n{''.join('ACGTN'[code] for code in row)}\n" for i, row in enumerate(CODES)))
    description = predict_file(Counter(), PredictionJob(fasta, tmp_path / "a.tsv", rc="average"))
    rows = [line.split("\t") for line in (tmp_path / "a.tsv").read_text().splitlines()]
    np.testing.assert_array_equal(np.array(rows[1:])[:, 1:].astype(np.float32), average(CODES))
    assert description["rc"] == "average"
    assert json.loads((tmp_path / "a.tsv.json").read_text())["rc"] == "average"
    with pytest.raises(ZooError, match="rc: expected average, got 'mean'"):
        PredictionJob(fasta, rc="mean")
