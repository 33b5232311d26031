"""Effects over backgrounds: their mean, its confidence interval, and the effects themselves.

The interval of a mean is that of Student's t over the backgrounds. For an ensemble, the effect in a background is the
mean over the members; the standard deviation over the members is that of their mean effects.
Axes: B backgrounds, C conditions (rows of a table), M members, T targets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from zoo.errors import CheckFailed, require
from zoo.evaluation.metrics import LEVEL
from zoo.genome import pvalues
from zoo.prediction.model import Model
from zoo.spec import ModelSpec
from zoo.weights import spread

EDITS = 1 << 14
"""Edited sequences that are predicted together."""

ROUNDING = 2e-5
"""By how much the numbers of two runtimes may differ."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """A number for each condition and target, float64 (C, T).

    mean: over backgrounds, or what stands in their place.  low, high: its 95% confidence interval.  sd: standard
    deviation over backgrounds (ddof=1).
    members_sd: standard deviation of the mean over the members of an ensemble, else None.
    p, q: of a quantity that is tested, see `tested`, else None.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    sd: np.ndarray
    members_sd: np.ndarray | None = None
    p: np.ndarray | None = None
    q: np.ndarray | None = None

    def tested(self, backgrounds: int) -> Measured:
        """With p of the t test that the mean is 0, two-sided, and q by Benjamini and Hochberg over the C conditions,
        for each target. The standard error includes ROUNDING, so that no difference of rounding is significant."""
        from scipy.special import stdtr

        error = np.sqrt(self.sd**2 / backgrounds + ROUNDING**2)
        p = 2 * stdtr(backgrounds - 1, -np.abs(self.mean) / error)
        return dataclasses.replace(self, p=p, q=pvalues.q_values(p))


class Moments:
    """Mean and variance over backgrounds, added block by block (Chan, Golub, LeVeque 1983,
    doi:10.1080/00031305.1983.10483115)."""

    def __init__(self) -> None:
        self._count = 0
        self._mean: np.ndarray = np.zeros(())
        self._squares: np.ndarray = np.zeros(())
        self._of_members: np.ndarray = np.zeros(())

    def add(self, values: np.ndarray) -> None:
        """values: float (B, C, M, T)."""
        wide = values.astype(np.float64)
        over_members = wide.mean(2)
        count, mean = len(wide), over_members.mean(0)
        total = self._count + count
        apart = mean - self._mean
        self._squares = self._squares + ((over_members - mean) ** 2).sum(0) + apart**2 * (self._count * count / total)
        self._mean = self._mean + apart * (count / total)
        self._of_members = self._of_members + wide.sum(0)
        self._count = total

    def measured(self) -> Measured:
        """What was added. Needs scipy. With one background, all numbers but the mean are NaN."""
        require("scipy", "explain", "intervals")
        from scipy.special import stdtrit  # scipy.stats takes seconds to import

        with np.errstate(invalid="ignore"):
            sd = np.sqrt(self._squares / (self._count - 1))
        half = sd / np.sqrt(self._count) * stdtrit(self._count - 1, (1 + LEVEL) / 2)
        members = self._of_members / self._count
        return Measured(
            self._mean,
            self._mean - half,
            self._mean + half,
            sd,
            members.std(1, ddof=1) if members.shape[1] > 1 else None,
        )


def predicted(model: Model, codes: np.ndarray, targets: Sequence[int]) -> np.ndarray:
    """Base codes, uint8 (B, L) -> activities of the members, float32 (B, M, T)."""
    return of_members(model.each.predict(codes), model.spec, targets)


def edited(
    model: Model, codes: np.ndarray, changed: np.ndarray, rows: np.ndarray, targets: Sequence[int]
) -> np.ndarray:
    """Effects of edits, see Session.edits: uint8 (N, L), (E, L), and int (E,) -> float32 (E, M, T), in bounded memory
    beside the result. Raises CheckFailed for an effect that is not finite."""
    each = model.each
    parts = []
    for first in range(0, len(changed), EDITS):
        part = rows[first : first + EDITS]
        low, high = int(part.min()), int(part.max()) + 1
        found = each.edits(codes[low:high], changed[first : first + EDITS], part - low)
        if not np.isfinite(found).all():
            raise CheckFailed("the model gave an output that is not finite")
        parts.append(of_members(found, model.spec, targets))
    empty = np.empty((0, max(1, len(model.spec.members)), len(targets)), np.float32)
    return np.concatenate(parts) if parts else empty


def of_backgrounds(model: Model, codes: np.ndarray, changed: np.ndarray, targets: Sequence[int]) -> np.ndarray:
    """Effects of the same C edits in each background: uint8 (B, L) and (B, C, L) -> float32 (B, C, M, T)."""
    rows = np.repeat(np.arange(len(codes)), changed.shape[1])
    found = edited(model, codes, changed.reshape(-1, changed.shape[2]), rows, targets)
    return found.reshape(*changed.shape[:2], *found.shape[1:])


def of_members(numbers: np.ndarray, spec: ModelSpec, targets: Sequence[int]) -> np.ndarray:
    """Numbers of all members, float32 (..., M * T) -> those of some targets, (..., M, t)."""
    return np.moveaxis(spread.by_member(numbers, spec), 0, -2)[..., list(targets)]
