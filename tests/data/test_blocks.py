"""Sequences that share a stretch of DNA are in one block."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zoo.data.blocks import blocks
from zoo.dna.encoding import reverse_complement

GENOME = np.random.default_rng(0).integers(0, 4, 2000).astype(np.uint8)


def window(start: int, length: int = 60) -> np.ndarray:
    return GENOME[start : start + length]


def test_windows_that_overlap_enough_are_one_block_on_either_strand() -> None:
    rows = np.stack([window(0), window(500), window(39), window(541), window(78), window(1000)])
    rows[2] = reverse_complement(rows[2:3])[0]
    # 0, 39 and 78 share 21 bases in a row each, 500 and 541 only 19
    assert blocks(rows, 20).tolist() == [0, 1, 0, 2, 0, 3]


def test_a_stretch_with_n_is_not_shared_but_equal_rows_are_one_block() -> None:
    rows = np.stack([window(0), window(0), window(20), window(0)])
    rows[1:3, ::10] = 4
    rows[3] = rows[1]
    assert blocks(rows, 20).tolist() == [0, 1, 2, 1]


def test_sequences_shorter_than_the_stretch_are_compared_whole() -> None:
    rows = np.stack([window(0, 10), reverse_complement(window(0, 10)[None])[0], window(1, 10)])
    assert blocks(rows).tolist() == [0, 0, 1]
    assert blocks(rows[:0]).tolist() == []


@given(st.lists(st.integers(0, 300), min_size=1, max_size=12), st.integers(0, 2**12 - 1))
def test_blocks_are_those_of_a_plain_comparison(starts: list[int], turned: int) -> None:
    rows = np.stack([window(start, 40) for start in starts])
    for number in range(len(rows)):
        if turned >> number & 1:
            rows[number] = reverse_complement(rows[number : number + 1])[0]
    plain = list(range(len(rows)))
    for one, first in enumerate(starts):
        for other, second in enumerate(starts):
            if abs(first - second) <= 40 - 15:
                plain = [plain[one] if block == plain[other] else block for block in plain]
    found = blocks(rows, 15)
    assert [[a == b for b in found] for a in found] == [[a == b for b in plain] for a in plain]
