"""From the probabilities of a motif to whole-number scores and a threshold, as FIMO of the MEME suite has it.

Log-odds with a pseudocount, against a background averaged with its complement since both strands are scanned; scaled so
that all scores of a matrix are whole numbers from 0 to 100; their sum's distribution under the background by dynamic
programming, exact for independent bases; a hit is a sum that is reached with a probability of at most the p-value.
NumPy alone. Axes: N sequences, L positions, M motifs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from zoo.errors import ZooError
from zoo.spec import ALPHABET

P_VALUE = 1e-4
"""Of FIMO by default."""

PSEUDOCOUNT = 0.1
"""Sites that are added to a motif's, distributed as the background: FIMO's motif pseudocount."""

RANGE = 100
"""Largest score of a base: PSSM_RANGE of the MEME suite."""

WIDEST = 100
"""Positions of a motif. The widest in public collections have some 40; sums of scores stay exact in float32."""


@dataclasses.dataclass(frozen=True)
class ScoredMotif:
    """name: as in its file.  scores: a row a position, of A, C, G, T, whole numbers from 0 to RANGE.  threshold: the
    smallest sum that is a hit."""

    name: str
    scores: tuple[tuple[int, ...], ...]
    threshold: int

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip() or not self.name.isprintable():
            raise ZooError(f"motifs: expected names without tabs and control characters, got {self.name!r}")
        rows = self.scores
        if not isinstance(rows, (list, tuple)) or not 1 <= len(rows) <= WIDEST:
            raise ZooError(f"motif {self.name}: expected 1 to {WIDEST} positions")
        for row in rows:
            whole = isinstance(row, (list, tuple)) and all(type(one) is int and 0 <= one <= RANGE for one in row)
            if not whole or len(row) != len(ALPHABET):
                raise ZooError(f"motif {self.name}: expected {len(ALPHABET)} scores from 0 to {RANGE}, got {row!r}")
        object.__setattr__(self, "scores", tuple(map(tuple, rows)))
        best = sum(map(max, self.scores))
        if type(self.threshold) is not int or not 1 <= self.threshold <= best:
            raise ZooError(f"motif {self.name}: expected a threshold from 1 to {best}, got {self.threshold!r}")

    @property
    def without_n(self) -> int:
        """What is added to the score of each base, so that a site with an N, which has none there, is no hit."""
        return max(0, (len(self.scores) - 1) * RANGE - self.threshold + 1)

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {"name": self.name, "scores": [list(row) for row in self.scores], "threshold": self.threshold}


def motif_of(value: Any) -> ScoredMotif:
    """A motif, or the JSON of one -> the motif. Raises ZooError if it is neither."""
    if isinstance(value, ScoredMotif):
        return value
    names = {field.name for field in dataclasses.fields(ScoredMotif)}
    if not isinstance(value, dict) or set(value) != names:
        raise ZooError(f"motifs: expected {', '.join(sorted(names))} of each, got {str(value)[:60]}")
    return ScoredMotif(**value)


def scored(
    motifs: Iterable[tuple[str, np.ndarray, float]], background: Sequence[float], p_value: float
) -> tuple[ScoredMotif, ...]:
    """Motifs as whole-number scores with their thresholds.

    motifs: name, probabilities (width, 4) and sites of each.  background: frequencies of A, C, G, T.
    Raises ZooError for a p-value outside (0, 1), and for motifs that cannot have a hit at it.
    """
    if type(p_value) not in (int, float) or not 0 < p_value < 1:
        raise ZooError(f"p_value: expected a number above 0 and under 1, got {p_value!r}")
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
            f"motif {first}{others}: too short or too weak to have a hit at the p-value {p_value:g}; its best word "
            f"has {never[first]:.2g}; leave it out, or take a p-value above {max(never.values()):.2g}"
        )
    return tuple(found)


def whole_scores(name: str, probabilities: np.ndarray, sites: float, background: np.ndarray) -> np.ndarray:
    """Log-odds of a motif, scaled and rounded: float64 (width, 4) -> int64 (width, 4), from 0 to RANGE."""
    shares = (probabilities * sites + PSEUDOCOUNT * background) / (sites + PSEUDOCOUNT)
    odds = np.log2(shares / background)
    spread = odds.max() - odds.min()
    if not math.isfinite(spread) or spread < 1e-9:
        raise ZooError(f"motif {name}: it is the background at every position, which is nothing to search for")
    return np.rint((odds - odds.min()) * (RANGE / spread)).astype(np.int64)


def p_values(scores: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Sum of scores -> probability that a random site reaches it; float64 (width * RANGE + 1,)."""
    chance = np.zeros(len(scores) * RANGE + 1)
    chance[0] = 1
    for row in scores:
        after = np.zeros_like(chance)
        for score, frequency in zip(row, background, strict=True):
            after[score:] += chance[: len(chance) - score] * frequency
        chance = after
    return np.minimum(chance[::-1].cumsum()[::-1], 1)


def hits(motifs: Sequence[ScoredMotif], one_hot: np.ndarray) -> np.ndarray:
    """Sites of each motif on both strands: one-hot bases (N, L, 4) -> int64 (N, M)."""
    found = np.zeros((len(one_hot), len(motifs)), np.int64)
    for column, motif in enumerate(motifs):
        scores = np.array(motif.scores)
        windows = np.lib.stride_tricks.sliding_window_view(one_hot, len(scores), axis=1)  # (N, positions, 4, width)
        whole = windows.sum((2, 3)) == len(scores)
        for strand in (scores, scores[::-1, ::-1]):
            found[:, column] += (whole & (np.tensordot(windows, strand.T, 2) >= motif.threshold)).sum(1)
    return found


def kernels(motifs: Sequence[ScoredMotif]) -> tuple[np.ndarray, np.ndarray]:
    """Filters of a convolution, float32 (2 M, 4, widest), and the sums from which they have a hit, float32 (2 M,).

    All motifs as they are, then their reverse complements. A motif stands at the beginning of its filter. A filter
    gives nothing for an N, and each base so much more that a site without one cannot reach the sum; the sums lie half
    between two whole numbers, so that rounding has no say.
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
