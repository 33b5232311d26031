"""Peaks of a scan: the bases of windows whose percentile is high enough, merged, in narrowPeak format.

Windows that overlap or touch are one peak; its summit is the centre of the window with the highest value, the first of
equal ones. Axes: W windows, T targets, N sequences of the background.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TextIO

import numpy as np

from zoo.dna.windows import before_centre
from zoo.genome.aggregate import Stretch
from zoo.genome.pvalues import false_discovery_rates

SUFFIX = ".narrowPeak"

HIGHEST_SCORE = 1000
"""Largest score that genome browsers take (UCSC, BED format)."""


class Peak(NamedTuple):
    """The bases [start, end), the centre of the best window, its value, and the background's values at least as high.

    stretch: number of the stretch.
    """

    stretch: int
    contig: str
    start: int
    end: int
    centre: int
    value: np.float32
    at_least: int


class Peaks:
    """Collects the peaks of one target, from its windows in order, and counts how many windows have which rank."""

    def __init__(self, length: int, stride: int, threshold: float, size: int) -> None:
        """length: L of the windows.  threshold: least percentile.  size: N."""
        self._length, self._stride, self._size = length, stride, size
        self._threshold = np.float32(threshold)  # as percentiles are
        self._counts = np.zeros(size + 1, np.int64)
        self.found: list[Peak] = []

    def add(
        self,
        number: int,
        stretch: Stretch,
        first: int,
        values: np.ndarray,
        percentiles: np.ndarray,
        at_least: np.ndarray,
    ) -> None:
        """Further windows of a stretch, from its window `first`: float32 (W,), NaN where there is none, float32 (W,),
        and the values of the background that are at least as high, int64 (W,). number: that of the stretch."""
        there = ~np.isnan(values)
        self._counts += np.bincount(at_least[there], minlength=self._size + 1)
        over = np.flatnonzero(percentiles >= self._threshold)
        starts = stretch.start + (first + over) * self._stride
        bounds = np.flatnonzero(np.diff(starts) > self._length) + 1
        for windows in np.split(np.arange(len(over)), bounds) if len(over) else ():
            best = windows[values[over[windows]].argmax()]
            start, end = int(starts[windows[0]]), int(starts[windows[-1]]) + self._length
            centre = int(starts[best]) + before_centre(self._length)
            self._join(Peak(number, stretch.contig, start, end, centre, values[over[best]], int(at_least[over[best]])))

    def _join(self, peak: Peak) -> None:
        last = self.found[-1] if self.found else None
        if last is None or last.stretch != peak.stretch or peak.start > last.end:
            self.found.append(peak)
        else:
            best = peak if peak.value > last.value else last
            self.found[-1] = best._replace(start=last.start, end=peak.end)

    def p_and_q(self) -> tuple[np.ndarray, np.ndarray]:
        """For k = 0 to N values of the background that are at least as high: p = (k + 1) / (N + 1), and the false
        discovery rate q over all windows; float64 (N + 1,) each."""
        p = np.arange(1, self._size + 2) / (self._size + 1)
        return p, false_discovery_rates(p, self._counts)

    def write(self, file: TextIO, target: str) -> None:
        """Write the peaks.

        score is -log10 p, scaled so that the smallest p of the background has HIGHEST_SCORE.
        """
        p, q = (-np.log10(one) for one in self.p_and_q())
        for number, peak in enumerate(self.found, 1):
            value = np.format_float_positional(peak.value, trim="-")
            score = round(HIGHEST_SCORE * p[peak.at_least] / p[0])
            fields: Iterable[object] = (
                peak.contig, peak.start, peak.end, f"{target}_{number}", score, ".", value,
                f"{p[peak.at_least]:.6g}", f"{abs(q[peak.at_least]):.6g}", peak.centre - peak.start,
            )  # fmt: skip
            file.write("\t".join(map(str, fields)) + "\n")
