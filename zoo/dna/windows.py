"""Windows along a contig: their number, a view of all of them, and the window around a centre.

Window i holds the bases [i * stride, i * stride + length). Only whole windows count. Positions are 0-based.
"""

from __future__ import annotations

import numpy as np

from zoo.dna.encoding import check_codes
from zoo.errors import ZooError
from zoo.spec import UNKNOWN_BASE


def count(bases: int, length: int, stride: int) -> int:
    """Number of whole windows of `length` bases in `bases` bases."""
    return max(0, (bases - length) // stride + 1)


def cut(codes: np.ndarray, length: int, stride: int) -> np.ndarray:
    """Base codes, uint8 (B,) -> every window, uint8 (W, length): a view that takes no memory."""
    if len(codes) < length:
        return np.empty((0, length), np.uint8)
    return np.lib.stride_tricks.sliding_window_view(codes, length)[::stride]


def check(codes: np.ndarray, stride: int) -> None:
    """Raise ZooError unless `codes` is a uint8 array (B,) with values 0 to 4 and `stride` a positive whole number."""
    check_codes(codes)
    if isinstance(stride, bool) or not hasattr(stride, "__index__") or stride < 1:
        raise ZooError(f"stride: expected a positive whole number of bases, got {stride!r}")


def centre_of(start: int, end: int) -> int:
    """The centre of the interval [start, end), 0-based."""
    return (start + end) // 2


def before_centre(length: int) -> int:
    """Bases of a window before its centre: 124 of 249, so the window around c is [c - 124, c + 125)."""
    return length // 2


def window_start(centre: int, length: int) -> int:
    """Start of the window around `centre`, the same on both strands; negative if it leaves the contig."""
    return centre - before_centre(length)


def padded(codes: np.ndarray, before: int, after: int) -> np.ndarray:
    """Base codes, uint8 (B,), with `before` and `after` Ns added at the two ends."""
    first, last = (np.full(number, UNKNOWN_BASE, np.uint8) for number in (before, after))
    return np.concatenate([first, codes, last])


def unknown_bases(codes: np.ndarray, length: int, stride: int) -> np.ndarray:
    """Base codes, uint8 (B,) -> the number of Ns in every window, int64 (W,)."""
    before = np.concatenate([[0], np.cumsum(codes == UNKNOWN_BASE)])
    starts = np.arange(count(len(codes), length, stride)) * stride
    return before[starts + length] - before[starts]
