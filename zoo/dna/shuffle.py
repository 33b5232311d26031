"""Dinucleotide shuffle of many sequences at once: each keeps its first and last base and the count of every pair.

The method of Altschul and Erickson (1985, doi:10.1093/oxfordjournals.molbev.a040370), a random Eulerian walk over the
bases, written over the batch: the only loop runs along the sequence. `dinucleotide_shuffle` draws from one generator
for the batch; `references` gives each sequence a generator of its own, so that no other sequence and no order matters.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from zoo.spec import UNKNOWN_BASE

SYMBOLS = UNKNOWN_BASE + 1
"""A, C, G, T and N are the vertices of the walk."""


def dinucleotide_shuffle(codes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Base codes, uint8 (N, L) -> uint8 (N, L), a uniform draw among the sequences with the same dinucleotides."""
    count, length = codes.shape
    if length < 3 or not count:
        return codes.copy()
    exits = codes[:, :-1].astype(np.intp)
    last = _last_exits(codes, generator)
    keys = generator.random(exits.shape, np.float32)
    row, base = np.nonzero(last >= 0)
    keys[row, last[row, base]] = 2.0  # after all other exits of the same base
    order = np.argsort(exits * 4.0 + keys, axis=1)
    successors = np.take_along_axis(codes[:, 1:], order, 1)
    return _walk(codes[:, 0], successors, _tally(codes))


