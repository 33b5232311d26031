"""Clusters of sequences by what their predictions rest on, and whether there are any. Arrays in, numbers out.

The features of a sequence are divided by the root of the sum of their squares. So clusters differ in the reasons for
predictions, not in their height: a strong and a weak sequence with one motif have the same direction. k-means groups
the directions, in their largest principal components. A number of clusters is accepted if

- every cluster is found again in bootstrap samples, by the mean Jaccard index (Hennig 2007,
  doi:10.1016/j.csda.2006.11.025), and
- the silhouette (Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7) is larger than that of nearly all divisions of one
  cloud without clusters and with the same variances, whether it is normal (Liu et al. 2008,
  doi:10.1198/016214508000000454) or even (Tibshirani, Walther, Hastie 2001, doi:10.1111/1467-9868.00293). This must
  hold for directions, and for features divided by the sum of their sizes: directions crowd at the ends of a gradual
  mixture of two motifs, and shares of the sum depend on the height where there is noise.

Of the accepted numbers, the one with the largest silhouette is taken, and those with a smaller one are not tested. If
there is none, the sequences are one cluster. scikit-learn is imported when it is used; the extra `explain` installs it.
Axes: N sequences, F features, K clusters, D components.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np

from zoo.errors import ZooError

MOST_CLUSTERS = 8
"""Largest number of clusters that is tried."""

MOST_COMPONENTS = 10
"""Principal components in which sequences are compared."""

LEAST_MEMBERS = 10
"""Sequences of a cluster that is not just outliers. With fewer than twice as many sequences, none are tried."""

STABLE = 0.75
"""Least Jaccard index of a cluster that is found again (Hennig 2007)."""

LARGEST_P = 0.05
"""Largest share of clouds without clusters that may have a silhouette as large."""

BOOTSTRAPS = 30
"""Bootstrap samples of the sequences."""

CLOUDS = 39
"""Clouds without clusters, of each kind; with as many, p is at least 1/40."""

MOST_SEQUENCES = 1000
"""Sequences, drawn at random, from which clusters are found and tested. The others belong to the nearest centre."""

STARTS, STARTS_OF_SAMPLES = 10, 3
"""Starts of k-means, of which the best counts, and those in bootstrap samples and clouds."""


@dataclasses.dataclass(frozen=True)
class Division:
    """A number of clusters that was tried.

    silhouette: of directions, mean over sequences, from -1 to 1.  p: share of clouds without clusters whose silhouette
    is at least as large, counting the sequences themselves as one; the largest one of both kinds and both measures;
    None if it was not needed.
    rand: mean adjusted Rand index (Hubert and Arabie 1985) of the clusters in bootstrap samples.
    jaccard: mean Jaccard index of the least stable cluster.  smallest: sequences in the smallest cluster.
    """

    clusters: int
    silhouette: float
    rand: float
    jaccard: float
    smallest: int
    p: float | None = None

    @property
    def stable(self) -> bool:
        return self.jaccard >= STABLE and self.smallest >= LEAST_MEMBERS

    @property
    def accepted(self) -> bool:
        return self.stable and self.p is not None and self.p <= LARGEST_P


@dataclasses.dataclass(frozen=True)
class Clusters:
    """labels: cluster of each sequence, int (N,), the largest is 0; -1 without any contribution.
    distances: to each centre, float64 (N, K).  components: of the directions, float64 (N, D).  axes: the components in
    terms of the features, float64 (D, F).  spread: share of the variance in each component, float64 (D,).
    tried: every number of clusters that was tried.  chosen: the one that was taken; None for a single cluster.
    """

    labels: np.ndarray
    distances: np.ndarray
    components: np.ndarray
    axes: np.ndarray
    spread: np.ndarray
    tried: tuple[Division, ...]
    chosen: Division | None

    @property
    def number(self) -> int:
        return self.distances.shape[1]


def scaled(values: np.ndarray, power: int) -> np.ndarray:
    """Features, float64 (N, F), divided by their norm: 2 gives directions, 1 shares of the sum. Zeros stay zeros."""
    norms = np.linalg.norm(values, power, axis=1, keepdims=True)
    return np.divide(values, norms, out=np.zeros(values.shape), where=norms > 0)


def find(values: np.ndarray, wanted: int = 0, seed: int = 0) -> Clusters:
    """Cluster sequences by their features, float64 (N, F). wanted: number of clusters, 0 to choose it.

    The same arguments give the same clusters. Raises ZooError if there are fewer different sequences than clusters.
    """
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    # sums of several threads have other last bits; k-means warns of samples with too few different points
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return _find(values, wanted, np.random.default_rng(seed))


def _find(values: np.ndarray, wanted: int, generator: np.random.Generator) -> Clusters:
    with_reason = np.abs(values).sum(1) > 0
    rows = np.flatnonzero(with_reason)
    if len(rows) < max(wanted, 1):
        raise ZooError(f"clusters: expected {max(wanted, 1)} sequences with contributions or more, found {len(rows)}")
    reduced, components = _components(scaled(values, 2), rows)
    sample = generator.permutation(rows)[:MOST_SEQUENCES]
    different = len(np.unique(components[sample].round(9), axis=0))
    if wanted > different:
        raise ZooError(f"clusters: expected {wanted} sequences with different contributions or more, found {different}")
    measures = [components[sample], _components(scaled(values, 1), rows)[1][sample]]
    fits, tried = _tried(measures, wanted, different, generator)
    accepted = [one for one in tried if one.accepted or one.clusters == wanted]
    chosen = max(accepted, key=lambda one: one.silhouette) if accepted else None
    centres = fits[chosen.clusters].cluster_centers_ if chosen else components[rows].mean(0, keepdims=True)
    distances = np.linalg.norm(components[:, None] - centres, axis=2)
    nearest = distances.argmin(1)
    order = np.argsort(-np.bincount(nearest[rows], minlength=len(centres)), kind="stable")
    labels = np.where(with_reason, np.argsort(order)[nearest], -1)
    spread = np.nan_to_num(reduced.explained_variance_ratio_)
    return Clusters(labels, distances[:, order], components, reduced.components_, spread, tried, chosen)


def _components(given: np.ndarray, rows: np.ndarray) -> tuple[Any, np.ndarray]:
    """The principal components of some rows, and all rows in terms of these, float64 (N, D)."""
    from sklearn.decomposition import PCA

    with np.errstate(invalid="ignore"):  # of equal sequences, shares of a variance of 0
        reduced = PCA(min(MOST_COMPONENTS, len(rows), given.shape[1]), svd_solver="full").fit(given[rows])
    return reduced, reduced.transform(given)


def _tried(
    measures: list[np.ndarray], wanted: int, different: int, generator: np.random.Generator
) -> tuple[dict[int, Any], tuple[Division, ...]]:
    """The k-means of each number of clusters, or of the one that is wanted, and what speaks for it.

    measures: components of directions, and of shares, float64 (N, D) each.
    """
    points = measures[0]
    enough = len(points) >= 2 * LEAST_MEMBERS
    numbers = range(2, min(MOST_CLUSTERS, different) + 1 if enough else 0)
    if wanted:
        numbers = range(wanted, wanted + 1 if wanted > 1 else 0)
    # the same random numbers for each number of clusters
    samples = [generator.integers(0, len(points), len(points)) for _ in range(BOOTSTRAPS)]
    normal = [generator.normal(0, 1, points.shape) for _ in range(CLOUDS)]
    even = [generator.uniform(-(3**0.5), 3**0.5, points.shape) for _ in range(CLOUDS)]
    fits = {number: _k_means(points, number, STARTS) for number in numbers}
    tried = {number: _stability(points, fit, samples) for number, fit in fits.items()}
    for division in sorted(tried.values(), key=lambda one: -one.silhouette):
        if division.stable or wanted:
            labels = fits[division.clusters].labels_
            p = max(_p(one, labels, clouds) for one in measures for clouds in (normal, even))
            tried[division.clusters] = tested = dataclasses.replace(division, p=p)
            if tested.accepted:
                break
    return fits, tuple(tried.values())


def _k_means(points: np.ndarray, number: int, starts: int = STARTS_OF_SAMPLES) -> Any:
    from sklearn.cluster import KMeans

    return KMeans(number, n_init=starts, random_state=0).fit(points)


def _silhouette(points: np.ndarray, labels: np.ndarray) -> float:
    from sklearn.metrics import silhouette_score

    return float(silhouette_score(points, labels)) if 1 < len(np.unique(labels)) < len(points) else -1.0


def _stability(points: np.ndarray, fit: Any, samples: list[np.ndarray]) -> Division:
    """Cluster each bootstrap sample, and compare the clusters of all points by the centres of both."""
    from sklearn.metrics import adjusted_rand_score

    labels, number = fit.labels_, len(fit.cluster_centers_)
    rand, jaccard = [], np.zeros((len(samples), number))
    for row, sample in enumerate(samples):
        other = _k_means(points[sample], number).predict(points)
        rand.append(adjusted_rand_score(labels, other))
        common = np.zeros((number, number))
        np.add.at(common, (labels, other), 1)
        jaccard[row] = (common / (common.sum(1)[:, None] + common.sum(0) - common).clip(1)).max(1)
    smallest = int(np.bincount(labels, minlength=number).min())
    least = float(jaccard.mean(0).min())
    return Division(number, _silhouette(points, labels), float(np.mean(rand)), least, smallest)


def _p(points: np.ndarray, labels: np.ndarray, clouds: list[np.ndarray]) -> float:
    """The share of clouds, points themselves included, whose best division has as large a silhouette as the labels.

    clouds: of a variance of 1 in each component, float64 (N, D).
    """
    least, number, spread = _silhouette(points, labels), len(np.unique(labels)), points.std(0)
    scores = [_silhouette(cloud, _k_means(cloud, number).labels_) for cloud in (one * spread for one in clouds)]
    return (1 + sum(score >= least for score in scores)) / (1 + len(scores))
