"""Dinucleotide shuffle of many sequences at once: each keeps its first and last base and the count of every pair.

The method of Altschul and Erickson (1985, doi:10.1093/oxfordjournals.molbev.a040370), a random Eulerian walk over the
bases. All random numbers of a row follow from a key, so the result depends only on the key and the sequence; compiled
code (_shuffle.c) and NumPy give the same result.
"""

from __future__ import annotations

import hashlib

import numpy as np

from zoo.errors import ZooError
from zoo.spec import UNKNOWN_BASE

try:
    from zoo.dna import _shuffle
except ImportError:
    BUILT = False
else:
    BUILT = True

SYMBOLS = UNKNOWN_BASE + 1
"""A, C, G, T and N, the vertices of the walk."""

BLOCK = 4096
"""Rows that NumPy shuffles at once; its loop runs along the sequence."""

WEYL, MIX_1, MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
"""Constants of SplitMix64 (Steele, Lea, Flood 2014, doi:10.1145/2660193.2660195)."""


def dinucleotide_shuffle(codes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Base codes, uint8 (N, L) -> uint8 (N, L), a uniform draw among the sequences with the same dinucleotides."""
    return _walks(codes, generator.integers(0, 2**64, len(codes), np.uint64))


def references(codes: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Base codes, uint8 (N, L) -> uint8 (N, number, L), dinucleotide shuffles of each sequence.

    The shuffles of a sequence depend only on the seed and its bases, not on other sequences; a larger number adds
    shuffles and keeps the first ones. Raises ZooError for a number below 1.
    """
    if number < 1:
        raise ZooError(f"references: expected at least 1 shuffle of a sequence, got {number}")
    count, length = codes.shape
    keys = np.empty((count, number), np.uint64)
    for row, sequence in enumerate(np.ascontiguousarray(codes)):
        digest = hashlib.shake_128(b"%d " % seed + sequence.tobytes()).digest(8 * number)
        keys[row] = np.frombuffer(digest, "<u8")
    return _walks(np.repeat(codes, number, axis=0), keys.reshape(-1)).reshape(count, number, length)


def _walks(codes: np.ndarray, keys: np.ndarray) -> np.ndarray:
    count, length = codes.shape
    if length < 3 or not count:
        return codes.copy()
    if BUILT:
        out = np.empty(codes.shape, np.uint8)
        _shuffle.walks(np.ascontiguousarray(codes), keys, out)
        return out
    firsts = range(0, count, BLOCK)
    return np.concatenate([_Walks(codes[at : at + BLOCK], keys[at : at + BLOCK]).walk() for at in firsts])


class _Walks:
    """The counterpart of _shuffle.c in NumPy, for all rows at once.

    exits: bases that follow a base, grouped by base, in each group those not yet taken first, intp (N, L - 1).
    begin, left: start of each group and number of exits left in it, (N, 5).
    """

    def __init__(self, codes: np.ndarray, keys: np.ndarray) -> None:
        self._codes: np.ndarray = codes.astype(np.intp)
        self._keys = keys
        self._drawn = np.zeros(len(codes), np.uint64)
        from_ = self._codes[:, :-1]
        self._exits = np.take_along_axis(self._codes[:, 1:], np.argsort(from_, axis=1, kind="stable"), 1)
        self._left = (from_[:, :, None] == np.arange(SYMBOLS)).sum(1)
        self._begin = np.cumsum(self._left, axis=1) - self._left

    def walk(self) -> np.ndarray:
        """A random walk along all exits of each row, uint8 (N, L)."""
        last = self._last_exits()
        out = np.empty(self._codes.shape, np.uint8)
        rows = np.arange(len(out))
        base = self._codes[:, 0]
        out[:, 0] = base
        for column in range(1, self._codes.shape[1]):
            following = last[rows, base]
            some = self._left[rows, base] > 0
            following[some] = self._take(rows[some], base[some], self._draw(rows[some], base[some]))
            base = following
            out[:, column] = base
        return out

    def _last_exits(self) -> np.ndarray:
        """Draw and remove the exit that each base takes last, so that these lead to the last base; intp (N, 5)."""
        end = self._codes[:, -1]
        bases = np.arange(SYMBOLS)
        takes = (self._left > 0) & (end[:, None] != bases)
        last = np.tile(bases, (len(end), 1))
        chosen = np.zeros_like(last)
        pending = np.arange(len(end))
        while len(pending):
            for base in bases:
                rows = pending[takes[pending, base]]
                chosen[rows, base] = self._draw(rows, np.full(len(rows), base))
                last[rows, base] = self._exits[rows, chosen[rows, base]]
            leads = last[pending]
            for _ in range(3):  # 8 steps, more than there are bases
                leads = np.take_along_axis(leads, leads, 1)
            reached = ((leads == end[pending, None]) | (self._left[pending] == 0)).all(1)
            pending = pending[~reached]
        for base in bases:
            rows = np.flatnonzero(takes[:, base])
            self._take(rows, np.full(len(rows), base), chosen[rows, base])
        return last

    def _take(self, rows: np.ndarray, base: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Remove and return the exits at these places; the last exit of each group moves there."""
        taken = self._exits[rows, at]
        self._left[rows, base] -= 1
        self._exits[rows, at] = self._exits[rows, self._begin[rows, base] + self._left[rows, base]]
        return taken

    def _draw(self, rows: np.ndarray, base: np.ndarray) -> np.ndarray:
        """A random place among the exits left to a base."""
        self._drawn[rows] += np.uint64(1)
        z = self._keys[rows] + self._drawn[rows] * WEYL
        z = (z ^ (z >> np.uint64(30))) * MIX_1
        z = (z ^ (z >> np.uint64(27))) * MIX_2
        z ^= z >> np.uint64(31)
        bound = self._left[rows, base].astype(np.uint64)
        return self._begin[rows, base] + ((z >> np.uint64(32)) * bound >> np.uint64(32)).astype(np.intp)
