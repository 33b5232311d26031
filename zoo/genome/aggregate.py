"""The values of consecutive windows to the intervals of a track.

The bases around the centre of a window get its value, or every base the mean over all windows that cover it; or each
position of a profile is an interval. Memory does not grow with a contig. Axes: W windows, K intervals, T targets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from zoo.dna.windows import before_centre

CHUNK = 1 << 17
"""Windows that become intervals of a track in one step."""

Intervals = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Starts and ends, int64 (K,), sorted and without overlap, and values, float32 (K, T)."""


@dataclasses.dataclass(frozen=True)
class Stretch:
    """The bases [start, stop) of a contig; windows begin at start, start + stride and so on."""

    contig: str
    start: int
    stop: int


class Track(Protocol):
    """The track of one stretch."""

    def add(self, values: np.ndarray, last: bool) -> Iterator[Intervals]:
        """Further windows, (W, numbers) -> the intervals that later windows do not change. last: these are the last."""


class Positions:
    """The track of one stretch from the positions of a profile, which follow each other from window to window.

    start: bases of a window before its first position.  bases: those of a position.  targets: T.
    """

    def __init__(self, stretch: Stretch, start: int, bases: int, targets: int) -> None:
        self._next, self._bases, self._targets = stretch.start + start, bases, targets

    def add(self, values: np.ndarray, last: bool) -> Iterator[Intervals]:  # noqa: ARG002
        rows = values.reshape(len(values), self._targets, -1).transpose(0, 2, 1).reshape(-1, self._targets)
        starts = self._next + np.arange(len(rows)) * self._bases
        self._next += len(rows) * self._bases
        there = ~np.isnan(rows[:, 0])
        yield starts[there], starts[there] + self._bases, rows[there]


class Aggregator:
    """The track of one stretch; `add` takes its windows in order."""

    def __init__(self, stretch: Stretch, length: int, stride: int, aggregate: str) -> None:
        """length: L of the windows.  aggregate: "window" or "mean"."""
        self._stretch = stretch
        self._length = length
        self._stride = stride
        self._mean = aggregate == "mean"
        self._windows = 0
        self._kept = np.empty((0, 0))
        self._first_kept = self._done = 0

    def add(self, values: np.ndarray, last: bool) -> Iterator[Intervals]:
        """Further windows, float32 (W, T) -> the intervals that later windows do not change. last: these are the last
        windows."""
        for start in range(0, len(values), CHUNK):
            part = values[start : start + CHUNK]
            ends = last and start + CHUNK >= len(values)
            yield self._means(part, ends) if self._mean else self._around_centres(part)
            self._windows += len(part)

    def _around_centres(self, values: np.ndarray) -> Intervals:
        numbers = np.flatnonzero(~np.isnan(values[:, 0]))
        centres = self._stretch.start + (self._windows + numbers) * self._stride + before_centre(self._length)
        starts = centres - self._stride // 2
        ends = starts + self._stride
        bounds = self._stretch.start, self._stretch.stop
        return np.clip(starts, *bounds), np.clip(ends, *bounds), values[numbers]

    def _means(self, values: np.ndarray, last: bool) -> Intervals:
        """Positions are relative to the start of the stretch."""
        kept = np.concatenate([self._kept, values]) if self._kept.size else values
        first, count = self._first_kept, self._windows + len(values)
        end = (count - 1) * self._stride + self._length if last else count * self._stride
        # a mean changes only where a window begins or ends
        begins = np.arange(first, count) * self._stride
        breaks = np.concatenate([begins, begins + self._length, [self._done, end]])
        breaks = np.unique(breaks[(breaks >= self._done) & (breaks <= end)])
        positions = breaks[:-1]
        earliest = np.maximum(-((self._length - 1 - positions) // self._stride), first)
        latest = np.minimum(positions // self._stride, count - 1)
        means = _means_between(kept, earliest - first, latest + 1 - first)
        keep_from = max(first, (end - self._length) // self._stride + 1)
        self._kept, self._first_kept, self._done = kept[keep_from - first :], keep_from, end
        valid = ~np.isnan(means[:, 0])
        offset = self._stretch.start
        return breaks[:-1][valid] + offset, breaks[1:][valid] + offset, means[valid].astype(np.float32)


def _means_between(values: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Mean over the rows [start, stop) of values, (W, T), without NaNs: float64 (K, T), NaN if all are."""
    there = ~np.isnan(values[:, :1])
    rows = np.where(there, values, 0).astype(np.float64)
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(rows, axis=0)])
    counts = np.concatenate([np.zeros((1, 1)), np.cumsum(there, axis=0)])
    stops = np.maximum(starts, stops)
    with np.errstate(invalid="ignore"):
        return (sums[stops] - sums[starts]) / (counts[stops] - counts[starts])
