"""Predictions that do not depend on the strand: the mean over a sequence and its reverse complement.

The published network was trained on both strands, yet the strand moves a prediction by up to 1.5; the mean takes that
out for twice the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zoo.dna.encoding import reverse_complement
from zoo.errors import ZooError

Begin = Callable[[np.ndarray], Callable[[], np.ndarray]]
"""Base codes, uint8 (N, L) -> a function that waits for the activities, float32 (N, T), such as Session.begin."""

CHOICES = ("average",)
"""What `--rc` can be, besides not given."""


def average(begin: Begin, codes: np.ndarray) -> Callable[[], np.ndarray]:
    """The mean of both strands, begun: the same whichever strand is given."""
    given, other = begin(codes), begin(reverse_complement(codes))
    return lambda: (given() + other()) * np.float32(0.5)


def oriented(begin: Begin, choice: str | None) -> Begin:
    """`begin` itself for None, its strand average for "average". Raises ZooError for anything else."""
    check(choice)
    return begin if choice is None else lambda codes: average(begin, codes)


def check(choice: str | None) -> None:
    """Raise ZooError unless `choice` is None or one of CHOICES."""
    if choice is not None and choice not in CHOICES:
        raise ZooError(f"rc: expected {' or '.join(CHOICES)}, got {choice!r}")
