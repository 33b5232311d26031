"""Session.edits: the general way, and that every runtime's own gives the same numbers."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from checkpoints import CONFIGS, ODD, SMALL_CONFIGS, TRACED, random_checkpoint, random_codes
from refusals import refuses

from zoo import registry
from zoo.dna import edits
from zoo.errors import MissingDependency
from zoo.prediction import session
from zoo.prediction.members import Each, Ensemble
from zoo.prediction.session import Session, open_session
from zoo.prediction.strands import BothStrands
from zoo.spec import ModelSpec
from zoo.weights import ensembles

LENGTH = 12


class Counts:
    """A model whose effects are known: the number of A, and of C by position."""

    provider, batch_size, concurrent_batches = "none", 7, 1
    spec = ModelSpec("deepstarr", {}, LENGTH, ("a", "b"), "0")

    def run(self, codes: np.ndarray) -> np.ndarray:
        return np.stack([(codes == 0).sum(1), (codes == 1) @ np.arange(LENGTH)], 1).astype(np.float32)


def test_the_general_way_gives_edited_minus_original() -> None:
    codes = np.full((2, LENGTH), 3, np.uint8)
    codes[1] = 0
    edited = codes[[1, 0, 1, 0]]
    edited[0, 2:5], edited[1, 3], edited[2, [1, 10]] = 1, 1, 1
    found = Session(Counts(), "counts").edits(codes, edited, np.array([1, 0, 1, 0]))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[-3, 2 + 3 + 4], [0, 3], [-2, 11], [0, 0]])


def test_no_edits_have_no_effects_and_other_arrays_are_one_line() -> None:
    running = Session(Counts(), "counts")
    codes, rows = np.zeros((2, LENGTH), np.uint8), np.zeros(3, int)
    assert running.edits(codes, codes[:0], rows[:0]).shape == (0, 2)
    assert running.edits(codes[:0], codes[:0], rows[:0]).shape == (0, 2)
    with refuses("codes", f"(N, {LENGTH})", "uint8 (2, 6)"):
        running.edits(codes[:, :6], codes, rows[:2])
    with refuses("codes", f"(N, {LENGTH})", "uint8 (2, 6)"):
        running.edits(codes, codes[:, :6], rows[:2])
    for wrong in (rows, rows[:1], rows[:2] + 0.5, rows[:2] + 2, rows[:2] - 1, rows[:2, None], [0, 0]):
        with refuses("rows", "2 integers from 0 to 1"):
            running.edits(codes, codes, wrong)  # type: ignore[arg-type]
    with refuses("rows", "from 0 to -1"):
        running.edits(codes[:0], codes, rows[:2])


WITH_A_WAY = [name for name in session.runtime_names() if "edits" in getattr(session.plugin(name), "SHORTER_WAYS", ())]


SLOW = [f"odd {architecture}" for architecture in TRACED]
"""Configs of networks whose export takes long."""


def kinds_of_edits(length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three sequences, one with an N, and edited ones: at the ends and between, of any width, of two places, equal to
    the original, with an N, all bases."""
    random = np.random.default_rng(3)
    codes = random_codes(3, length)
    codes[0] %= 4
    codes[1, length // 2] = 4
    codes[2] = random.integers(0, 4, length)
    made, rows = [], []
    for row, number in enumerate((14, 1, 4)):
        for kind in range(number):
            one = codes[row].copy()
            width = (1, 3, 6, 10, length // 3)[kind % 5]
            first = (0, length - width, length // 3, (length - width) // 2)[kind % 4]
            one[first : first + width] = random.integers(0, 4, width)
            if kind == 6:
                one[first + width // 2] = 4
            if kind == 7:
                one = codes[row].copy()
            if kind == 8:
                one[[1, length - 2]] = (one[[1, length - 2]] + 1) % 4
            if kind == 9:
                one[:] = random.integers(0, 4, length)
            made.append(one)
            rows.append(row)
    order = random.permutation(len(rows))
    return codes, np.array(made)[order], np.array(rows)[order]


@pytest.mark.parametrize(
    ("runtime", "name"),
    [
        (runtime, name)
        for runtime in WITH_A_WAY
        # the kernels of kmer-cpu are made for the sizes of the variants; test_onnx_shared.py has graphs of all kinds
        for name in (CONFIGS if runtime == "kmer-cpu" else {**SMALL_CONFIGS, "original": None})
        if name not in SLOW
    ],
)
def test_a_runtimes_own_way_gives_the_numbers_of_the_general_way(
    runtime: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # an export is compared with the network in NumPy, without the time that PyTorch takes to be imported
    exporter = registry.load("exporters", "onnx")
    monkeypatch.setattr(exporter.network, "from_checkpoint", mock.Mock(side_effect=MissingDependency("no PyTorch")))
    weights = random_checkpoint(CONFIGS[name])
    if session.missing(runtime) or session.refuses(runtime, weights.spec):
        return
    running = open_session(weights, runtime)
    running.settle()
    if not running._engine.edits:  # for this network the Session predicts each edited sequence
        return
    codes, edited, rows = kinds_of_edits(weights.spec.sequence_length)
    found = running.edits(codes, edited, rows)
    expected = edits.effects(running.predict, codes, edited, rows)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-5)
    same = (edited == codes[rows]).all(axis=1)
    assert same.any()
    np.testing.assert_array_equal(found[same], 0)
    one = running.edits(codes[:1], edited[rows == 0][:1], np.zeros(1, np.int32))
    np.testing.assert_allclose(one, expected[rows == 0][:1], rtol=1e-5, atol=2e-5)
    strands = BothStrands(running)
    found = strands.edits(codes, edited, rows)
    np.testing.assert_allclose(found, edits.effects(strands.predict, codes, edited, rows), rtol=1e-5, atol=2e-5)


def test_edits_of_an_ensemble_are_means_and_those_of_each_member_lie_side_by_side() -> None:
    members = [random_checkpoint(ODD, seed) for seed in range(3)]
    sessions = [open_session(one, "kmer-cpu") for one in members]
    spec = ensembles.combined(["a", "b", "c"], [one.spec for one in members])
    codes, edited, rows = kinds_of_edits(ODD.sequence_length)
    own = np.stack([one.edits(codes, edited, rows) for one in sessions])
    np.testing.assert_array_equal(Each(sessions).edits(codes, edited, rows), np.concatenate([*own], axis=1))
    np.testing.assert_allclose(Ensemble(sessions, spec).edits(codes, edited, rows), own.mean(0), rtol=0, atol=1e-6)
