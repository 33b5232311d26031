"""Dinucleotide shuffle of many sequences at once: each keeps its first and last base and the count of every pair.

The method of Altschul and Erickson (1985, doi:10.1093/oxfordjournals.molbev.a040370), a random Eulerian walk over the
bases, written over the batch: the only loop runs along the sequence.
"""

from __future__ import annotations

import numpy as np

from zoo.spec import UNKNOWN_BASE

SYMBOLS = UNKNOWN_BASE + 1
"""A, C, G, T and N are the vertices of the walk."""


def dinucleotide_shuffle(codes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Base codes, uint8 (N, L) -> uint8 (N, L), a uniform draw among the sequences with the same dinucleotides."""
    count, length = codes.shape
    if length < 3 or not count:
        return codes.copy()
    rows = np.arange(count)
    exits = codes[:, :-1].astype(np.intp)
    last = _last_exits(codes, generator)
    keys = generator.random(exits.shape, np.float32)
    row, base = np.nonzero(last >= 0)
    keys[row, last[row, base]] = 2.0  # after all other exits of the same base
    order = np.argsort(exits * 4.0 + keys, axis=1)
    successors = np.take_along_axis(codes[:, 1:], order, 1)
    tally = (exits[:, :, None] == np.arange(SYMBOLS)).sum(1)
    position = np.cumsum(tally, 1) - tally  # of each base's next unused exit
    out = np.empty_like(codes)
    base = codes[:, 0].astype(np.intp)
    for column in range(length - 1):
        out[:, column] = base
        used = position[rows, base]
        position[rows, base] = used + 1
        base = successors[rows, used].astype(np.intp)
    out[:, -1] = base
    return out


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
