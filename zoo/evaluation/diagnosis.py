"""Diagnose the residuals of one target: do they form two groups, and what do they correlate with?

Arrays in, numbers and a sentence out; NumPy only. The trend in a scatter plot can seem to be split in two. One and two
Gaussians, compared by BIC, show whether it is; correlations with covariates suggest why.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from zoo.evaluation import metrics
from zoo.spec import UNKNOWN_BASE

FEWEST = 50
"""Minimum number of measurements for a decision: two Gaussians have five parameters."""

DECISIVE = 10.0
"""Difference in BIC that is very strong evidence (Kass and Raftery, 1995)."""

APART = 2.0
"""Ashman's D above which two Gaussians are clearly separate (Ashman, Bird and Zepf, 1994)."""

SMALLEST_SHARE = 0.05
"""Share of the rows below which a second Gaussian is a few outliers, not half of a trend."""

NARROWEST = 0.1
"""Smallest standard deviation of a component, in standard deviations of all residuals: none shrinks to a point."""

_STEPS, _TOLERANCE = 500, 1e-9

_GRID = 0.002  # standard deviations to which values are rounded for the fit, so that its cost does not grow with N

_STRAND = re.compile(r"[_:]\d+[_-]\d+_([+-])(?:_|$)")
"""Strand in chrom_start_end_strand_class, as in the published names."""


