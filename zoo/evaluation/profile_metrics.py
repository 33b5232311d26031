"""Metrics of predicted profiles against measured reads. Axes: N sequences, T targets, K strands x positions of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import require
from zoo.weights.checkpoint import profiles_of

if TYPE_CHECKING:
    from zoo.prediction.model import Model


def likelihoods(shares: np.ndarray, reads: np.ndarray) -> np.ndarray:
    """Negative logarithm (natural) of the multinomial probability of the reads, given their number, (N, T, K) -> (N,
    T)."""
    require("scipy", "", "metrics of profiles")
    from scipy import special

    reads = reads.astype(np.float64)
    arrangements = special.gammaln(reads.sum(2) + 1) - special.gammaln(reads + 1).sum(2)
    return -arrangements - special.xlogy(reads, shares).sum(2)


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Distance of Jensen and Shannon (natural logarithm) of two profiles, scaled to shares, (N, T, K) -> (N, T); NaN
    for a profile of zeros."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ours, theirs = (one / one.sum(2, keepdims=True, dtype=np.float64) for one in (first, second))
        middle = (ours + theirs) / 2
        parts = [np.where(one > 0, one * np.log(one / middle), 0 * one).sum(2) for one in (ours, theirs)]
    return np.sqrt(np.maximum(sum(parts) / 2, 0))


def of_targets(profile: np.ndarray, targets: int) -> np.ndarray:
    """(N, S, P) -> (N, T, K)."""
    return profile.reshape(len(profile), targets, -1)


def mean_metrics(model: Model, codes: np.ndarray, reads: np.ndarray) -> dict[str, dict[str, float]]:
    """Target -> metric -> its mean over sequences, of the first profile of a network. reads: (N, S, P)."""
    name, targets = profiles_of(model.spec)[0].name, model.spec.targets
    found = []
    for start in range(0, len(codes), model.batch_size):
        rows = slice(start, start + model.batch_size)
        profile = of_targets(model.profiles(codes[rows])[name], len(targets))
        shares, own = profile / profile.sum(2, keepdims=True), of_targets(reads[rows], len(targets))
        found.append(np.stack([likelihoods(shares, own), distances(shares, own)]))
    means = np.nanmean(np.concatenate(found, 1), 1)
    names = "negative log-likelihood", "Jensen-Shannon distance"
    return {target: dict(zip(names, means[:, number].tolist(), strict=True)) for number, target in enumerate(targets)}
