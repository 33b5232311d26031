"""Probabilities of a motif -> whole-number scores and a threshold, computed as FIMO of the MEME suite does.

Scores are log-odds with a pseudocount, against a background averaged with its complement since both strands are
scanned. They are scaled to whole numbers from 0 to 100. Dynamic programming gives the distribution of their sum under
the background, exact for independent bases; a hit is a sum that is reached with a probability of at most the p-value.
NumPy only. Axes: N sequences, L positions, M motifs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from zoo.errors import ZooError
from zoo.options import check, names
from zoo.spec import ALPHABET

P_VALUE = 1e-4
"""FIMO's default p-value."""

PSEUDOCOUNT = 0.1
"""Number of sites, distributed as the background, that are added to each motif: FIMO's motif pseudocount."""

RANGE = 100
"""Largest score of a base: PSSM_RANGE in the MEME suite."""

WIDEST = 100
"""Maximum number of positions of a motif; sums of scores are then exact in float32. Public collections have up to about
40."""


@dataclasses.dataclass(frozen=True)
class ScoredMotif:
    """A motif as whole-number scores.

    name: as in its file.  scores: one row per position, for A, C, G, T, from 0 to RANGE.  threshold: the smallest sum
    that is a hit.
    """

    name: str
    scores: tuple[tuple[int, ...], ...]
    threshold: int

    def __post_init__(self) -> None:
        check(self, "motifs: ")
        if not self.name.strip() or not self.name.isprintable():
            raise ZooError(f"motifs: expected names without tabs and control characters, got {self.name!r}")
        if not 1 <= len(self.scores) <= WIDEST:
            raise ZooError(f"motif {self.name}: expected 1 to {WIDEST} positions, got {len(self.scores)}")
        for row in self.scores:
            if len(row) != len(ALPHABET) or not all(0 <= one <= RANGE for one in row):
                raise ZooError(f"motif {self.name}: expected {len(ALPHABET)} scores from 0 to {RANGE}, got {row}")
        best = sum(map(max, self.scores))
        if not 1 <= self.threshold <= best:
            raise ZooError(f"motif {self.name}: expected a threshold from 1 to {best}, got {self.threshold}")

    @property
    def without_n(self) -> int:
        """Number that is added to the score of each base. An N scores 0, so a site with an N cannot be a hit."""
        return max(0, (len(self.scores) - 1) * RANGE - self.threshold + 1)


def motif_of(value: Any) -> ScoredMotif:
    """A motif, or its JSON -> the motif. Raises ZooError for anything else."""
    if isinstance(value, ScoredMotif):
        return value
    if not isinstance(value, dict) or set(value) != set(names(ScoredMotif)):
        raise ZooError(f"motifs: expected {', '.join(names(ScoredMotif))} for each motif, got {str(value)[:60]}")
    return ScoredMotif(**value)


def scored(
    motifs: Iterable[tuple[str, np.ndarray, float]], background: Sequence[float], p_value: float
) -> tuple[ScoredMotif, ...]:
    """Compute the scores and thresholds of motifs.

    motifs: name, probabilities (width, 4) and number of sites of each.  background: frequencies of A, C, G, T.
    Raises ZooError for a p-value outside (0, 1), and for motifs that cannot have a hit at it.
    """
    if type(p_value) not in (int, float) or not 0 < p_value < 1:
        raise ZooError(f"p_value: expected a number above 0 and below 1, got {p_value!r}")
    frequencies = np.asarray(background, np.float64)
    frequencies = (frequencies + frequencies[::-1]) / 2  # A with T, C with G
    frequencies /= frequencies.sum()
    found, never = [], {}
    for name, probabilities, sites in motifs:
        if len(probabilities) > WIDEST:
            raise ZooError(f"motif {name}: expected at most {WIDEST} positions, got {len(probabilities)}")
        scores = whole_scores(name, probabilities, sites, frequencies)
        chances = p_values(scores, frequencies)
        reached = np.flatnonzero(chances <= p_value)
        best = int(scores.max(1).sum())
        if not len(reached) or reached[0] > best:
            never[name] = chances[best]
            continue
        found.append(ScoredMotif(name, tuple(map(tuple, scores.tolist())), int(reached[0])))
    if never:
        first = next(iter(never))
        others = f" (and {len(never) - 1} more)" if len(never) > 1 else ""
        raise ZooError(
            f"motif {first}{others}: too short or too weak for a hit at the p-value {p_value:g}; its best word has the "
            f"p-value {never[first]:.2g}; leave it out, or give a p-value above {max(never.values()):.2g}"
        )
    return tuple(found)


def whole_scores(name: str, probabilities: np.ndarray, sites: float, background: np.ndarray) -> np.ndarray:
    """Log-odds of a motif, scaled and rounded: float64 (width, 4) -> int64 (width, 4), from 0 to RANGE."""
    shares = (probabilities * sites + PSEUDOCOUNT * background) / (sites + PSEUDOCOUNT)
    odds = np.log2(shares / background)
    spread = odds.max() - odds.min()
    if not math.isfinite(spread) or spread < 1e-9:
        raise ZooError(f"motif {name}: expected a position that differs from the background, got none")
    return np.rint((odds - odds.min()) * (RANGE / spread)).astype(np.int64)


def p_values(scores: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Sum of scores -> probability that a random site reaches it, float64 (width * RANGE + 1,)."""
    chance = np.zeros(len(scores) * RANGE + 1)
    chance[0] = 1
    for row in scores:
        after = np.zeros_like(chance)
        for score, frequency in zip(row, background, strict=True):
            after[score:] += chance[: len(chance) - score] * frequency
        chance = after
    return np.minimum(chance[::-1].cumsum()[::-1], 1)


def hits(motifs: Sequence[ScoredMotif], one_hot: np.ndarray) -> np.ndarray:
    """Number of sites of each motif on both strands: one-hot bases (N, L, 4) -> int64 (N, M)."""
    found = np.zeros((len(one_hot), len(motifs)), np.int64)
    for column, motif in enumerate(motifs):
        scores = np.array(motif.scores)
        windows = np.lib.stride_tricks.sliding_window_view(one_hot, len(scores), axis=1)  # (N, positions, 4, width)
        whole = windows.sum((2, 3)) == len(scores)
        for strand in (scores, scores[::-1, ::-1]):
            found[:, column] += (whole & (np.tensordot(windows, strand.T, 2) >= motif.threshold)).sum(1)
    return found


def kernels(motifs: Sequence[ScoredMotif]) -> tuple[np.ndarray, np.ndarray]:
    """Filters of a convolution, float32 (2 M, 4, widest), and their thresholds, float32 (2 M,).

    First the filters of all motifs, then those of their reverse complements. A motif is at the start of its filter.
    `without_n` is added to each base, so a site with an N stays below the threshold. Thresholds are halfway between two
    whole numbers, so rounding cannot change a hit.
    """
    widest = max(len(motif.scores) for motif in motifs)
    weight = np.zeros((2, len(motifs), len(ALPHABET), widest), np.float32)
    limits = np.zeros((2, len(motifs)), np.float32)
    for number, motif in enumerate(motifs):
        scores, width = np.array(motif.scores), len(motif.scores)
        weight[0, number, :, :width] = scores.T + motif.without_n
        weight[1, number, :, :width] = scores[::-1, ::-1].T + motif.without_n
        limits[:, number] = motif.threshold + width * motif.without_n - 0.5
    return weight.reshape(-1, len(ALPHABET), widest), limits.reshape(-1)
