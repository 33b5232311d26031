"""Where sequences match motifs, and what these matches contribute to a prediction.

A match of a motif is a place whose log-odds score is as high as that of the best places of random bases, by default one
in 1,000. It is
an instance of the motif for a network if the network also prefers the bases of the motif there, by its hypothetical
contributions. So a motif that the network ignores has matches and no instances.
Axes: N sequences, L positions, W positions of a motif, M matches.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

RARE = 1e-3
"""Share of random places, of equally frequent bases, that match a motif at most. If even the best word of a short motif
is more frequent, only this word matches."""

LEAST_SIMILARITY = 0.5
"""Least similarity of the hypothetical contributions at an instance to its motif, see `similarities`."""

PER_BIT = 100
"""Scores are whole numbers, hundredths of a bit, so that their distribution is exact."""

LEAST_FREQUENCY = 1e-3
"""Frequency in place of smaller ones, such as 0, which would have no logarithm."""

AT_ONCE = 4096
"""Sequences that are scored together, which limits the memory."""


@dataclasses.dataclass(frozen=True)
class Matches:
    """M matches: sequence, first position (from 0), number of the motif, int (M,); on the reverse strand, bool (M,)."""

    sequence: np.ndarray
    start: np.ndarray
    motif: np.ndarray
    reverse: np.ndarray

    def __len__(self) -> int:
        return len(self.sequence)

    def of(self, rows: np.ndarray) -> Matches:
        """Some of the matches, by their numbers or as bool (M,)."""
        return Matches(self.sequence[rows], self.start[rows], self.motif[rows], self.reverse[rows])


def scores(probabilities: np.ndarray) -> np.ndarray:
    """Frequencies of A, C, G, T, float64 (W, 4) -> log-odds scores beside equal frequencies, int32 (W, 4), in units of
    1 / PER_BIT bit."""
    clipped = np.maximum(probabilities, LEAST_FREQUENCY)
    return np.rint(PER_BIT * np.log2(4 * clipped / clipped.sum(1, keepdims=True))).astype(np.int32)


def threshold(table: np.ndarray, rare: float = RARE) -> int:
    """The least score that a share of at most `rare` of all words of W bases reaches, by the exact distribution of the
    sum (Staden 1989, doi:10.1093/bioinformatics/5.2.89); the largest score if its share is larger. table: scores."""
    share = np.ones(1)
    for row in table:
        above = row - row.min()
        longer = np.zeros(len(share) + int(above.max()))
        for step in above:
            longer[step : step + len(share)] += share / 4
        share = longer
    tail = np.cumsum(share[::-1])[::-1]
    reached = np.flatnonzero((tail <= rare * (1 + 1e-9)) & (share > 0))
    return int((reached[0] if len(reached) else len(share) - 1) + table.min(1).sum())


def find(codes: np.ndarray, motifs: Sequence[np.ndarray], rare: float = RARE) -> Matches:
    """All matches in base codes, uint8 (N, L), by motif, sequence and position. An N matches nothing.

    motifs: frequencies of each, float64 (W, 4).  rare: see RARE; with 0 only the best words match.
    Where both strands match at a position, the better one counts.
    """
    parts = [(np.zeros(0, np.intp),) * 3 + (np.zeros(0, bool),)]
    for number, probabilities in enumerate(motifs):
        table = scores(probabilities)
        if len(table) > codes.shape[1]:
            continue
        least = threshold(table, rare)
        for first in range(0, len(codes), AT_ONCE):
            forward, backward = (_sums(codes[first : first + AT_ONCE], one) for one in (table, table[::-1, ::-1]))
            rows, starts = np.nonzero(np.maximum(forward, backward) >= least)
            reverse = backward[rows, starts] > forward[rows, starts]
            parts.append((rows + first, starts, np.full(len(rows), number), reverse))
    return Matches(*map(np.concatenate, zip(*parts, strict=True)))


def _sums(codes: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The score of each place, int32 (N, L - W + 1)."""
    # so low that one N is below every threshold, and so high that a sum of them does not overflow
    unknown = np.full((len(table), 1), -(np.iinfo(np.int32).max // len(table)), np.int32)
    places = codes.shape[1] - len(table) + 1
    total = np.zeros((len(codes), places), np.int32)
    for at, row in enumerate(np.concatenate([table, unknown], 1)):
        total += row[codes[:, at : at + places]]
    return total


def instances(
    found: Matches, motifs: Sequence[np.ndarray], hypothetical: np.ndarray, contributions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the matches that are instances, int (I,), rising, and the contribution of each, float64 (I,): the
    sum over its bases.

    hypothetical: float (N, L, 4).  contributions: those of the bases of the sequences, float (N, L).
    Instances do not overlap, so that each base counts once: of matches that overlap, the one with the largest product
    of similarity and contribution stays.
    """
    sums = np.pad(np.cumsum(contributions, 1, dtype=np.float64), ((0, 0), (1, 0)))
    widths = np.array([len(one) for one in motifs], np.intp)
    stops = found.start + widths[found.motif] if len(found) else found.start
    contributed = sums[found.sequence, stops] - sums[found.sequence, found.start]
    similar = similarities(found, motifs, hypothetical)
    ranks = similar * np.abs(contributed)
    candidates = np.flatnonzero((similar >= LEAST_SIMILARITY) & (ranks > 0))
    kept = _apart(candidates[np.argsort(-ranks[candidates], kind="stable")], found, stops, contributions.shape)
    return kept, contributed[kept]


def similarities(found: Matches, motifs: Sequence[np.ndarray], hypothetical: np.ndarray) -> np.ndarray:
    """How like its motif the network's preferences at each match are, float64 (M,), from 0 to 1: the correlation of
    hypothetical contributions and frequencies over positions and bases, each position minus its mean, without its sign,
    since the motif may also lower the prediction."""
    similar = np.zeros(len(found))
    for number, probabilities in enumerate(motifs):
        rows = np.flatnonzero(found.motif == number)
        places = found.start[rows, None] + np.arange(len(probabilities))
        preferred = hypothetical[found.sequence[rows, None], places].astype(np.float64)
        preferred[found.reverse[rows]] = preferred[found.reverse[rows]][:, ::-1, ::-1]
        preferred -= preferred.mean(2, keepdims=True)
        wanted = probabilities - probabilities.mean(1, keepdims=True)
        sizes = np.linalg.norm(preferred, axis=(1, 2)) * np.linalg.norm(wanted)
        products = np.abs(np.einsum("mwb,wb->m", preferred, wanted))
        similar[rows] = np.divide(products, sizes, out=np.zeros(len(rows)), where=sizes > 0)
    return similar


def _apart(ranked: Iterable[int], found: Matches, stops: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The matches, best first, that overlap no better one; their numbers rise."""
    taken = np.zeros(shape, bool)
    kept = []
    for number in ranked:
        bases = taken[found.sequence[number], found.start[number] : stops[number]]
        if not bases.any():
            bases[:] = True
            kept.append(number)
    return np.sort(np.array(kept, np.intp))
