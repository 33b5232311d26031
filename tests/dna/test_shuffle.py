"""Dinucleotide shuffles: their invariants and randomness, and the same result from compiled code and NumPy."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from refusals import refuses

from zoo.dna import shuffle
from zoo.dna.shuffle import dinucleotide_shuffle, references

WAYS = [False, *([True] if shuffle.BUILT else [])]


@pytest.fixture(params=WAYS, ids=lambda built: "compiled" if built else "NumPy")
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shuffle, "BUILT", request.param)
    monkeypatch.setattr(shuffle, "BLOCK", 64)


def pairs(sequence: np.ndarray) -> Counter[tuple[int, int]]:
    return Counter(zip(sequence[:-1].tolist(), sequence[1:].tolist(), strict=True))


def some_codes() -> np.ndarray:
    """Sequences of all kinds: few or many bases, with or without Ns, with ends that occur once."""
    random = np.random.default_rng(0)
    codes = random.integers(0, 5, (60, 50), np.uint8)
    codes[:20] = np.minimum(codes[:20], 1)
    codes[20:40] %= 4
    codes[40, :-1], codes[40, -1] = 0, 3
    codes[41, 0], codes[41, 1:] = 2, 1
    return codes


@pytest.mark.usefixtures("way")
def test_every_dinucleotide_keeps_its_count_and_the_ends_stay() -> None:
    codes = some_codes()
    shuffled = references(codes, 7, 1234)
    assert shuffled.shape == (60, 7, 50)
    assert shuffled.dtype == np.uint8
    for sequence, made in zip(codes, shuffled, strict=True):
        for one in made:
            assert pairs(one) == pairs(sequence)
            assert (one[0], one[-1]) == (sequence[0], sequence[-1])
    assert (shuffled[42:] != codes[42:, None]).any(axis=2).all()


@pytest.mark.usefixtures("way")
def test_all_arrangements_are_equally_likely() -> None:
    """ACAGATA has three loops through A; CACTC has two, and its end also occurs inside."""
    for letters, arrangements in (([0, 1, 0, 2, 0, 3, 0], 6), ([1, 0, 1, 3, 1], 2), ([0, 1, 0, 1, 2, 0, 2], 4)):
        made = dinucleotide_shuffle(np.tile(np.array(letters, np.uint8), (6000, 1)), np.random.default_rng(1))
        _, counts = np.unique(made, axis=0, return_counts=True)
        assert len(counts) == arrangements
        expected = 6000 / arrangements
        assert (abs(counts - expected) < 5 * expected**0.5).all(), counts


@pytest.mark.usefixtures("way")
def test_references_depend_only_on_the_seed_and_the_sequence() -> None:
    codes = some_codes()[42:]
    made = references(codes, 5, 1234)
    np.testing.assert_array_equal(references(codes[::-1], 5, 1234)[::-1], made)
    np.testing.assert_array_equal(references(codes[:1], 5, 1234), made[:1])
    np.testing.assert_array_equal(references(codes, 3, 1234), made[:, :3])
    assert (references(codes, 5, 1235) != made).any(axis=(1, 2)).all()
    assert len(np.unique(made.reshape(-1, 50), axis=0)) == len(codes) * 5


@pytest.mark.skipif(not shuffle.BUILT, reason="the compiled module was not built at installation")
def test_compiled_code_and_numpy_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = references(some_codes(), 9, 3)
    monkeypatch.setattr(shuffle, "BUILT", False)
    np.testing.assert_array_equal(references(some_codes(), 9, 3), compiled)


@pytest.mark.usefixtures("way")
def test_a_sequence_with_a_single_arrangement_is_its_own_shuffle() -> None:
    codes = np.array([[0] * 9, [0, 1, 2, 3, 3, 3, 3, 3, 3]], np.uint8)
    np.testing.assert_array_equal(references(codes, 4, 0), np.repeat(codes[:, None], 4, axis=1))
    assert references(np.empty((0, 9), np.uint8), 4, 0).shape == (0, 4, 9)
    np.testing.assert_array_equal(references(codes[:, :2], 4, 0), np.repeat(codes[:, None, :2], 4, axis=1))


def test_fewer_than_one_shuffle_is_one_line() -> None:
    with refuses("references", "at least 1", "got 0"):
        references(np.zeros((1, 9), np.uint8), 0, 1)


@pytest.mark.skipif(not shuffle.BUILT, reason="the compiled module was not built at installation")
def test_the_compiled_module_refuses_arrays_that_do_not_fit() -> None:
    codes, keys, out = np.zeros((2, 9), np.uint8), np.zeros(2, np.uint64), np.empty((2, 9), np.uint8)
    shuffle._shuffle.walks(codes, keys, out)
    for arguments in ((codes, keys, out[:1]), (codes[:, :1], keys, out[:, :1]), (codes + 5, keys, out)):
        with refuses("codes", "out", "(N, L)", "keys", kind=ValueError):
            shuffle._shuffle.walks(*map(np.ascontiguousarray, arguments))
