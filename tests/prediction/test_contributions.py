"""Session.contributions and Session.gradient: the same numbers from every runtime, and errors in one line."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from checkpoints import ODD, SMALL_CONFIGS, random_checkpoint, random_codes
from refusals import refuses

from zoo.dna.encoding import ONE_HOT
from zoo.errors import MissingDependency, ZooError
from zoo.prediction import session
from zoo.prediction.session import Session, open_session

REFERENCE = "torch-cpu"
"""It runs the PyTorch network of every model; tangermeme computes its contributions."""


@pytest.fixture(scope="module")
def running() -> Session:
    return open_session(random_checkpoint(ODD), "kmer-cpu")


def message(call: object, *arguments: object) -> str:
    with pytest.raises(ZooError) as caught:
        call(*arguments)  # type: ignore[operator]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_references_that_do_not_fit_are_one_line(running: Session) -> None:
    codes, references = np.zeros((2, 53), np.uint8), np.zeros((2, 3, 53), np.uint8)
    for wrong, got in (
        (references[:1], "(1, 3, 53)"),
        (references[:, :0], "(2, 0, 53)"),
        (references[:, 0], "(2, 53)"),
        (None, "NoneType"),
    ):
        with refuses("references", "(2, R, 53)", got):
            running.contributions(codes, wrong, 0)
    with refuses("codes", "uint8", "(N, 53)"):
        running.contributions(codes, references[..., 1:], 0)
    references[1, 2, 3] = 7
    with refuses("0 to 4", "got 7"):
        running.contributions(codes, references, 0)
    with refuses("codes", "uint8", "(N, 53)"):
        running.gradient(codes[:, 1:], 0)


@pytest.mark.parametrize("target", [-1, 3])
def test_an_unknown_target_is_one_line(running: Session, target: int) -> None:
    codes = np.zeros((2, 53), np.uint8)
    with refuses("target", 0, 2, target):
        running.contributions(codes, codes[:, None], target)
    with refuses("target", 0, 2, target):
        running.gradient(codes, target)


def test_a_runtime_without_contributions_names_those_that_have_them() -> None:
    codes = np.zeros((2, 53), np.uint8)
    onnx = open_session(random_checkpoint(ODD), "onnx-cpu")
    with refuses("onnx-cpu", "contributions", "kmer-cpu", "torch-cpu", "torch-cuda"):
        onnx.contributions(codes, codes[:, None], 0)
    with refuses("onnx-cpu", "gradient"):
        onnx.gradient(codes, 0)


def test_no_sequences_have_no_contributions(running: Session) -> None:
    none = np.empty((0, 53), np.uint8)
    assert running.contributions(none, np.empty((0, 4, 53), np.uint8), 0).shape == (0, 53, 4)
    assert running.gradient(none, 0).shape == (0, 53, 4)


def test_without_tangermeme_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    if session.missing(REFERENCE):
        pytest.skip(str(session.missing(REFERENCE)))
    running = open_session(random_checkpoint(ODD), REFERENCE)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tangermeme" else find(name))
    codes = np.zeros((1, 53), np.uint8)
    with refuses("pip install 'deepstarr-zoo[explain]'", kind=MissingDependency):
        running.contributions(codes, codes[:, None], 0)


OTHERS = [name for name in session.runtimes_with("contributions") if name != REFERENCE]


@pytest.mark.parametrize("name", SMALL_CONFIGS)
@pytest.mark.parametrize("runtime", OTHERS)
def test_a_runtimes_own_code_gives_the_numbers_of_tangermeme_and_pytorch(runtime: str, name: str) -> None:
    pytest.importorskip("tangermeme", reason="tangermeme is not installed; see extra explain")
    weights = random_checkpoint(SMALL_CONFIGS[name])
    for one in (runtime, REFERENCE):
        if session.missing(one):
            pytest.skip(f"{one}: {session.missing(one)}")
        if session.refuses(one, weights.spec):
            return
    codes = random_codes(4, weights.spec.sequence_length)[:-1]
    references = np.random.default_rng(2).permuted(codes[:, None].repeat(3, 1), axis=2)
    target = len(weights.spec.targets) - 1
    own, reference = open_session(weights, runtime), open_session(weights, REFERENCE)
    expected = reference.contributions(codes, references, target)
    found = own.contributions(codes, references, target)
    # Not all: where a reference equals the sequence for a stretch, tangermeme, in float32 and with the batch norms
    # apart, divides rounding errors by each other; tests/runtimes compares in float64.
    assert (abs(found - expected) < 1e-5).mean() > 0.98
    np.testing.assert_allclose(own.gradient(codes, target), reference.gradient(codes, target), rtol=1e-4, atol=1e-5)


WITHOUT_DERIVATIVE = {"gapped_kmer", "motif_counts"}
"""Architectures that compare bases with words; every other one is expected to be explained."""


@pytest.mark.parametrize("name", SMALL_CONFIGS)
def test_tangermeme_explains_any_architecture_or_is_refused_with_the_reason(name: str) -> None:
    pytest.importorskip("tangermeme", reason="tangermeme is not installed; see extra explain")
    if session.missing(REFERENCE):
        pytest.skip(str(session.missing(REFERENCE)))
    weights = random_checkpoint(SMALL_CONFIGS[name])
    running = open_session(weights, REFERENCE)
    codes = np.random.default_rng(0).integers(0, 4, (2, weights.spec.sequence_length), np.uint8)
    references = np.random.default_rng(1).permuted(codes[:, None].repeat(3, 1), axis=2)
    if weights.spec.architecture in WITHOUT_DERIVATIVE:
        reason = message(running.contributions, codes, references, 0)
        assert reason.startswith(f"{weights.spec.architecture}: ")
        assert message(running.gradient, codes, 0) == reason
        assert running.mutants(codes[:1]).any()
        return
    found = running.contributions(codes, references, 0)
    zero = running.predict(references.reshape(6, -1))[:, 0].reshape(2, 3).mean(axis=1)
    sums = (found * ONE_HOT[codes]).sum(axis=(1, 2))
    np.testing.assert_allclose(sums, running.predict(codes)[:, 0] - zero, rtol=0, atol=1e-4)
    assert running.gradient(codes, 0).any()
