"""The loss of networks of profiles: of log counts, a Loss; of the places of the reads, the multinomial likelihood.

The counts weigh a tenth of the median counts, unless the settings give weights of the targets (Pampari et al. 2024,
counts_loss_weight). Axes: N sequences, T targets, S strands of all targets, P positions. Needs PyTorch.
Predictions and measurements are (N, T + S P): log counts, then logits or counts of the positions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo import registry
from zoo.data.dataset import Source
from zoo.errors import ZooError
from zoo.frame import Profile
from zoo.training.config import TrainConfig
from zoo.training.losses import Loss, Term

PROFILE_METRICS = ("profile_nll", "jensen_shannon")
"""Metrics of a profile, means over sequences: negative log-likelihood of the reads, natural logarithm; and the distance
of Jensen and Shannon between the shares of the positions in the reads and in the prediction, sequences without reads
left out."""

WEIGHT_OF_COUNTS = 0.1
"""Weight of the error of log counts for each of the median counts."""


class ProfileLoss:
    """The loss of a training on log counts and profiles; see losses.Loss for its methods.

    counts: log(1 + counts) of the training, (N, T).
    """

    def __init__(self, settings: TrainConfig, targets: tuple[str, ...], counts: np.ndarray) -> None:
        if not settings.target_weights:
            medians = np.maximum(np.expm1(np.median(counts, 0)), 1)
            weights = tuple(f"{WEIGHT_OF_COUNTS * median:.4g}" for median in medians)
            settings = dataclasses.replace(settings, target_weights=weights)
        self.target_weights = settings.target_weights
        self.targets = tuple(targets)
        self._of_counts = Loss(settings, targets)

    @property
    def columns(self) -> int:
        """Numbers that `kept` keeps of a sequence."""
        return (1 + len(PROFILE_METRICS)) * len(self.targets)

    @property
    def terms(self) -> list[Term]:
        """Those of the log counts."""
        return self._of_counts.terms

    def names(self, term: Term) -> tuple[str, ...]:
        return self._of_counts.names(term)

    def check(self, observed: np.ndarray) -> None:
        self._of_counts.check(observed)

    def measured(self, observed: Tensor) -> Tensor:
        """All count: (N, K + 1), the last for the profiles."""
        counts = self._of_counts.measured(self._counts(observed))
        return torch.cat([counts, torch.ones_like(counts[:, :1])], 1)

    def __call__(self, predicted: Tensor, observed: Tensor, counts: Tensor | None = None) -> Tensor:
        sequences = len(observed) if counts is None else counts[-1].clamp(min=1)
        of_counts = self._of_counts(
            self._counts(predicted), self._counts(observed), None if counts is None else counts[:-1]
        )
        return of_counts + self._likelihoods(predicted.to(observed.dtype), observed).sum() / sequences

    def kept(self, predicted: Tensor, observed: Tensor) -> Tensor:
        """The log counts of each sequence, and the metrics of its profiles, (N, columns)."""
        metrics = self._likelihoods(predicted, observed), self._distances(predicted, observed)
        return torch.cat([self._counts(predicted), *metrics], 1)

    def of_arrays(self, kept: np.ndarray, observed: np.ndarray) -> float | None:
        """The loss of a whole split, from what was kept and log counts (N, T); None if it is not finite."""
        of_counts = self._of_counts.of_arrays(kept[:, : len(self.targets)], observed)
        value = (of_counts or 0.0) + float(self._metric(kept, 0).astype(np.float64).mean(0).sum())
        return value if of_counts is not None and np.isfinite(value) else None

    def of_a_constant(self, observed: np.ndarray) -> float:
        """About the lowest loss of one prediction for all rows of a batch. observed: (N, T + S P)."""
        values = torch.from_numpy(observed.astype(np.float64))
        logits = values.mean(0).clamp(min=1e-12).log().expand_as(values)
        likelihoods = self._likelihoods(logits, values).mean(0).sum()
        return self._of_counts.of_a_constant(observed[:, : len(self.targets)]) + float(likelihoods)

    def metrics(self, kept: np.ndarray) -> dict[str, Any]:
        """Metric and target -> its mean over sequences; None where it is not defined."""
        found = {}
        for number, metric in enumerate(PROFILE_METRICS):
            for target, column in zip(self.targets, self._metric(kept, number).T, strict=True):
                known = column[np.isfinite(column)].astype(np.float64)
                found[f"{metric}_{target}"] = float(known.mean()) if len(known) else None
        return found

    def _counts(self, both: Tensor) -> Tensor:
        return both[:, : len(self.targets)]

    def _metric(self, kept: np.ndarray, number: int) -> np.ndarray:
        """(N, columns) -> one metric of the profiles, (N, T)."""
        targets = len(self.targets)
        return kept[:, (1 + number) * targets : (2 + number) * targets]

    def _positions(self, both: Tensor) -> Tensor:
        """(N, T + S P) -> (N, T, strands P): the positions of a target."""
        return both[:, len(self.targets) :].unflatten(1, (len(self.targets), -1))

    def _likelihoods(self, predicted: Tensor, observed: Tensor) -> Tensor:
        """Negative logarithm of the probability of the reads at their places, given their number, (N, T)."""
        reads = self._positions(observed)
        arrangements = torch.lgamma(reads.sum(2) + 1) - torch.lgamma(reads + 1).sum(2)
        return -arrangements - (reads * self._positions(predicted).log_softmax(2)).sum(2)

    def _distances(self, predicted: Tensor, observed: Tensor) -> Tensor:
        """Square root of the divergence of Jensen and Shannon (natural logarithm), (N, T); NaN without reads."""
        theirs, reads = self._positions(predicted).softmax(2), self._positions(observed)
        ours = reads / reads.sum(2, keepdim=True)
        mean = (theirs + ours) / 2
        divergences = [(torch.xlogy(one, one) - torch.xlogy(one, mean)).sum(2) for one in (theirs, ours)]
        return (sum(divergences) / 2).clamp(min=0).sqrt()


def loss_for(architecture: str, config: Any, settings: TrainConfig, source: Source) -> Loss | ProfileLoss:
    """The loss of a training on these data. Raises ZooError if either the network or the data have no profiles, or
    others than the other."""
    find = getattr(registry.load("models", architecture), "profiles", None)
    wanted: Sequence[Profile] = find(config) if find else ()
    found = source.validation.profiles
    if wanted and found is None:
        raise ZooError(
            f"{architecture}: is trained on the signal of regions; give --data PEAKS.bed, --genome and --signal"
        )
    if found is not None and not wanted:
        raise ZooError(f"{architecture}: has no profiles; signal of regions trains networks with profiles alone")
    if found is None:
        return Loss(settings, source.targets)
    if (len(wanted[0].columns), wanted[0].positions) != found.shape[1:]:
        raise ZooError(
            f"{architecture}: expected a signal of {len(wanted[0].columns)} tracks and {wanted[0].positions} "
            f"positions, got {found.shape[1]} and {found.shape[2]}"
        )
    return ProfileLoss(settings, source.targets, source.epoch(1).targets)