def references(codes: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Base codes, uint8 (N, L) -> uint8 (N, number, L), dinucleotide shuffles of each sequence.

    They follow from the seed, 0 to 2**64 - 1, the bases of the sequence and their number alone: the same in every batch
    and order, and the first ten of twenty are the ten. A sequence that has no other of its dinucleotides, such as a run
    of one base, comes back as it is.
    """
    count, length = codes.shape
    if length < 3 or not count:
        return np.repeat(codes[:, None], number, 1)
    order = np.argsort(codes[:, :-1], axis=1, kind="stable")
    exits = _Exits(
        np.take_along_axis(codes, order, 1), np.take_along_axis(codes[:, 1:], order, 1), _tally(codes), codes[:, -1]
    )
    states = _mixed(_states(codes, seed)[:, None] + _steps(0, number)).ravel()
    sequence = np.repeat(np.arange(count), number)
    successors = np.empty((len(states), length - 1), np.uint8)
    last = _last_of_each(exits, sequence, states)
    for start in range(0, len(states), BLOCK):
        part = slice(start, start + BLOCK)
        successors[part] = _in_random_order(exits, sequence[part], states[part], last[part])
    walked = _walk(codes[sequence, 0], successors, exits.tally[sequence])
    return walked.reshape(count, number, length)


BLOCK = 128
"""Shuffles whose random numbers are drawn at once: they stay in the cache."""


class _Exits(NamedTuple):
    """Of N sequences, each pair of neighbours, those that begin with A first: uint8 (N, L-1) both; how many begin with
    each base, intp (N, 5); the last base of each, uint8 (N,)."""

    bases: np.ndarray
    successors: np.ndarray
    tally: np.ndarray
    ends: np.ndarray


def _last_of_each(exits: _Exits, sequence: np.ndarray, states: np.ndarray) -> np.ndarray:
    """The exit that each base takes last, drawn until they lead to the last base: its place in _Exits, intp (n, 5); 0
    for a base that is never left."""
    first = np.cumsum(exits.tally, 1) - exits.tally
    ends = exits.ends.astype(np.intp)
    places = np.zeros((len(states), SYMBOLS), np.intp)
    pending = np.arange(len(states))
    states = _mixed(states)  # another stream than that of the order
    attempt = 0
    while len(pending):
        at = sequence[pending]
        drawn = _mixed(states[pending, None] + _steps(attempt * SYMBOLS, SYMBOLS)) >> np.uint64(32)
        tally = exits.tally[at]
        place = first[at] + ((drawn * tally.astype(np.uint64)) >> np.uint64(32)).astype(np.intp)
        place[tally == 0] = 0
        leads = exits.successors[at[:, None], place].astype(np.intp)
        end = ends[at][:, None]
        leads = np.where(tally == 0, end, leads)
        np.put_along_axis(leads, end, end, 1)
        for _ in range(3):  # 8 steps, more than there are bases
            leads = np.take_along_axis(leads, leads, 1)
        whole = (leads == end).all(1)
        places[pending[whole]] = place[whole]
        pending = pending[~whole]
        attempt += 1
    return places


def _in_random_order(exits: _Exits, sequence: np.ndarray, states: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The bases behind each base, those of A first, each base's own in a random order but the last: uint8 (n, L-1).

    They are sorted by a key with the base in its 3 highest bits, 58 random ones, and the base behind in the lowest 3.
    """
    keys = _mixed(states[:, None] + _steps(0, exits.bases.shape[1])) >> np.uint64(3)
    row, base = np.nonzero(exits.tally[sequence])
    keys[row, last[row, base]] = ~np.uint64(0) >> np.uint64(3)
    keys &= ~np.uint64(7)
    keys |= ((exits.bases.astype(np.uint64) << np.uint64(61)) | exits.successors)[sequence]
    keys.sort(axis=1)
    return (keys & np.uint64(7)).astype(np.uint8)


def _tally(codes: np.ndarray) -> np.ndarray:
    """How often each base is left, intp (N, 5)."""
    return np.stack([(codes[:, :-1] == base).sum(1) for base in range(SYMBOLS)], 1)


def _walk(first: np.ndarray, successors: np.ndarray, tally: np.ndarray) -> np.ndarray:
    """The walk that leaves each base for its `successors`, uint8 (N, L-1), one after the other -> uint8 (N, L)."""
    count, steps = successors.shape
    starts = np.arange(count) * SYMBOLS
    position = np.cumsum(tally, 1) - tally + (np.arange(count) * steps)[:, None]  # of each base's next unused exit
    position, successors = position.ravel(), successors.ravel()
    out = np.empty((steps + 1, count), np.uint8)
    out[0] = first
    for column in range(steps):
        at = starts + out[column]
        used = position[at]
        position[at] = used + 1
        out[column + 1] = successors[used]
    return np.ascontiguousarray(out.T)


GOLDEN = 0x9E3779B97F4A7C15


def _steps(first: int, number: int) -> np.ndarray:
    return (np.arange(first + 1, first + number + 1, dtype=np.uint64)) * np.uint64(GOLDEN)


def _mixed(state: np.ndarray) -> np.ndarray:
    """SplitMix64 (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195), a generator that gives any number of its
    stream at once: uint64 -> 64 random bits."""
    state = state ^ (state >> np.uint64(30))
    state *= np.uint64(0xBF58476D1CE4E5B9)
    state ^= state >> np.uint64(27)
    state *= np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    return state


def _states(codes: np.ndarray, seed: int) -> np.ndarray:
    """Of each sequence's generator, from the seed and its bases: uint64 (N,)."""
    digests = (hashlib.blake2b(row.tobytes(), digest_size=8, salt=b"%016x" % seed) for row in codes)
    return np.array([int.from_bytes(digest.digest(), "little") for digest in digests], np.uint64)


def _last_exits(codes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Column of the exit that each base takes last, intp (N, 5): such that these exits lead to the last base.

    Drawn at random and drawn again where they do not. -1 for a base that is never left.
    """
    count, length = codes.shape
    last = np.zeros((count, SYMBOLS), np.intp)
    pending = np.arange(count)
    while len(pending):
        part = codes[pending]
        order = generator.permuted(np.tile(np.arange(length - 1), (len(part), 1)), axis=1)
        shuffled = np.take_along_axis(part, order, 1)
        rows = np.arange(len(part))
        leads = np.tile(np.arange(SYMBOLS), (len(part), 1))
        there = np.zeros((len(part), SYMBOLS), bool)
        for base in range(SYMBOLS):
            found = shuffled == base
            there[:, base] = found.any(1)
            column = order[rows, found.argmax(1)]
            last[pending, base] = np.where(there[:, base], column, -1)
            leads[:, base] = np.where(there[:, base], part[rows, column + 1], base)
        end = part[:, -1].astype(np.intp)
        leads[rows, end] = end
        for _ in range(3):  # 8 steps, more than there are bases
            leads = np.take_along_axis(leads, leads, 1)
        reached = ((leads == end[:, None]) | ~there).all(1)
        pending = pending[~reached]
    return last
