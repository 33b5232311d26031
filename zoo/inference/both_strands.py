"""Predictions that do not depend on the strand: the mean over a sequence and its reverse complement.

The published network was trained on both strands, yet the strand moves a prediction by up to 1.5; the mean takes that
out for twice the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

import numpy as np

from zoo.dna.encoding import reverse_complement
from zoo.errors import ZooError
from zoo.system import futures

Submit = Callable[[np.ndarray], "Future[np.ndarray]"]
"""Base codes, uint8 (N, L) -> a Future of the activities, float32 (N, T), such as Session.submit."""

CHOICES = ("average",)
"""What `--rc` can be, besides not given."""


def average(submit: Submit, codes: np.ndarray) -> Future[np.ndarray]:
    """The mean of both strands: the same whichever strand is given."""
    given, other = submit(codes), submit(reverse_complement(codes))
    return futures.joined([given, other], lambda both: (both[0] + both[1]) * np.float32(0.5))


def with_choice(submit: Submit, choice: str | None) -> Submit:
    """`submit` itself for None, its mean of both strands for "average". Raises ZooError for anything else."""
    check(choice)
    return submit if choice is None else lambda codes: average(submit, codes)


def check(choice: str | None) -> None:
    """Raise ZooError unless `choice` is None or one of CHOICES."""
    if choice is not None and choice not in CHOICES:
        raise ZooError(f"rc: expected {' or '.join(CHOICES)}, got {choice!r}")
