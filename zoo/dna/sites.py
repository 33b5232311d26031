"""Occurrences of patterns of bases, such as restriction sites and runs, and substitutions that would create them.

A pattern is a boolean array (m, 4): which of A, C, G, T is allowed at each of its m positions. An N in a sequence
matches nothing. Axes: N sequences, L positions, W = L - m + 1 places of a pattern.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from zoo.errors import ZooError
from zoo.spec import ALPHABET, UNKNOWN_BASE

IUPAC = {
    "A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
    "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT",
}  # fmt: skip
"""Letter -> the bases that it means (Cornish-Bowden 1985, doi:10.1093/nar/13.9.3021)."""

MOST_STATES = 20_000
"""Largest set of automaton states that `avoidable` follows."""


def pattern(text: str) -> np.ndarray:
    """IUPAC letters in upper or lower case -> a pattern. Raises ZooError for an empty text or another letter."""
    for letter in text.upper():
        if letter not in IUPAC:
            raise ZooError(f"{text}: expected IUPAC letters, {''.join(IUPAC)}, got {letter!r}")
    if not text:
        raise ZooError("expected a site of IUPAC letters, got an empty one")
    return np.array([[base in IUPAC[letter] for base in ALPHABET] for letter in text.upper()])


def probabilities(consensus: str, allowed: float) -> np.ndarray:
    """IUPAC letters -> frequencies of A, C, G, T, float64 (m, 4).

    A consensus says which bases a position allows, but not how often each occurs: here the allowed bases of a position
    have the probability `allowed` together, in equal shares, and the others the rest. Raises ZooError as `pattern`.
    """
    found = pattern(consensus)
    count = found.sum(axis=1, keepdims=True)
    share = np.where(count < len(ALPHABET), allowed, 1.0)
    return np.where(found, share / count, (1 - share) / np.maximum(len(ALPHABET) - count, 1))


def runs(length: int) -> list[np.ndarray]:
    """Patterns of `length` equal bases, one for each base."""
    return [pattern(base * length) for base in ALPHABET]


def on_both_strands(patterns: Iterable[np.ndarray]) -> list[np.ndarray]:
    """The patterns and their reverse complements, each once."""
    found = {one.tobytes(): one for given in patterns for one in (given, given[::-1, ::-1])}
    return list(found.values())


def occurrences(codes: np.ndarray, patterns: Sequence[np.ndarray]) -> np.ndarray:
    """Base codes, uint8 (N, L) -> number of occurrences of all patterns in each, intp (N,)."""
    total = np.zeros(len(codes), np.intp)
    for hits in _hits(codes, patterns):
        total += hits.all(2).sum(1)
    return total


def covered(codes: np.ndarray, patterns: Sequence[np.ndarray]) -> np.ndarray:
    """Base codes, uint8 (N, L) -> positions that are part of an occurrence, bool (N, L)."""
    found = np.zeros(codes.shape, bool)
    for hits in _hits(codes, patterns):
        places, size = hits.shape[1:]
        whole = hits.all(2)
        for offset in range(size):
            found[:, offset : offset + places] |= whole
    return found


def completing(codes: np.ndarray, patterns: Sequence[np.ndarray]) -> np.ndarray:
    """Base codes, uint8 (N, L), without occurrences -> bool (N, L, 4): substitutions that would create one."""
    found = np.zeros((*codes.shape, len(ALPHABET)), bool)
    for one, hits in zip(_fitting(codes, patterns), _hits(codes, patterns), strict=True):
        row, place = np.nonzero(hits.sum(2) == len(one) - 1)
        missing = hits[row, place].argmin(1)
        np.logical_or.at(found, (row, place + missing), one[missing])
    return found


def avoidable(patterns: Sequence[np.ndarray], fixed: np.ndarray) -> bool:
    """Whether a sequence without any of the patterns exists.

    fixed: uint8 (L,), the base at a position, or UNKNOWN_BASE where any base is allowed. The shift-and automaton of
    Baeza-Yates and Gonnet (1992, doi:10.1145/135239.135243) follows all patterns at once, and a set of its states all
    sequences. With more than MOST_STATES states the answer is True, so the caller tries to find one.
    """
    begins, ends, masks = _automaton(patterns)
    states = {0}
    free = np.append(np.logical_and.accumulate((fixed == UNKNOWN_BASE)[::-1])[::-1], True)
    for position, base in enumerate(fixed):
        choices = masks if base == UNKNOWN_BASE else masks[base : base + 1]
        moved = {((state << 1) | begins) & mask for state in states for mask in choices}
        before, states = states, {state for state in moved if not state & ends}
        if not states:
            return False
        if len(states) > MOST_STATES or (free[position] and states == before):
            return True
    return True


def _automaton(patterns: Sequence[np.ndarray]) -> tuple[int, int, list[int]]:
    """Bits of the first and of the last position of each pattern; for each base, bits of the positions it matches."""
    begins = ends = 0
    masks = [0] * len(ALPHABET)
    bit = 0
    for one in patterns:
        begins |= 1 << bit
        for bases in one:
            for base in np.flatnonzero(bases):
                masks[base] |= 1 << bit
            bit += 1
        ends |= 1 << (bit - 1)
    return begins, ends, masks


def _fitting(codes: np.ndarray, patterns: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """Patterns that are no longer than the sequences."""
    return (one for one in patterns if len(one) <= codes.shape[1])


def _hits(codes: np.ndarray, patterns: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """For each fitting pattern, at each place: which of its positions match, bool (N, W, m)."""
    for one in _fitting(codes, patterns):
        places = codes.shape[1] - len(one) + 1
        table = np.pad(one, ((0, 0), (0, 1)))  # an N matches nothing
        yield np.stack([bases[codes[:, at : at + places]] for at, bases in enumerate(table)], 2)
