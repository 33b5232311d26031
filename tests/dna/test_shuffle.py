"""References of a sequence: dinucleotide shuffles that follow from the seed and its bases alone, and are fair draws."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from checkpoints import random_codes

from zoo.dna.encoding import encode
from zoo.dna.shuffle import references

CODES = random_codes(12, 60)


def pairs(codes: np.ndarray) -> list[tuple[int, int]]:
    return sorted(zip(codes[:-1].tolist(), codes[1:].tolist(), strict=True))


def test_every_shuffle_keeps_the_ends_and_the_count_of_every_pair() -> None:
    found = references(CODES, 7, 1234)
    assert (found.dtype, found.shape) == (np.uint8, (12, 7, 60))
    for sequence, shuffles in zip(CODES, found, strict=True):
        for shuffle in shuffles:
            assert pairs(shuffle) == pairs(sequence)
            assert (shuffle[0], shuffle[-1]) == (sequence[0], sequence[-1])


def test_no_other_sequence_and_no_order_matters_and_more_shuffles_begin_with_the_fewer() -> None:
    found = references(CODES, 20, 7)
    np.testing.assert_array_equal(references(CODES[::-1], 20, 7)[::-1], found)
    np.testing.assert_array_equal(references(CODES[3:4], 20, 7), found[3:4])
    np.testing.assert_array_equal(references(CODES, 5, 7), found[:, :5])


def test_another_seed_gives_other_shuffles() -> None:
    first, second = references(CODES[:-1], 20, 0), references(CODES[:-1], 20, 2**64 - 1)
    assert (first != second).any((1, 2)).all()
    assert (first[:, 0] != first[:, 1]).any(1).all()


def eulerian_walks(codes: np.ndarray) -> set[bytes]:
    """All sequences with the same ends and pairs, by trying all orders."""
    inner = itertools.permutations(codes[1:-1].tolist())
    every = {bytes([codes[0], *middle, codes[-1]]) for middle in inner}
    return {one for one in every if pairs(np.frombuffer(one, np.uint8)) == pairs(codes)}


def test_every_sequence_of_the_same_pairs_is_as_likely() -> None:
    codes = encode(["AACGATCAGA"])
    possible = eulerian_walks(codes[0])
    assert len(possible) > 5
    number = 3000 * len(possible)
    drawn = Counter(shuffle.tobytes() for shuffle in references(codes, number, 1)[0])
    assert drawn.keys() == possible
    # five standard deviations of a binomial count of 3,000
    assert max(abs(count - 3000) for count in drawn.values()) < 5 * np.sqrt(3000)


@pytest.mark.parametrize("text", ["AAAAAAAAAA", "NNNNNNN", "ACACACA", "AC", "A"])
def test_a_sequence_without_another_of_its_pairs_comes_back(text: str) -> None:
    codes = encode([text])
    np.testing.assert_array_equal(references(codes, 3, 1234), np.repeat(codes[:, None], 3, 1))


def test_no_sequences_give_no_shuffles() -> None:
    assert references(np.empty((0, 9), np.uint8), 4, 0).shape == (0, 4, 9)
