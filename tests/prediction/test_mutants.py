"""Session.mutants: the general way, and that every runtime's own gives the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from checkpoints import CONFIGS, ODD, SMALL_CONFIGS, random_checkpoint, random_codes
from refusals import refuses

from zoo import contracts
from zoo.dna.encoding import one_hot
from zoo.prediction import by_prediction, session
from zoo.prediction.session import Session, open_session
from zoo.spec import ModelSpec
from zoo.weights.checkpoint import Checkpoint

WEIGHTS = np.random.default_rng(0).normal(size=(5, 4, 2)).astype(np.float32)


class Linear:
    """A model whose mutants are known: each base in each place has its weight."""

    provider, batch_size, concurrent_batches = "none", 7, 1
    spec = ModelSpec("deepstarr", {}, 5, ("a", "b"), "0")

    def __init__(self) -> None:
        self.given = 0

    def run(self, codes: np.ndarray) -> np.ndarray:
        assert len(codes) <= self.batch_size
        self.given = max(self.given, len(codes))
        return np.einsum("nlb,lbt->nt", one_hot(codes), WEIGHTS)


def test_the_general_way_gives_alternative_minus_what_is_there() -> None:
    codes = np.array([[0, 1, 2, 3, 4], [3, 3, 3, 3, 3]], np.uint8)
    expected = WEIGHTS - np.einsum("nlb,lbt->nlt", one_hot(codes), WEIGHTS)[:, :, None]
    found = Session(Linear(), "linear").mutants(codes)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found[0, range(4), range(4)], 0)
    assert (found[0, 4] != 0).all()


def test_blocks_of_sequences_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.random.default_rng(1).integers(0, 5, (9, 5), np.uint8)
    whole = Session(Linear(), "linear").mutants(codes)
    for at_once in (1, 20, 41):
        monkeypatch.setattr(by_prediction, "MUTANTS", at_once)
        np.testing.assert_allclose(Session(Linear(), "linear").mutants(codes), whole, rtol=0, atol=1e-6)


def test_no_sequences_have_no_mutants_and_other_arrays_are_one_line() -> None:
    assert Session(Linear(), "linear").mutants(np.empty((0, 5), np.uint8)).shape == (0, 5, 4, 2)
    with refuses("codes", "(N, 5)", "uint8 (2, 6)"):
        Session(Linear(), "linear").mutants(np.zeros((2, 6), np.uint8))


WITH_A_WAY = [
    name for name in session.runtime_names() if "mutants" in getattr(session.plugin(name), "SHORTER_WAYS", ())
]


def test_kmer_and_onnx_have_a_shorter_way() -> None:
    assert {"kmer-cpu", "onnx-cpu"} <= set(WITH_A_WAY)


# the kernels of kmer-cpu are made for the sizes of the variants; other runtimes treat all sizes alike
@pytest.mark.parametrize(
    ("runtime", "name"),
    [(runtime, name) for runtime in WITH_A_WAY for name in (CONFIGS if runtime == "kmer-cpu" else SMALL_CONFIGS)],
)
def test_a_runtimes_own_way_gives_the_numbers_of_the_general_way(runtime: str, name: str) -> None:
    weights = random_checkpoint(CONFIGS[name])
    if session.missing(runtime) or session.refuses(runtime, weights.spec):
        return
    running = open_session(weights, runtime)
    if not running._engine.mutants:  # for this network the Session predicts each mutant
        return
    length = weights.spec.sequence_length
    codes = random_codes(2, length)
    positions = np.arange(length)
    if runtime != "kmer-cpu" and length > 100:  # those of a few positions, most of them near the ends
        positions = np.unique(np.r_[:6, np.linspace(0, length - 1, 8).astype(int), length - 6 : length])
    row, position, base = np.nonzero(codes[:, positions, None] != np.arange(4))
    mutated = codes[row]
    mutated[np.arange(len(row)), positions[position]] = base
    expected = np.zeros((2, len(positions), 4, len(weights.spec.targets)))
    expected[row, position, base] = running.predict(mutated) - running.predict(codes)[row]
    found = running.mutants(codes)
    assert found.shape == (2, length, 4, len(weights.spec.targets))
    np.testing.assert_allclose(found[:, positions], expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("runtime", session.runtime_names())
def test_an_engine_offers_what_its_runtime_says(runtime: str) -> None:
    weights = random_checkpoint(ODD)
    if session.missing(runtime) or session.refuses(runtime, weights.spec):
        return
    ways = [name for name in vars(contracts.ShorterWays) if not name.startswith("_")]
    declared = set(getattr(session.plugin(runtime), "SHORTER_WAYS", ()))

    def offered(weights: Checkpoint) -> set[str]:
        engine = open_session(weights, runtime)._engine
        return {name for name in ways if getattr(engine, name, None)}

    small = offered(weights)
    assert small <= declared
    assert declared - small <= set(session.GENERAL_WAYS)  # a small network shares too little
    assert small == declared or offered(random_checkpoint(CONFIGS["original"])) == declared
