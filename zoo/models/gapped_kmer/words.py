"""Gapped words and their weights: which column has which weight, and the sum of the weights in a window. NumPy only.

A gapped word is a mask (its informative positions in the window) and a word (the bases there, as a number with the
first base in the highest digit: A 0, C 1, G 2, T 3). Its reverse complement has the mirrored mask and the reverse
complement of the word. So of two mirrored masks only one has weights, for all its words; a mask that is its own mirror
image has one weight for each pair of words that are reverse complements. Axes: N sequences, P windows, T targets.
"""

from __future__ import annotations

import dataclasses
import itertools
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from zoo.spec import ALPHABET

if TYPE_CHECKING:
    from zoo.models.gapped_kmer import Config

BASES = len(ALPHABET)


@dataclasses.dataclass(frozen=True)
class Block:
    """Weights of one mask, in adjacent columns.

    mask: informative positions, ascending.  mirrored: mask of the reverse complements, which have the same weights.
    columns: number of columns.
    """

    mask: tuple[int, ...]
    mirrored: tuple[int, ...]
    columns: int

    @property
    def symmetric(self) -> bool:
        return self.mask == self.mirrored


@cache
def blocks(word_length: int, informative: int) -> tuple[Block, ...]:
    """All masks (of two mirrored ones the first) in lexicographic order, which is the order of their columns."""
    found = []
    for mask in itertools.combinations(range(word_length), informative):
        mirrored = tuple(word_length - 1 - position for position in reversed(mask))
        if mask <= mirrored:
            columns = BASES**informative if mask < mirrored else int(pairs(informative).max()) + 1
            found.append(Block(mask, mirrored, columns))
    return tuple(found)


def features(config: Config) -> int:
    """Number of weights per target."""
    return sum(block.columns for block in blocks(config.word_length, config.informative))


@cache
def reverse_complements(length: int) -> np.ndarray:
    """Word -> its reverse complement, int64 (4^length,)."""
    words = np.arange(BASES**length)
    found = np.zeros_like(words)
    for place in range(length):
        base = words // BASES**place % BASES
        found = found * BASES + (BASES - 1 - base)
    return found


@cache
def pairs(length: int) -> np.ndarray:
    """Word -> number of its pair with the reverse complement, int64 (4^length,); pairs are numbered from 0."""
    smaller = np.minimum(np.arange(BASES**length), reverse_complements(length))
    return np.unique(smaller, return_inverse=True)[1].reshape(-1)


def split(config: Config, weight: np.ndarray) -> list[tuple[Block, np.ndarray]]:
    """Split weights (T, features) into blocks, each with the weights of all its words, (T, 4^informative)."""
    found, first = [], 0
    for block in blocks(config.word_length, config.informative):
        own = weight[:, first : first + block.columns]
        found.append((block, own[:, pairs(config.informative)] if block.symmetric else own))
        first += block.columns
    return found


def window_table(config: Config, weight: np.ndarray) -> np.ndarray:
    """Mean weight of the gapped words in each window: (T, features) -> float64 (4^word_length, T).

    Computed as an array with one axis per position; weights are broadcast along the axes of gaps.
    """
    length, targets = config.word_length, len(weight)
    parts: tuple[dict[tuple[int, ...], np.ndarray], ...] = {}, {}
    for block, words in split(config, weight):
        gaps = tuple(position for position in range(length) if position not in block.mask)
        shape = [BASES if position in block.mask else 1 for position in range(length)]
        parts[block.symmetric][gaps] = words.reshape(targets, *shape).astype(np.float64)
    either, own = (_broadcast_sum(part, length - config.informative, length) for part in parts)
    either = np.broadcast_to(either, (targets, *(BASES,) * length))
    # the other strand has complementary bases in reverse order
    other = np.flip(either, tuple(range(1, length + 1))).transpose(0, *range(length, 0, -1))
    return np.ascontiguousarray((own + either + other).reshape(targets, -1).T) / config.choices


def _broadcast_sum(
    parts: dict[tuple[int, ...], np.ndarray], gaps: int, length: int, first: tuple[int, ...] = ()
) -> np.ndarray:
    """Sum of the arrays whose gaps begin with `first`.

    Arrays that share their first gaps are added before they are broadcast, so most sums are of small arrays.
    """
    if len(first) == gaps:
        return parts.get(first, np.zeros(()))
    total = np.zeros(())
    for position in range(first[-1] + 1 if first else 0, length):
        total = total + _broadcast_sum(parts, gaps, length, (*first, position))
    return total


def activities(config: Config, weight: np.ndarray, bias: np.ndarray, one_hot: np.ndarray) -> np.ndarray:
    """Compute mask by mask, to check the table and the engines: one-hot bases (N, L, 4) -> float64 (N, T)."""
    codes = one_hot.argmax(2)
    count = config.positions
    whole = np.lib.stride_tricks.sliding_window_view(one_hot.sum(2), config.word_length, axis=1).min(2)
    found = np.tile(bias.astype(np.float64), (len(codes), 1))
    for block, words in split(config, weight):
        table = words.T.astype(np.float64)
        strands = [(codes, block.mask)]
        if not block.symmetric:
            mirrored = [config.word_length - 1 - position for position in block.mask]
            strands.append((BASES - 1 - codes, tuple(mirrored)))
        for bases, positions in strands:
            number = np.zeros((len(codes), count), np.int64)
            for position in positions:
                number = number * BASES + bases[:, position : position + count]
            found += (table[number] * whole[:, :, None]).sum(1) / config.choices
    return found
