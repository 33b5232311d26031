"""Mean and standard deviation over the members of an ensemble: what one command shows, all show.

The standard deviation is that of a sample: ddof=1, the sum of squares over M - 1. Both are computed in float64, member
by member, and rounded to float32 once. They equal np.mean(runs, axis=0, dtype=float64) and np.std(runs, axis=0,
dtype=float64, ddof=1) of the members' own predictions to the bit. Axes: N sequences, M members, T targets.
"""

from __future__ import annotations

import numpy as np

from zoo.spec import ModelSpec


def mean_and_sd(each: np.ndarray, used: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the members, float32 (M, ...) -> their mean and their standard deviation, float32 (...).

    used: which members count, bool (M,) or of a shape that broadcasts to that of `each`; all by default. The standard
    deviation over one member is NaN.
    """
    wide = each.astype(np.float64)
    counts = None if used is None else np.broadcast_to(used, each.shape)
    count = len(each) if counts is None else counts.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = _sum(wide, counts) / count
        wide -= mean
        sd = np.sqrt(_sum(np.square(wide, out=wide), counts) / np.subtract(count, 1))
    return mean.astype(np.float32), sd.astype(np.float32)


def _sum(values: np.ndarray, counts: np.ndarray | None) -> np.ndarray:
    """The sum over the first axis, in order, of what counts. np.sum has another order for some shapes."""
    total = np.zeros(values.shape[1:])
    for member, value in enumerate(values):
        total += value if counts is None else np.where(counts[member], value, 0)
    return total


def by_member(numbers: np.ndarray, spec: ModelSpec) -> np.ndarray:
    """Numbers of an engine or of `Each`, (..., M * T) -> (M, ..., T); M is 1 for a single network."""
    members = numbers.shape[-1] // len(spec.targets)
    return np.moveaxis(numbers.reshape(*numbers.shape[:-1], members, len(spec.targets)), -2, 0)


def mean(numbers: np.ndarray, spec: ModelSpec, used: np.ndarray | None = None) -> np.ndarray:
    """float32 (..., M * T) -> the mean over the members, (..., T); the same array for a single network. used: which
    members count, bool (M,); by default all."""
    if not spec.members:
        return numbers
    each = by_member(numbers, spec)
    return mean_and_sd(each, None if used is None else used.reshape(-1, *[1] * (each.ndim - 1)))[0]