@dataclasses.dataclass(frozen=True)
class Mixture:
    """Gaussians, lowest mean first: shares (sum 1), means, standard deviations; `bic`, lower is better."""

    shares: tuple[float, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    bic: float

    def density(self, x: np.ndarray) -> np.ndarray:
        """Density of each component times its share: float64 (n,) -> float64 (components, n)."""
        return np.exp(_log_densities(x, *(np.array(v) for v in (self.shares, self.means, self.deviations))))


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """Residuals of one target, observed - predicted, one per sequence: the mean of its strands if both are measured.

    n: sequences.  split: whether they form two groups; None if there are too few.
    separation: Ashman's D of the two Gaussians.
    correlations: covariate -> Pearson correlation with the residuals, None if not defined.
    strands: strand -> (rows, mean residual); empty if the names have no strand.
    """

    n: int
    split: bool | None
    statement: str
    one: Mixture | None
    two: Mixture | None
    separation: float | None
    correlations: dict[str, float | None]
    strands: dict[str, tuple[int, float]]


def by_sequence(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Values (n,), NaN where missing, and the number of the sequence of each row, int (n,) -> means, float64 (G,)."""
    present = np.isfinite(values)
    counts = np.bincount(groups[present], minlength=groups.max(initial=-1) + 1)
    sums = np.bincount(groups[present], values[present], minlength=len(counts))
    return np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)


def diagnose(
    residuals: np.ndarray,
    covariates: dict[str, np.ndarray],
    strands: np.ndarray,
    groups: np.ndarray | None = None,
) -> Diagnosis:
    """Residuals (n,), covariates (n,) by name, all NaN where missing, and strands, "+", "-" or "" (n,).

    groups: number of the sequence of each row, int (n,); None if every row is a different one. The two strands of a
    sequence count as one piece of evidence.
    """
    groups = np.arange(len(residuals)) if groups is None else groups
    rows = np.isfinite(residuals)
    by_strand = {
        strand: (int(side.sum()), float(residuals[side].mean(dtype=np.float64)))
        for strand in "+-"
        if (side := rows & (strands == strand)).any()
    }
    covariates = {name: by_sequence(np.where(rows, column, np.nan), groups) for name, column in covariates.items()}
    residuals = by_sequence(residuals, groups)
    found = np.isfinite(residuals)
    values = residuals[found].astype(np.float64)
    # the covariate takes the place of the measurement, which may be missing in `score`
    correlations = {
        name: metrics.score(column[found][:, None], values[:, None])[0].pearson for name, column in covariates.items()
    }
    if len(values) < FEWEST or np.ptp(values) == 0:
        why = f"{len(values)} measurements, at least {FEWEST} are needed" if len(values) < FEWEST else "all are equal"
        return Diagnosis(len(values), None, f"not decided: {why}", None, None, None, correlations, by_strand)
    one, two = one_gaussian(values), two_gaussians(values)
    separation = _ashman(two)
    split, statement = _verdict(one, two, separation)
    return Diagnosis(len(values), split, statement, one, two, separation, correlations, by_strand)


def gc_content(codes: np.ndarray) -> np.ndarray:
    """Share of G and C among the known bases; NaN if none is known. Base codes, uint8 (N, L) -> float64 (N,)."""
    known = (codes != UNKNOWN_BASE).sum(axis=1)
    gc = ((codes == 1) | (codes == 2)).sum(axis=1)
    return np.divide(gc, known, out=np.full(len(codes), np.nan), where=known > 0)


def strands_of(names: Sequence[str]) -> np.ndarray:
    """Strand of each record, "+" or "-", from names such as chr2L_5750_5998_+_positive_peaks; "" for other names."""
    return np.array([found[1] if (found := _STRAND.search(name)) else "" for name in names], dtype="<U1")


def one_gaussian(values: np.ndarray) -> Mixture:
    """The Gaussian of maximum likelihood. values: float64 (n,), not all equal."""
    mean, deviation = values.mean(), values.std()
    likelihood = _log_densities(values, np.ones(1), np.array([mean]), np.array([deviation])).sum()
    return Mixture((1.0,), (float(mean),), (float(deviation),), _bic(likelihood, 2, len(values)))


def two_gaussians(values: np.ndarray) -> Mixture:
    """Two Gaussians by expectation maximisation, the best of several starts. values: float64 (n,), not all equal.

    Each component is at least NARROWEST times as wide as all values together.
    """
    step = _GRID * values.std()
    places, counts = np.unique(np.round(values / step), return_counts=True)
    best = max(
        (
            _expectation_maximisation(places * step, counts, np.quantile(values, at), NARROWEST * values.std())
            for at in (0.1, 0.3, 0.5, 0.7, 0.9)
        ),
        key=lambda fit: fit[1],
    )
    (shares, means, deviations), likelihood = best
    order = np.argsort(means)
    ordered = [tuple(float(v) for v in parameters[order]) for parameters in (shares, means, deviations)]
    return Mixture(ordered[0], ordered[1], ordered[2], _bic(likelihood, 5, len(values)))


def _expectation_maximisation(
    values: np.ndarray, counts: np.ndarray, bound: float, narrowest: float
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], float]:
    """Shares, means and deviations of two Gaussians and their log-likelihood, from values divided at `bound`.

    counts: int (n,), how often each value occurs in the data.
    """
    n = counts.sum()
    belongs = np.where(np.stack([values > bound, values <= bound]), 0.95, 0.05)
    before = -np.inf
    for _ in range(_STEPS):
        weights = belongs * counts
        total = weights.sum(axis=1)
        means = weights @ values / total
        variances = (weights * (values - means[:, None]) ** 2).sum(axis=1) / total
        parameters = total / n, means, np.sqrt(np.maximum(variances, narrowest**2))
        logs = _log_densities(values, *parameters)
        together = np.logaddexp(logs[0], logs[1])
        belongs = np.exp(logs - together)
        likelihood = float(counts @ together)
        if likelihood - before < _TOLERANCE * n:
            break
        before = likelihood
    return parameters, likelihood


def _log_densities(values: np.ndarray, shares: np.ndarray, means: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """float64 (components, n): log of share times normal density."""
    distance = (values - means[:, None]) / deviations[:, None]
    return np.log(shares)[:, None] - np.log(deviations)[:, None] - 0.5 * np.log(2 * np.pi) - 0.5 * distance**2


def _bic(log_likelihood: float, parameters: int, n: int) -> float:
    """Bayesian information criterion (Schwarz 1978); lower is better."""
    return float(parameters * np.log(n) - 2 * log_likelihood)


def _ashman(two: Mixture) -> float:
    """Distance of the means in units of the root mean square of the standard deviations."""
    (first, second), (a, b) = two.means, two.deviations
    return abs(first - second) / float(np.sqrt((a**2 + b**2) / 2))


def _verdict(one: Mixture, two: Mixture, separation: float) -> tuple[bool, str]:
    gain = one.bic - two.bic
    compared = f"BIC {one.bic:,.1f} for one Gaussian, {two.bic:,.1f} for two"
    if gain < DECISIVE:
        return False, f"no split: one Gaussian describes the residuals ({compared})"
    if separation < APART:
        return False, (
            f"no split: the residuals are not Gaussian, but the two that fit best overlap "
            f"({compared}; separation {separation:.1f}, a split has {APART:.0f} or more)"
        )
    if min(two.shares) < SMALLEST_SHARE:
        return False, f"no split: {min(two.shares):.1%} outliers beside one trend ({compared})"
    halves = " and ".join(f"{s:.0%} around {m:+.2f}" for s, m in zip(two.shares, two.means, strict=True))
    return True, f"split in two: {halves} ({compared}; separation {separation:.1f})"
