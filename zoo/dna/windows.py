"""Where a window lies: the one place that says what stands around a centre, on either strand, for any length L.

Positions are 0-based, stretches half-open. L = 249 around the centre c is [c - 124, c + 125).
"""

from __future__ import annotations

import numpy as np

from zoo.spec import UNKNOWN_BASE


def centre_of(start: int, end: int) -> int:
    """The centre of the interval [start, end)."""
    return (start + end) // 2


def before_centre(length: int) -> int:
    """Bases of a window of `length` that lie before its centre: 124 of 249."""
    return length // 2


def window_start(centre: int, length: int) -> int:
    """The first base of the window of `length` around `centre`; negative where it leaves the contig."""
    return centre - before_centre(length)


def count(length: int, window: int, stride: int) -> int:
    """How many windows at 0, stride, 2 * stride ... lie wholly inside `length` bases."""
    return max(0, (length - window) // stride + 1)


def padded(codes: np.ndarray, before: int, after: int) -> np.ndarray:
    """Base codes, uint8 (B,), with so many Ns on either side; the array itself where there are none."""
    if not before and not after:
        return codes
    ends = (np.full(max(0, number), UNKNOWN_BASE, np.uint8) for number in (before, after))
    first, last = ends
    return np.concatenate([first, codes, last])


def unknown_bases(codes: np.ndarray, window: int, stride: int) -> np.ndarray:
    """Base codes, uint8 (B,) -> the number of Ns in each window, int64 (W,)."""
    before = np.concatenate([[0], np.cumsum(codes == UNKNOWN_BASE)])
    starts = np.arange(count(len(codes), window, stride)) * stride
    return before[starts + window] - before[starts]
