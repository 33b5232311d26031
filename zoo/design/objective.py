"""What a design is for: the prediction of one target, for an ensemble less a share of its spread.

The evolution works with the numbers of all members, since the spread of a sequence does not follow from the effects of
substitutions on the mean. Axes: N sequences, L positions, M members, T targets.
"""

from __future__ import annotations

import numpy as np

from zoo.design.options import DesignOptions
from zoo.errors import ZooError
from zoo.prediction.model import Model
from zoo.weights import spread


class Objective:
    """The value of sequences for one target, higher is better: the prediction, or its negative to lower it, minus
    `risk` standard deviations over the members.

    Raises ZooError for an unknown target, and for a risk without an ensemble.
    """

    def __init__(self, model: Model, target: str | int, options: DesignOptions) -> None:
        if options.risk and not model.spec.members:
            raise ZooError("risk: needs an ensemble, whose members differ where a prediction is unsure")
        self.target = model.spec.target_index(target)
        self._each, self._spec = model.each, model.spec
        self._sign, self._risk = np.float32(-1 if options.lower else 1), np.float32(options.risk)
        self.reach = None if options.reach is None else self._sign * np.float32(options.reach)

    def predict(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L) -> numbers of all members, float32 (N, M * T)."""
        return self._each.predict(codes)

    def mutants(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L) -> effects of all substitutions on these, float32 (N, L, 4, M * T)."""
        return self._each.mutants(codes)

    def means(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers of all members, (..., M * T) -> predictions, float32 (..., T)."""
        return spread.mean(numbers, self._spec)

    def spreads(self, numbers: np.ndarray) -> np.ndarray | None:
        """Numbers of all members -> standard deviations, float32 (..., T); None for a single network."""
        return spread.mean_and_sd(spread.by_member(numbers, self._spec))[1] if self._spec.members else None

    def values(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers of all members, (..., M * T) -> values, float32 (...)."""
        if not self._spec.members:
            return np.asarray(self._sign * numbers[..., self.target])
        mean, sd = spread.mean_and_sd(spread.by_member(numbers, self._spec)[..., self.target])
        value: np.ndarray = self._sign * mean
        return value - self._risk * sd if self._risk else value
