"""The mean over both strands is the same for either strand."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from refusals import refuses

from zoo import registry
from zoo.dna.encoding import reverse_complement
from zoo.frame import REVERSE, Frame, InputFrame, StrandFrame, Target
from zoo.prediction import strands
from zoo.prediction.model import Model
from zoo.prediction.run import PredictionJob, predict_file
from zoo.prediction.session import Session
from zoo.prediction.strands import BothStrands, with_strands
from zoo.spec import ModelSpec
from zoo.weights import checkpoint

LENGTH = 9
CODES = np.random.default_rng(0).integers(0, 5, size=(6, LENGTH)).astype(np.uint8)
REFERENCES = np.random.default_rng(1).integers(0, 4, size=(6, 3, LENGTH)).astype(np.uint8)


class Counts:
    """An engine that depends on the strand: the number of A, and C weighted by position; it makes up contributions."""

    provider, batch_size, concurrent_batches = "NumPy", 4, 1
    spec = ModelSpec("deepstarr", {}, LENGTH, ("dev", "hk"), "0")

    def run(self, codes: np.ndarray) -> np.ndarray:
        weights = np.linspace(0, 1, codes.shape[1], dtype=np.float32)
        return np.stack([(codes == 0).sum(axis=1), (codes == 1) @ weights], axis=1).astype(np.float32)

    def contributions(self, codes: np.ndarray, references: np.ndarray, target: int) -> np.ndarray:
        return self.gradient(codes, target) + references.mean(1, dtype=np.float32)[..., None]

    def gradient(self, codes: np.ndarray, target: int) -> np.ndarray:
        places = np.arange(codes.size, dtype=np.float32).reshape(codes.shape)
        return np.sin(codes[..., None] + np.arange(4) * (target + 1) + places[..., None]).astype(np.float32)


ONE = Session(Counts(), "counting-cpu")
BOTH = BothStrands(ONE)


def test_predictions_are_the_mean_of_both_strands_to_the_last_bit() -> None:
    found = BOTH.predict(CODES)
    np.testing.assert_array_equal(found, (ONE.predict(CODES) + ONE.predict(reverse_complement(CODES))) / 2)
    np.testing.assert_array_equal(found, BOTH.predict(reverse_complement(CODES)))
    np.testing.assert_array_equal(found, BOTH.submit(CODES).result())
    assert found.dtype == np.float32
    assert (ONE.predict(CODES) != found).any()


@pytest.mark.parametrize("stride", [1, 3])
def test_windows_have_the_predictions_of_their_sequences(stride: int) -> None:
    contig = CODES.reshape(-1)
    starts = range(0, len(contig) - LENGTH + 1, stride)
    expected = BOTH.predict(np.stack([contig[start : start + LENGTH] for start in starts]))
    np.testing.assert_array_equal(BOTH.windows(contig, stride), expected)
    assert BOTH.windows(contig[: LENGTH - 1], stride).shape == (0, 2)


@pytest.mark.parametrize(
    ("name", "arguments"), [("mutants", ()), ("contributions", (REFERENCES, 1)), ("gradient", (1,))]
)
def test_what_bases_get_is_the_mean_with_that_of_their_partners(name: str, arguments: tuple[object, ...]) -> None:
    turned = [reverse_complement(one) if isinstance(one, np.ndarray) else one for one in arguments]
    found = getattr(BOTH, name)(CODES, *arguments)
    other = getattr(ONE, name)(reverse_complement(CODES), *turned)
    np.testing.assert_array_equal(found, (getattr(ONE, name)(CODES, *arguments) + other[:, ::-1, ::-1]) / 2)
    np.testing.assert_array_equal(found, getattr(BOTH, name)(reverse_complement(CODES), *turned)[:, ::-1, ::-1])


def test_an_effect_is_that_on_the_mean() -> None:
    mutated = CODES.copy()
    mutated[:, 4] = 2
    expected = BOTH.predict(mutated) - BOTH.predict(CODES)
    np.testing.assert_allclose(BOTH.mutants(CODES)[:, 4, 2], expected, rtol=0, atol=1e-6)


def test_the_wrapper_is_a_session() -> None:
    public = {name for name in dir(Session) if not name.startswith("_")}
    assert {name for name in dir(BOTH) if not name.startswith("_")} >= public
    for name in ("spec", "runtime", "provider", "batch_size", "concurrent_batches"):
        assert getattr(BOTH, name) == getattr(ONE, name)
    assert (ONE.rc, BOTH.rc) == (None, "average")


def test_the_choice_is_checked_before_anything_is_computed() -> None:
    assert with_strands(ONE, None) is ONE
    assert with_strands(BOTH, "average") is BOTH
    assert isinstance(with_strands(ONE, "average"), BothStrands)
    with refuses("rc", "average", "'both'"):
        with_strands(ONE, "both")


@pytest.mark.parametrize("codes", [CODES[:, 1:], np.full((1, LENGTH), 9, np.uint8), CODES.astype(np.int64)])
def test_other_arrays_are_refused_as_by_a_session(codes: np.ndarray) -> None:
    for session in (ONE, BOTH):
        with refuses(str(LENGTH) if codes.shape[1] != LENGTH else ""):
            session.predict(codes)


def test_predict_writes_the_average_and_says_so(tmp_path: Path) -> None:
    fasta = tmp_path / "a.fa"
    fasta.write_text("".join(f">{i}\n{''.join('ACGTN'[code] for code in row)}\n" for i, row in enumerate(CODES)))
    description = predict_file(Model(BOTH), PredictionJob(fasta, tmp_path / "a.tsv"))
    rows = [line.split("\t") for line in (tmp_path / "a.tsv").read_text().splitlines()]
    np.testing.assert_array_equal(np.array(rows[1:])[:, 1:].astype(np.float32), BOTH.predict(CODES))
    assert description["rc"] == "average"
    assert json.loads((tmp_path / "a.tsv.json").read_text())["rc"] == "average"


@pytest.mark.parametrize("strand", ["given", "mean"])
def test_a_network_that_is_told_its_strand_is_not_averaged(strand: str) -> None:
    """The channel for the strand would be 0 on both."""
    models = registry.working("models").items()
    ((name, model),) = ((name, model) for name, model in models if hasattr(model, "refuses_both_strands"))
    spec = checkpoint.describe(name, dataclasses.replace(next(iter(model.VARIANTS.values())), strand=strand))
    strands.check(spec, None)
    with refuses("--both-strands", "mean"):
        strands.check(spec, "average")


def test_a_channel_for_the_strand_is_not_averaged() -> None:
    frame = Frame(InputFrame(alphabet="ACGT", channels=(0.5, REVERSE)), StrandFrame("given"), (Target("a"),))
    spec = ModelSpec("foreign_graph", {"sequence_length": 20, "targets": ["a"]}, 20, ("a",), "", frame=frame)
    with refuses("--both-strands", "channel", "mean"):
        strands.check(spec, "average")
