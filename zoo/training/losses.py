"""What a training minimizes: the loss of a batch, of the training split and of the validation split, in one formula.

Every loss is 0 for a perfect prediction, and its gradient is that of PyTorch's loss of the same name. Some losses count
each target (`BY_TARGET`), some a whole row, whose targets are the bins of one distribution.
Axes: N sequences, T targets, K terms of the loss. Needs PyTorch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from zoo.errors import ZooError
from zoo.spec import listed
from zoo.training.config import TrainConfig, loss_name, weight
from zoo.training.per_target import read, resolve


def _poisson(predicted: Tensor, observed: Tensor) -> Tensor:
    """Half of the Poisson deviance of the mean exp(predicted): PoissonNLLLoss, less its value at the measurement."""
    return predicted.exp() - observed * predicted + torch.xlogy(observed, observed) - observed


BY_TARGET: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": lambda predicted, observed: (predicted - observed).square(),
    "l1": lambda predicted, observed: (predicted - observed).abs(),
    "huber": lambda predicted, observed: functional.huber_loss(predicted, observed, reduction="none"),
    "poisson": _poisson,
}
"""Loss -> its values, (N, T) and (N, T) -> (N, T). Predictions of poisson are logarithms of the expected counts."""


def _divergence(shares: Tensor, predicted: Tensor) -> Tensor:
    """Kullback-Leibler divergence of each row from the softmax of its predictions to its shares, (N, T) -> (N, 1)."""
    log_predicted = functional.log_softmax(predicted, 1)
    return (torch.xlogy(shares, shares) - shares * log_predicted).sum(1, keepdim=True)


def _of_bins(predicted: Tensor, observed: Tensor) -> Tensor:
    """The measurements of a row are counts or shares of the bins of one distribution."""
    return _divergence(observed / observed.sum(1, keepdim=True).clamp(min=1e-30), predicted)


def _between_targets(predicted: Tensor, observed: Tensor) -> Tensor:
    """The term of Malinois's loss that compares which targets a row prefers (L1KLmixed in sjgosai/boda2)."""
    return _divergence(observed.softmax(1), predicted)


@dataclasses.dataclass(frozen=True)
class Term:
    """A part of the loss: some targets, of which each has a column, or all together have one.

    columns: the targets, as an index of arrays (N, T).  weights: one for each column of the term.
    errors: predictions and measurements of these targets, the latter without NaN -> (N, columns of the term).
    """

    name: str
    columns: slice | list[int]
    weights: list[float]
    errors: Callable[[Tensor, Tensor], Tensor]

    @property
    def of_rows(self) -> bool:
        """Whether a row counts as a whole: a row with a missing measurement is then left out."""
        return self.name not in BY_TARGET


