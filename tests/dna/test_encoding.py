"""Text, base codes, one-hot and reverse complement: the canonical alphabet, and one line for everything else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refuses

from zoo.dna.encoding import INVALID, ascii_codes, check_codes, encode, one_hot, reverse_complement

dna = st.text("ACGTN", min_size=1, max_size=40)


def test_base_order_is_a_c_g_t_and_case_does_not_matter() -> None:
    assert encode(["ACGTN", "acgtn"]).tolist() == [[0, 1, 2, 3, 4]] * 2


def test_one_hot_of_n_is_zeros() -> None:
    expected = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    hot = one_hot(encode(["ACGTN"]))
    assert hot.dtype == np.float32
    assert hot.tolist() == [expected]


def test_every_byte_that_is_no_base_is_marked() -> None:
    codes = ascii_codes(bytes(range(256)))
    valid = {chr(byte) for byte in range(256) if codes[byte] != INVALID}
    assert valid == set("ACGTNacgtn")


@settings(deadline=None)
@given(dna)
def test_reverse_complement_twice_is_the_sequence(sequence: str) -> None:
    codes = encode([sequence])
    pairs = str.maketrans("ACGT", "TGCA")
    assert np.array_equal(reverse_complement(codes), encode([sequence.translate(pairs)[::-1]]))
    assert np.array_equal(reverse_complement(reverse_complement(codes)), codes)


def test_no_sequences_are_no_codes() -> None:
    assert encode([]).shape[0] == 0


@pytest.mark.parametrize(
    ("sequences", "facts"),
    [
        (["ACG", "AC"], ["sequence 2:", "3 bases", "got 2"]),
        (["ACG", "AXG"], ["sequence 2, position 2:", "ACGTN", "'X'"]),
        (["AÇG"], ["sequence 1, position 2:", "ACGTN", "'Ç'"]),
    ],
)
def test_text_that_is_not_dna_is_refused_by_name_and_position(sequences: list[str], facts: list[str]) -> None:
    with refuses(*facts):
        encode(sequences)


@pytest.mark.parametrize(
    ("codes", "length", "facts"),
    [
        (np.zeros((2, 5), np.int64), 5, ["uint8", "(N, 5)", "int64 (2, 5)"]),
        (np.zeros((2, 4), np.uint8), 5, ["uint8", "(N, 5)", "uint8 (2, 4)"]),
        ([[0] * 5], 5, ["uint8", "(N, 5)", "list"]),
        (np.full((1, 5), 5, np.uint8), 5, ["codes[0, 0]", "0 to 4", "got 5", "zoo.encode"]),
        (np.zeros((2, 5), np.uint8), None, ["uint8", "(B,)", "uint8 (2, 5)"]),
        (np.array([0, 7], np.uint8), None, ["codes[1]", "0 to 4", "got 7"]),
    ],
)
def test_arrays_that_are_not_base_codes_are_refused(codes: np.ndarray, length: int | None, facts: list[str]) -> None:
    with refuses(*facts):
        check_codes(codes, length)
