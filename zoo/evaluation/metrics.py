"""How well predictions agree with measurements: Pearson, Spearman, MSE, R2 and their bootstrap intervals.

Arrays in, numbers out; NumPy only, float64 throughout. A measurement that is NaN is missing and is left out of its
target. A value that is not defined, such as the correlation of a constant target, is None, and a note says why.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from zoo.errors import ZooError

SHOWN_AS = {"pearson": "Pearson r", "spearman": "Spearman r", "mse": "MSE", "r2": "R2"}
"""Metric -> its name for readers."""

METRICS = tuple(SHOWN_AS)
"""Names of the metrics, the fields of Score."""

SMALLER_IS_BETTER = ("mse",)
"""METRICS that are better when smaller; of all others a larger value is better."""

RESAMPLES = 1000
LEVEL = 0.95

FEWEST = 5
"""Minimum number of independent rows for an interval. Four rows have 35 different resamples, so that none of them is
as rare as the 2.5% at each end of the interval; five have 126."""

_CHUNK = 250_000  # resamples x rows computed at once: 2 MB for each float64 array, which fits a cache


@dataclasses.dataclass(frozen=True)
class Score:
    """Metrics of one target. n: rows with a measurement. A metric that is not defined is None, and `note` says why."""

    n: int
    pearson: float | None
    spearman: float | None
    mse: float | None
    r2: float | None
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Interval:
    """A value and the bootstrap percentile interval around it, `low` to `high`."""

    value: float
    low: float
    high: float

    def contains(self, value: float) -> bool:
        return self.low <= value <= self.high


def typical(values: Iterable[float | None]) -> tuple[float | None, float | None, float | None]:
    """Median of the values of many targets, and the values that 5% of them are below and above; None if undefined."""
    defined = [value for value in values if value is not None]
    if not defined:
        return None, None, None
    low, median, high = (float(value) for value in np.quantile(defined, [0.05, 0.5, 0.95]))
    return median, low, high


def score(observed: np.ndarray, predicted: np.ndarray) -> list[Score]:
    """Measurements (N, T), NaN where missing, and predictions (N, T) -> a Score for each target, over all rows at once.

    R2 is 1 - residual sum of squares / total sum of squares, so it can be negative. Raises ZooError if shapes differ.
    """
    _check_shapes(observed, predicted)
    return [_score_target(observed[:, t], predicted[:, t]) for t in range(observed.shape[1])]


@dataclasses.dataclass(frozen=True)
class Resampled:
    """The metrics of P predictions on the same bootstrap draws, from `resample`.

    draws: float64 (P, T, resamples, metrics), NaN where a draw leaves a metric undefined, and everywhere for fewer than
    FEWEST rows (or groups of rows).
    """

    scores: list[list[Score]]
    draws: np.ndarray

    def intervals(self, number: int) -> list[dict[str, Interval | None]]:
        """Percentile intervals of prediction `number`: for each target, metric -> Interval, None if not defined."""
        return [
            {name: percentiles(getattr(score, name), draws[:, i]) for i, name in enumerate(METRICS)}
            for score, draws in zip(self.scores[number], self.draws[number], strict=True)
        ]

    def differences(self, first: int, second: int) -> list[dict[str, Interval | None]]:
        """Paired bootstrap: for each target, metric -> Interval of metric(first) - metric(second).

        If an interval does not include 0, the two predictions differ in that metric.
        """
        found = []
        for t, (a, b) in enumerate(zip(self.scores[first], self.scores[second], strict=True)):
            draws = self.draws[first, t] - self.draws[second, t]
            values = {name: (getattr(a, name), getattr(b, name)) for name in METRICS}
            found.append(
                {
                    name: None if x is None or y is None else percentiles(x - y, draws[:, i])
                    for i, (name, (x, y)) in enumerate(values.items())
                }
            )
        return found


def resample(
    observed: np.ndarray,
    predictions: Sequence[np.ndarray],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: np.ndarray | None = None,
    wanted: Sequence[str] = METRICS,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Resampled:
    """Bootstrap the metrics of one or more predictions (N, T) of the same measurements (N, T), NaN where missing.

    Rows are drawn with replacement. With `groups`, int (N,), whole groups are drawn instead, for rows that are not
    independent, such as both strands of one sequence. wanted: the metrics to draw; the draws of the others are NaN.
    on_progress: called with the number of targets done, and of all. Ranks take most of the time.
    Raises ZooError for a bad shape or number of resamples.
    """
    if resamples < 1:
        raise ZooError(f"bootstrap resamples: expected at least 1, got {resamples}")
    if groups is not None and groups.shape != (len(observed),):
        raise ZooError(f"bootstrap groups: expected one for each of {len(observed)} rows, got shape {groups.shape}")
    scores = [score(observed, predicted) for predicted in predictions]
    draws = np.full((len(predictions), observed.shape[1], resamples, len(METRICS)), np.nan)
    for t in range(observed.shape[1]):
        rows = np.flatnonzero(~np.isnan(observed[:, t]))
        columns = [values[rows, t].astype(np.float64) for values in (observed, *predictions)]
        units = None if groups is None else np.unique(groups[rows], return_inverse=True)[1]
        independent = len(rows) if units is None else units.max(initial=-1) + 1
        if independent >= FEWEST and all(np.isfinite(column).all() for column in columns):
            draws[:, t] = _bootstrap(columns[0], columns[1:], units, resamples, seed, wanted)
        on_progress(t + 1, observed.shape[1])
    return Resampled(scores, draws)


def _check_shapes(observed: np.ndarray, predicted: np.ndarray) -> None:
    if observed.ndim != 2 or observed.shape != predicted.shape:
        raise ZooError(f"metrics: expected two arrays of one shape (N, T), got {observed.shape} and {predicted.shape}")


def _score_target(observed: np.ndarray, predicted: np.ndarray) -> Score:
    present = ~np.isnan(observed)
    o, p = observed[present].astype(np.float64), predicted[present].astype(np.float64)
    n = len(o)
    if n == 0:
        return Score(0, None, None, None, None, "no measurements")
    if not (np.isfinite(o).all() and np.isfinite(p).all()):
        which = "measurements" if not np.isfinite(o).all() else "predictions"
        return Score(n, None, None, None, None, f"{which} that are not finite")
    pearson, spearman, mse, r2 = _weighted_metrics(np.ones((1, n)), o, [p], _Ranker(o), [_Ranker(p)], METRICS)[0, 0]
    if n == 1:
        return Score(1, None, None, float(mse), None, "one measurement: correlations and R2 are not defined")
    if np.ptp(o) == 0:
        return Score(n, None, None, float(mse), None, "constant target: correlations and R2 are not defined")
    if n == 2:
        why = "two measurements always lie on a line: correlations are not defined"
        return Score(n, None, None, float(mse), float(r2), why)
    if np.ptp(p) == 0:
        return Score(n, None, None, float(mse), float(r2), "constant predictions: correlations are not defined")
    return Score(n, float(pearson), float(spearman), float(mse), float(r2))


def _bootstrap(
    observed: np.ndarray,
    predictions: list[np.ndarray],
    groups: np.ndarray | None,
    resamples: int,
    seed: int,
    wanted: Sequence[str],
) -> np.ndarray:
    """float64 (predictions, resamples, metrics); NaN where a draw leaves a metric undefined."""
    of_observed, of_predicted = _Ranker(observed), [_Ranker(p) for p in predictions]
    units = len(observed) if groups is None else int(groups.max()) + 1
    parts = [
        _weighted_metrics(
            counts if groups is None else counts[:, groups], observed, predictions, of_observed, of_predicted, wanted
        )
        for counts in _draw_counts(units, resamples, max(1, _CHUNK // len(observed)), seed)
    ]
    return np.concatenate(parts, axis=1)


def _draw_counts(n: int, resamples: int, chunk: int, seed: int) -> Iterator[np.ndarray]:
    """How often each of n units is drawn in n draws with replacement, float64 (<= chunk, n) at a time."""
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = generator.integers(0, n, size=(rows, n))
        drawn += np.arange(rows)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


class _Ranker:
    """Ranks of one set of values under many weightings, sorted once; weight w means w equal rows."""

    def __init__(self, values: np.ndarray) -> None:
        self.order = np.argsort(values, kind="stable")
        in_order = values[self.order]
        first = np.ones(len(values), bool)
        first[1:] = in_order[1:] != in_order[:-1]
        self.starts = np.flatnonzero(first)  # first place of each run of equal values
        self.run_of = np.empty(len(values), np.intp)
        self.run_of[self.order] = np.cumsum(first) - 1

    def ranks(self, weights: np.ndarray) -> np.ndarray:
        """Weights, float64 (B, n) -> ranks from 1, float64 (B, n); equal values share the mean of their ranks."""
        runs = np.add.reduceat(weights[:, self.order], self.starts, axis=1)
        mean_rank = np.cumsum(runs, axis=1) - (runs - 1) / 2
        return mean_rank[:, self.run_of]


def _weighted_metrics(
    weights: np.ndarray,
    observed: np.ndarray,
    predictions: list[np.ndarray],
    of_observed: _Ranker,
    of_predicted: list[_Ranker],
    wanted: Sequence[str],
) -> np.ndarray:
    """Weights, float64 (B, n) -> float64 (predictions, B, metrics); NaN where a metric is not defined or wanted."""
    out = np.full((len(predictions), len(weights), len(METRICS)), np.nan)
    total = weights.sum(axis=1)
    centred = observed - observed.mean()
    spread = _variance(weights @ centred / total, weights @ centred**2 / total)
    if "spearman" in wanted:
        out[:, :, METRICS.index("spearman")] = _spearman(weights, total, of_observed, of_predicted)
    for found, predicted in zip(out, predictions, strict=True):
        if "pearson" in wanted:
            found[:, METRICS.index("pearson")] = _pearson(weights, total, centred, predicted - predicted.mean())
        mse = weights @ (observed - predicted) ** 2 / total
        if "mse" in wanted:
            found[:, METRICS.index("mse")] = mse
        if "r2" in wanted:
            share = np.divide(mse, spread, out=np.full_like(mse, np.nan), where=spread > 0)
            found[:, METRICS.index("r2")] = 1 - share
    return out


def _spearman(weights: np.ndarray, total: np.ndarray, of_observed: _Ranker, of_predicted: list[_Ranker]) -> np.ndarray:
    """Weights (B, n), their sums (B,) -> Spearman correlation of each prediction, float64 (predictions, B)."""
    mean_rank = (total[:, None] + 1) / 2
    observed_ranks = of_observed.ranks(weights) - mean_rank
    weighted_ranks = weights * observed_ranks
    rank_spread = np.einsum("bn,bn->b", weighted_ranks, observed_ranks)
    found = np.empty((len(of_predicted), len(weights)))
    for row, ranker in zip(found, of_predicted, strict=True):
        ranks = ranker.ranks(weights) - mean_rank
        joint = np.einsum("bn,bn->b", weighted_ranks, ranks)
        row[:] = _ratio(joint, rank_spread, np.einsum("bn,bn,bn->b", weights, ranks, ranks))
    return found


def _pearson(weights: np.ndarray, total: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Weights (B, n), their sums (B,), values (n,) with means near 0 -> Pearson correlation, float64 (B,)."""
    mean_x, mean_y, mean_xy = (weights @ values / total for values in (x, y, x * y))
    x_spread, y_spread = _variance(mean_x, weights @ x**2 / total), _variance(mean_y, weights @ y**2 / total)
    return _ratio(mean_xy - mean_x * mean_y, x_spread, y_spread)


def _ratio(covariance: np.ndarray, x_variance: np.ndarray, y_variance: np.ndarray) -> np.ndarray:
    """Correlation, float64 (B,); NaN where a variance is 0."""
    scale = np.sqrt(x_variance * y_variance)
    found = np.divide(covariance, scale, out=np.full(len(scale), np.nan), where=scale > 0)
    return np.clip(found, -1, 1)


def _variance(mean: np.ndarray, mean_square: np.ndarray) -> np.ndarray:
    """Variance, exactly 0 for a draw of equal values, where rounding would leave 1e-16."""
    variance = mean_square - mean**2
    return np.where(variance > 1e-12 * mean_square, variance, 0.0)


def percentiles(value: float | None, draws: np.ndarray) -> Interval | None:
    """A value with the interval of its draws, NaN where a draw leaves it undefined; None if it is not defined.

    If a draw is undefined more often than a value lies beyond one end of the interval, the undefined draws could be
    that end, and there is no interval.
    """
    defined = draws[~np.isnan(draws)]
    if value is None or len(defined) < (1 + LEVEL) / 2 * len(draws):
        return None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(value), float(low), float(high))
