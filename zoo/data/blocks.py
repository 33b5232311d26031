"""Blocks: sequences that share a long stretch of DNA on either strand, such as overlapping windows of one element.

Their measurements depend on each other, so that statistics over sequences treat a block as one observation. Arrays
only. Axes: N sequences, L positions.
"""

from __future__ import annotations

import numpy as np

from zoo.dna.encoding import reverse_complement
from zoo.spec import UNKNOWN_BASE

SHARED_BASES = 50
"""Bases in a row that two sequences of one block share. A fifth of an element of 249 bp; shorter stretches are also
shared by repeats of two or three bases, which are everywhere."""

FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that the hash of a stretch keeps all bits of each base."""


def blocks(codes: np.ndarray, shared: int = SHARED_BASES) -> np.ndarray:
    """Base codes, uint8 (N, L) -> number of the block of each sequence, int (N,), from 0 in the order of the sequences.

    Two sequences are in one block if they share `shared` bases in a row, on the same or on opposite strands, or if a
    chain of such pairs connects them. Shorter sequences than that are compared whole. Stretches with N do not count,
    except that equal sequences are always in one block. Two different stretches have the same hash with a probability
    of about 2**-60.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(codes):
        return np.empty(0, np.int64)
    width = min(shared, codes.shape[1])
    hashes = _stretches(codes, width)
    known = _stretches_without_n(codes, width)
    known[:, 0] |= ~known.any(axis=1)
    rows, found = np.nonzero(known)[0], hashes[known]
    # each stretch connects the rows that have it, one after the other
    order = np.argsort(found, kind="stable")
    same = np.flatnonzero(found[order[1:]] == found[order[:-1]])
    edges = rows[order[same]], rows[order[same + 1]]
    graph = coo_array((np.ones(len(same), np.int32), edges), shape=(len(codes),) * 2)
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _stretches(codes: np.ndarray, width: int) -> np.ndarray:
    """A hash of each stretch of `width` bases, the same for both strands, uint64 (N, L - width + 1)."""
    given = _rolling(codes, width)
    other = _rolling(reverse_complement(codes), width)[:, ::-1]
    return np.minimum(given, other)


def _rolling(codes: np.ndarray, width: int) -> np.ndarray:
    """Polynomial hashes modulo 2**64, whose bits are then mixed, uint64 (N, L - width + 1)."""
    total = np.zeros((len(codes), codes.shape[1] + 1), np.uint64)
    for position in range(codes.shape[1]):
        total[:, position + 1] = total[:, position] * FACTOR + (codes[:, position].astype(np.uint64) + np.uint64(1))
    power = np.uint64(pow(int(FACTOR), width, 1 << 64))
    found = total[:, width:] - total[:, :-width] * power
    found ^= found >> np.uint64(32)
    found *= np.uint64(0xD6E8FEB86659FD93)
    return found ^ (found >> np.uint64(32))


def _stretches_without_n(codes: np.ndarray, width: int) -> np.ndarray:
    """Whether each stretch has only known bases, bool (N, L - width + 1)."""
    unknown = np.cumsum(np.pad(codes >= UNKNOWN_BASE, ((0, 0), (1, 0))), axis=1)
    return unknown[:, width:] == unknown[:, :-width]
