"""Predictions that do not depend on the strand: the mean over a sequence and its reverse complement.

The published network was trained on both strands, yet the strand moves a prediction by up to 1.5; the mean takes that
out for twice the arithmetic. Works on any function from base codes to activities.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zoo.encoding import reverse_complement
from zoo.errors import ZooError

Predict = Callable[[np.ndarray], np.ndarray]
"""Base codes, uint8 (N, L) -> activities, float32 (N, T), such as Session.predict."""

CHOICES = ("average",)
"""What `--rc` can be, besides not given."""


def average(predict: Predict, codes: np.ndarray) -> np.ndarray:
    """Base codes, uint8 (N, L) -> float32 (N, T): mean of both strands, the same whichever strand is given."""
    return (predict(codes) + predict(reverse_complement(codes))) * np.float32(0.5)


def oriented(predict: Predict, choice: str | None) -> Predict:
    """`predict` itself for None, its strand average for "average". Raises ZooError for anything else."""
    check(choice)
    return predict if choice is None else lambda codes: average(predict, codes)


def check(choice: str | None) -> None:
    """Raise ZooError unless `choice` is None or one of CHOICES."""
    if choice is not None and choice not in CHOICES:
        raise ZooError(f"rc: expected {' or '.join(CHOICES)}, got {choice!r}")