class Loss:
    """The loss that settings describe for these targets: weighted sum over terms of the mean over measured rows.

    Raises ZooError if the settings do not fit the targets.
    """

    def __init__(self, settings: TrainConfig, targets: Sequence[str]) -> None:
        self.targets = tuple(targets)
        kinds = resolve("loss", read("loss", settings.loss, loss_name), targets)
        weights = resolve("target-weights", read("target-weights", settings.target_weights or ("1",), weight), targets)
        self.terms = [_term(kind, kinds, weights, targets) for kind in dict.fromkeys(kinds)]
        if settings.divergence and len(targets) > 1:  # a target alone is not compared, and its divergence is 0
            self.terms.append(Term("divergence", slice(None), [settings.divergence], _between_targets))
        self._weights = [one for term in self.terms for one in term.weights]

    def names(self, term: Term) -> tuple[str, ...]:
        """The targets of a term."""
        return tuple(np.array(self.targets, object)[term.columns])

    @property
    def columns(self) -> int:
        """Numbers that `kept` keeps of a sequence."""
        return len(self.targets)

    def kept(self, predicted: Tensor, observed: Tensor) -> Tensor:  # noqa: ARG002
        """What the metrics of a split need of each sequence: its predictions."""
        return predicted

    def metrics(self, kept: np.ndarray) -> dict[str, float | None]:  # noqa: ARG002
        """Further metrics of a split, by name: none."""
        return {}

    def check(self, observed: np.ndarray) -> None:
        """Raise ZooError if measurements (N, T) are not what a loss is for: counts, or shares of bins."""
        for term in self.terms:
            if term.name not in ("poisson", "kl"):
                continue
            values = observed[:, term.columns]
            for name, column in zip(self.names(term), values.T, strict=True):
                if (column < 0).any():
                    raise ZooError(
                        f"loss {term.name}: expected no measurement below 0, got {np.nanmin(column):g} for {name}"
                    )
            if term.of_rows and (values.sum(1) == 0).any():
                row = int((values.sum(1) == 0).argmax()) + 1
                raise ZooError(
                    f"loss {term.name}: expected a share above 0 in a bin of each sequence, got none in row {row}"
                )

    def measured(self, observed: Tensor) -> Tensor:
        """Measurements (N, T), NaN where missing -> which of them count, bool (N, K)."""
        present = ~observed.isnan()
        return self._joined(
            [
                present[:, term.columns].all(1, keepdim=True) if term.of_rows else present[:, term.columns]
                for term in self.terms
            ]
        )

    def errors(self, predicted: Tensor, observed: Tensor) -> Tensor:
        """Predictions (N, T) and measurements (N, T) -> what each adds to the loss, (N, K), any value where missing."""
        known = observed.nan_to_num()
        return self._joined([term.errors(predicted[:, term.columns], known[:, term.columns]) for term in self.terms])

    def __call__(self, predicted: Tensor, observed: Tensor, counts: Tensor | None = None) -> Tensor:
        """The loss of predictions (N, T): a number that can be differentiated.

        counts: measured rows of each term (K,), of the joint batch if these rows are one process's share of it: the sum
        over the processes is then the loss of the batch.
        """
        present = self.measured(observed)
        counts = present.sum(0) if counts is None else counts
        errors = torch.where(present, self.errors(predicted.to(observed.dtype), observed), 0.0)
        means = errors.sum(0) / counts.clamp(min=1)
        return means @ torch.tensor(self._weights, dtype=means.dtype, device=means.device)

    def of_arrays(self, predicted: np.ndarray, observed: np.ndarray) -> float | None:
        """The loss of a whole split, (N, T) and (N, T), in float64.

        None without measurements, and if a prediction of a measured row is not finite: a loss over the other rows or
        targets would be lower for a worse network.
        """
        theirs, ours = (torch.from_numpy(np.asarray(values, np.float64)) for values in (predicted, observed))
        value = float(self(theirs, ours)) if self.measured(ours).any() else np.nan
        return value if np.isfinite(value) else None

    def of_a_constant(self, observed: np.ndarray) -> float:
        """About the lowest loss of one prediction for all rows of a batch. observed: (N, T), NaN where missing."""
        values = torch.from_numpy(observed.astype(np.float64))
        constant = torch.zeros(values.shape[1], dtype=values.dtype)
        for term in self.terms:
            if term.name != "divergence":
                own = values[:, term.columns]
                middle = own.nanmedian(0).values if term.name in ("l1", "huber") else own.nanmean(0)
                constant[term.columns] = middle.log() if term.name in ("poisson", "kl") else middle
        return float(self(constant.nan_to_num(neginf=-700.0).expand_as(values), values))

    @staticmethod
    def _joined(parts: list[Tensor]) -> Tensor:
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def _term(kind: str, kinds: Sequence[str], weights: Sequence[float], targets: Sequence[str]) -> Term:
    """The term of all targets with this kind of loss. Raises ZooError for bins that are alone or differ in weight."""
    mine = [number for number, one in enumerate(kinds) if one == kind]
    own = [weights[number] for number in mine]
    columns = slice(None) if len(mine) == len(kinds) else mine
    if kind in BY_TARGET:
        return Term(kind, columns, own, BY_TARGET[kind])
    names = listed([targets[number] for number in mine])
    if len(mine) < 2 or len(set(own)) > 1:
        raise ZooError(f"loss {kind}: expected several bins with the same weight, got {names} with weights {own}")
    return Term(kind, columns, own[:1], _of_bins)
