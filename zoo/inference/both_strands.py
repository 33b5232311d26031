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
    from zoo.dna.encoding import reverse_complement
    from zoo.system import futures

    given, other = submit(codes), submit(reverse_complement(codes))
    return futures.joined([given, other], mean)


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
