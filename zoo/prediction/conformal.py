"""Intervals around predictions that contain the measurement with a chosen probability: split conformal prediction.

The error of a prediction is divided by its difficulty, a guess of the size of the error. A quantile of these ratios
over measured sequences that the network was not trained on, times the difficulty of a new prediction, is half the width
of its interval (Papadopoulos et al. 2002, doi:10.1007/3-540-36755-1_29; Lei et al. 2018,
doi:10.1080/01621459.2017.1307116). The coverage holds for any network and any difficulty, if the new sequence is drawn
as the measured ones were. A poor difficulty gives wide intervals, not wrong ones.

Sequences that overlap are one block, of which each row counts less: K blocks and one at infinity have the same weight,
divided among the rows of a block (hierarchical conformal prediction, Lee, Barber and Willett 2023, arXiv:2306.06342).
The coverage is then that of a sequence from a new block. Arrays in, arrays out; NumPy only. Axes: N sequences.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import numpy as np

from zoo.errors import ZooError

Difficulty = Literal["spread", "neighbours", "constant"]

SMALLEST = 0.1
"""Smallest difficulty, as a share of the mean difficulty: an ensemble that agrees by chance is not certain."""

TINY = float(np.finfo(np.float32).tiny)


@dataclasses.dataclass(frozen=True)
class DifficultyScale:
    """Guess of the size of an error.

    spread: the standard deviation over the members of an ensemble.  neighbours: the mean error of the measured rows
    whose predictions are nearest.  constant: the same for all, so that all intervals have one width.

    at, errors: for neighbours, float64 (R,): predictions, increasing, and the mean error around each.
    smallest: no difficulty is less.
    """

    kind: Difficulty
    smallest: float
    at: np.ndarray
    errors: np.ndarray

    def of(self, predicted: np.ndarray, spread: np.ndarray | None) -> np.ndarray:
        """Predictions and their standard deviation over members, float (N,), the latter only for `spread` ->
        difficulties, float64 (N,), above 0."""
        if self.kind == "constant":
            return np.ones(len(predicted))
        if self.kind == "neighbours":
            return np.maximum(np.interp(predicted, self.at, self.errors), self.smallest)
        if spread is None:
            raise ZooError("intervals by the spread over members need an ensemble; these weights are one network")
        return np.maximum(spread.astype(np.float64), self.smallest)


def by_spread(spread: np.ndarray) -> DifficultyScale:
    """The scale for an ensemble. spread: standard deviation over its members for measured rows, float (N,)."""
    nothing = np.empty(0)
    return DifficultyScale("spread", max(SMALLEST * float(spread.mean()), TINY), nothing, nothing)


def by_neighbours(predicted: np.ndarray, errors: np.ndarray, neighbours: int) -> DifficultyScale:
    """The scale that measured rows give, with `neighbours` rows around each prediction.

    predicted, errors: predictions and absolute errors, float (N,), N >= 1, of rows that `conformal` does not see.
    """
    order = np.argsort(predicted, kind="stable")
    sizes, width = errors[order].astype(np.float64), min(neighbours, len(errors))
    total = np.concatenate([[0.0], np.cumsum(sizes)])
    first = np.clip(np.arange(len(sizes)) - width // 2, 0, len(sizes) - width)
    means = (total[first + width] - total[first]) / width
    at, place = np.unique(predicted[order].astype(np.float64), return_inverse=True)
    # rows with equal predictions have one difficulty
    at_errors = np.bincount(place, means) / np.bincount(place)
    smallest = max(SMALLEST * float(sizes.mean()), TINY)
    return DifficultyScale("neighbours", smallest, at, at_errors)


CONSTANT = DifficultyScale("constant", 1.0, np.empty(0), np.empty(0))


@dataclasses.dataclass(frozen=True)
class Conformal:
    """Errors of measured rows divided by their difficulties, of one target.

    ratios: float64 (N,), increasing.  reached: float64 (N,), weight of all ratios up to each.  blocks: their number.
    """

    scale: DifficultyScale
    ratios: np.ndarray
    reached: np.ndarray
    blocks: int

    def factor(self, coverage: float) -> float:
        """The ratio that a share `coverage` of new rows does not exceed; infinite for too few blocks."""
        place = int(np.searchsorted(self.reached, coverage - 1e-12))
        return float(self.ratios[place]) if place < len(self.ratios) else math.inf

    def widest_coverage(self) -> float:
        """The largest coverage that so many blocks allow."""
        return self.blocks / (self.blocks + 1)

    def check(self, coverage: float) -> None:
        """Raise ZooError if there are too few blocks for this coverage."""
        if not math.isfinite(self.factor(coverage)):
            raise ZooError(
                f"coverage: expected at most {self.widest_coverage():.4f}, which {self.blocks:,} blocks of measured "
                f"sequences allow, got {coverage:g}"
            )

    def half_widths(self, predicted: np.ndarray, spread: np.ndarray | None, coverage: float) -> np.ndarray:
        """Half the width of the interval around each prediction, float64 (N,). See DifficultyScale.of and `check`."""
        self.check(coverage)
        return self.factor(coverage) * self.scale.of(predicted, spread)


def conformal(
    observed: np.ndarray, predicted: np.ndarray, spread: np.ndarray | None, blocks: np.ndarray, scale: DifficultyScale
) -> Conformal:
    """The ratios of measured rows. observed, predicted, spread: float (N,), N >= 1, none missing.  blocks: int (N,)."""
    _, number, sizes = np.unique(blocks, return_inverse=True, return_counts=True)
    ratios = np.abs(observed.astype(np.float64) - predicted) / scale.of(predicted, spread)
    order = np.argsort(ratios, kind="stable")
    weights = 1 / (sizes[number] * (len(sizes) + 1.0))
    return Conformal(scale, ratios[order], np.cumsum(weights[order]), len(sizes))
