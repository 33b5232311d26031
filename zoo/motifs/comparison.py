"""How the motifs and words of a cluster differ from those of the other clusters. Arrays in, numbers out.

Clusters are made from these contributions, so p and q say which of them differ most, not whether there are clusters;
that is tested in clustering.py. Axes: N sequences, F features, K clusters.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from zoo.genome.pvalues import false_discovery_rates
from zoo.motifs.features import Feature, Features

LEVEL = 0.95
"""Of all intervals here."""

LARGEST_Q = 0.05
"""Largest q of a feature that distinguishes a cluster."""


@dataclasses.dataclass(frozen=True)
class Mean:
    """A mean with its interval of LEVEL by Student's t; None where one sequence gives no interval."""

    mean: float
    low: float | None
    high: float | None


@dataclasses.dataclass(frozen=True)
class Difference:
    """A feature in a cluster, numbered from 0, and in all other clusters.

    present, used: shares of sequences, see Features.  contribution: mean over sequences.  difference: of the
    contributions, `low` to `high` its interval of LEVEL by Welch's t.  p: of the rank test of Mann and Whitney.
    q: false discovery rate by Benjamini and Hochberg over all features and clusters. None without other clusters.
    """

    cluster: int
    feature: Feature
    present: float
    used: float
    contribution: float
    present_elsewhere: float | None = None
    used_elsewhere: float | None = None
    contribution_elsewhere: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    q: float | None = None

    @property
    def distinguishes(self) -> bool:
        """Whether the feature clearly contributes more, with either sign, in this cluster."""
        return self.q is not None and self.q <= LARGEST_Q and self.gain > 0

    @property
    def gain(self) -> float:
        """Size of the mean contribution, minus that elsewhere."""
        return abs(self.contribution) - abs(self.contribution_elsewhere or 0.0)


def differences(features: Features, labels: np.ndarray, number: int) -> list[Difference]:
    """All features that a sequence uses, for each of `number` clusters, the largest gain first. labels: int (N,)."""
    columns = np.flatnonzero(features.used.any(0)).tolist()
    found = []
    for cluster in range(number):
        inside, outside = labels == cluster, (labels >= 0) & (labels != cluster)
        for column in columns:
            shares = [float(one[inside, column].mean()) for one in (features.present, features.used, features.values)]
            row = Difference(cluster, features.features[column], *shares)
            found.append(_compared(row, features, column, inside, outside) if outside.any() else row)
    return sorted(_with_q(found), key=lambda row: (row.cluster, -row.gain))


def _compared(row: Difference, features: Features, column: int, inside: np.ndarray, outside: np.ndarray) -> Difference:
    """Add what the feature is elsewhere, and the difference. inside, outside: sequences, bool (N,)."""
    from scipy import stats

    one, other = (features.values[rows, column] for rows in (inside, outside))
    low, high = _welch(one, other)
    p = float(stats.mannwhitneyu(one, other, method="asymptotic").pvalue)
    return dataclasses.replace(
        row,
        present_elsewhere=float(features.present[outside, column].mean()),
        used_elsewhere=float(features.used[outside, column].mean()),
        contribution_elsewhere=float(other.mean()),
        difference=float(one.mean() - other.mean()),
        low=low,
        high=high,
        p=1.0 if np.isnan(p) else p,
    )


def _welch(one: np.ndarray, other: np.ndarray) -> tuple[float | None, float | None]:
    """Interval of the difference of two means (Welch 1947); None with a single value on one side."""
    from scipy import stats

    if min(len(one), len(other)) < 2:
        return None, None
    of_means = np.array([values.var(ddof=1) / len(values) for values in (one, other)])
    variance = float(of_means.sum())
    freedom = variance**2 / float((of_means**2 / [len(one) - 1, len(other) - 1]).sum()) if variance else 1.0
    reach = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * variance**0.5
    difference = float(one.mean() - other.mean())
    return difference - reach, difference + reach


def _with_q(rows: list[Difference]) -> list[Difference]:
    p = np.array([np.nan if row.p is None else row.p for row in rows])
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    q = np.full(len(p), np.nan)
    q[order] = false_discovery_rates(p[order], np.ones(len(order), np.int64))
    return [row if np.isnan(one) else dataclasses.replace(row, q=float(one)) for row, one in zip(rows, q, strict=True)]


def mean(values: np.ndarray) -> Mean:
    """The mean of values, float (N,), N >= 1."""
    from scipy import stats

    middle = float(values.mean())
    if len(values) < 2:
        return Mean(middle, None, None)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)
    return Mean(middle, middle - reach, middle + reach)


def variance_explained(values: np.ndarray, labels: np.ndarray) -> float:
    """The share of the variance of values, float (N,), that lies between clusters, from 0 to 1; 0 without variance."""
    values, labels = values[labels >= 0].astype(np.float64), labels[labels >= 0]
    total = float(((values - values.mean()) ** 2).sum())
    if not total:
        return 0.0
    sizes, sums = np.bincount(labels), np.bincount(labels, values)
    means = np.divide(sums, sizes, out=np.zeros(len(sums)), where=sizes > 0)
    return float((sizes * (means - values.mean()) ** 2).sum() / total)
