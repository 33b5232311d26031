"""Predictions that do not depend on the strand: the mean over a sequence and its reverse complement.

The published network was trained on both strands, yet the strand moves a prediction by up to 1.5; the mean takes that
out for twice the arithmetic. NumPy is imported when it computes, so that the command line can show the option at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from zoo.errors import ZooError

if TYPE_CHECKING:
    from concurrent.futures import Future

    import numpy as np

Submit = Callable[["np.ndarray"], "Future[np.ndarray]"]
"""Base codes, uint8 (N, L) -> a Future of the activities, float32 (N, T), such as Session.submit."""

CHOICES = ("average",)
"""What `--rc` can be, besides not given."""


@dataclasses.dataclass(frozen=True)
class StrandOptions:
    """Which strands of a sequence are predicted; by default the one that is given."""

    rc: str | None = None
    """Predict the mean of both strands, for twice the time."""

    def __post_init__(self) -> None:
        check(self.rc)


def average(submit: Submit, codes: np.ndarray) -> Future[np.ndarray]:
    """The mean of both strands: the same whichever strand is given."""
    from zoo.system import futures

    return futures.joined([submit(stacked(codes, "average"))], lambda parts: unstacked(parts[0], "average"))


def stacked(codes: np.ndarray, choice: str | None) -> np.ndarray:
    """What to predict at once, uint8 (N, L) or (2N, L): the codes, for "average" their other strands behind them."""
    if choice is None:
        return codes
    import numpy as np

    from zoo.dna.encoding import reverse_complement

    return np.concatenate([codes, reverse_complement(codes)])


def unstacked(activities: np.ndarray, choice: str | None) -> np.ndarray:
    """Activities of what `stacked` gave -> those of the codes, float32 (N, T), the same whichever strand is given."""
    half = len(activities) // 2
    return activities if choice is None else mean([activities[:half], activities[half:]])


def mean(both: Sequence[np.ndarray]) -> np.ndarray:
    """Activities of one strand and of the other, float32 (N, T) each -> their mean."""
    return (both[0] + both[1]) * 0.5


def with_choice(submit: Submit, choice: str | None) -> Submit:
    """`submit` itself for None, its mean of both strands for "average". Raises ZooError for anything else."""
    check(choice)
    return submit if choice is None else lambda codes: average(submit, codes)


def check(choice: str | None) -> None:
    """Raise ZooError unless `choice` is None or one of CHOICES."""
    if choice is not None and choice not in CHOICES:
        raise ZooError(f"rc: expected {' or '.join(CHOICES)}, got {choice!r}")
