"""Is one model better than another? The difference of a metric with a 95% interval, and a verdict.

The interval covers two kinds of chance: which sequences were measured, and how each training went. It resamples the
sequences, the same for both models, and the trainings of each model. Arrays in, numbers out. Axes: N sequences.
"""

from __future__ import annotations

import dataclasses
import zlib
from typing import Any, Literal, get_args

import numpy as np

from zoo.errors import ZooError
from zoo.evaluation import metrics
from zoo.evaluation.metrics import LEVEL, METRICS, RESAMPLES, SMALLER_IS_BETTER, Interval, percentiles

Verdict = Literal["better", "worse", "no clear difference"]
"""What a difference says about the first model."""

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """metric(first) - metric(second) of the mean over trainings, `low` to `high` its 95% interval, and the verdict.

    If the metric is not defined (constant predictions have no correlation), the three numbers are None, there is no
    clear difference, and `note` says why.
    """

    difference: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    note: str = ""

    @property
    def interval(self) -> Interval | None:
        """The three numbers together; None if they are not defined."""
        if self.difference is None or self.low is None or self.high is None:
            return None
        return Interval(self.difference, self.low, self.high)


def verdict(metric: str, interval: Interval | None) -> Verdict:
    """The verdict on the first model by the interval of metric(first) - metric(second): clear if it excludes 0."""
    if interval is None or interval.contains(0):
        return "no clear difference"
    return "better" if (interval.low > 0) != (metric in SMALLER_IS_BETTER) else "worse"


def paired_difference(
    labels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    metric: str,
    draws: int = RESAMPLES,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> PairedDifference:
    """How much better `first` is than `second` in `metric`, one of METRICS, averaged over the trainings of each.

    labels: measurements of one target, float (N,), NaN where missing.  first, second: predictions, float (runs, N), a
    row for each training; with one row, the interval does not cover the chance of that training.  groups: int (N,),
    rows that are drawn together, such as the two strands of a sequence; None draws each row alone.

    Bootstrap percentiles over `draws` draws. Each draws sequences, and R - 1 of the R trainings of a model: drawing R
    would make the variance of their mean too small by (R - 1) / R (Rao and Wu, doi:10.1080/01621459.1988.10478591).
    Percentiles treat the variance as known, which a few trainings do not allow. The interval is therefore stretched by
    the ratio of Student's t to the normal distribution, with the degrees of freedom of Welch (1947) and Satterthwaite.
    Errors that one training makes on certain sequences count in both kinds of chance, so the interval is too wide
    rather than too narrow, as in every bootstrap of two crossed factors (Owen 2007, doi:10.1214/07-AOAS122).
    Equal arguments give equal numbers. Raises ZooError for an unknown metric, or shapes that do not fit.
    """
    interval, note = _interval(labels, {"first": first, "second": second}, metric, draws, seed, groups)
    if interval is None:
        return PairedDifference(None, None, None, "no clear difference", note)
    return PairedDifference(interval.value, interval.low, interval.high, verdict(metric, interval))


def mean_score(
    labels: np.ndarray,
    predictions: np.ndarray,
    metric: str,
    draws: int = RESAMPLES,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> Interval | None:
    """A metric averaged over the trainings of one model, with its 95% interval; None if it is not defined.

    Arguments, method and errors are those of `paired_difference`; predictions: float (runs, N).
    """
    return _interval(labels, {"predictions": predictions}, metric, draws, seed, groups)[0]


def _interval(
    labels: np.ndarray,
    sides: dict[str, np.ndarray],
    metric: str,
    draws: int,
    seed: int,
    groups: np.ndarray | None,
) -> tuple[Interval | None, str]:
    """Interval of the mean over the trainings of one side, or of the difference of two; else None and the reason.

    sides: name of the argument -> predictions (runs, N).
    """
    _check(labels, sides, metric)
    runs = [run[:, None] for side in sides.values() for run in side]
    resampled = metrics.resample(labels[:, None], runs, resamples=draws, seed=seed, groups=groups, wanted=(metric,))
    scores = [score[0] for score in resampled.scores]
    values = [getattr(score, metric) for score in scores]
    drawn = resampled.draws[:, 0, :, METRICS.index(metric)]
    if None in values:
        return None, next((score.note for score in scores if score.note), "")
    ends = np.cumsum([len(side) for side in sides.values()])[:-1]
    of_runs, on_draws = np.split(np.array(values), ends), np.split(drawn, ends)
    value = float(_difference([side.mean() for side in of_runs]))
    found = percentiles(
        value, _difference([_mean_of_drawn(*side, seed) for side in zip(of_runs, on_draws, strict=True)])
    )
    if found is None:
        return None, "too few sequences, or too few different values, for an interval"
    of_sequences = float(np.nanvar(_difference([side.mean(axis=0) for side in on_draws])))
    stretch = _stretch(of_runs, of_sequences)
    return Interval(value, value + stretch * (found.low - value), value + stretch * (found.high - value)), ""


def _difference(sides: list[Any]) -> Any:
    """The first minus the second, or the only one."""
    return sides[0] - sides[1] if len(sides) > 1 else sides[0]


def _check(labels: np.ndarray, sides: dict[str, np.ndarray], metric: str) -> None:
    if metric not in METRICS:
        raise ZooError(f"metric: expected one of {', '.join(METRICS)}, got {metric!r}")
    if labels.ndim != 1:
        raise ZooError(f"labels: expected the measurements of one target, shape (N,), got {labels.shape}")
    for name, given in sides.items():
        if given.ndim != 2 or not len(given) or given.shape[1] != len(labels):
            raise ZooError(f"{name}: expected predictions of shape (runs, {len(labels)}), got {given.shape}")


def _mean_of_drawn(scores: np.ndarray, drawn: np.ndarray, seed: int) -> np.ndarray:
    """A metric of each training, float64 (R,), and on each draw of sequences, (R, draws) -> its mean over R - 1
    trainings, drawn with replacement for each draw of sequences, float64 (draws,).

    The seed depends on the scores, so that exchanging the two models gives exactly the negative difference.
    """
    runs, draws = drawn.shape
    if runs == 1:
        return drawn[0]
    generator = np.random.default_rng((seed, zlib.crc32(scores.tobytes())))
    chosen = generator.integers(0, runs, (runs - 1, draws))
    return np.take_along_axis(drawn, chosen, axis=0).mean(axis=0)


def _stretch(sides: list[np.ndarray], of_sequences: float) -> float:
    """Quantile of Student's t divided by that of the normal distribution; 1 if trainings add no variance.

    sides: the metric of each training of a model, float64 (R,).  of_sequences: variance of the difference due to the
    sequences; it counts as known, since there are many sequences.
    """
    of_trainings = [(float(values.var(ddof=1)) / len(values), len(values) - 1) for values in sides if len(values) > 1]
    uncertain = sum(variance**2 / freedom for variance, freedom in of_trainings)
    if uncertain == 0:
        return 1.0
    from scipy import stats

    freedom = (of_sequences + sum(variance for variance, _ in of_trainings)) ** 2 / uncertain
    place = (1 + LEVEL) / 2
    return float(stats.t.ppf(place, freedom) / stats.norm.ppf(place))
