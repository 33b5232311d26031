"""Intervals of a genome to activities: the window around each centre, on the strand of the interval.

A window that leaves its contig is padded with N and counted. An interval that cannot be predicted is an error; with
`skip_bad` it is skipped, counted and named.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from zoo.dna.encoding import reverse_complement
from zoo.dna.windows import window_start
from zoo.errors import ZooError
from zoo.formats import bed
from zoo.formats.bed import BadInterval, Interval
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.formats.table_writer import Column
from zoo.genome.options import IntervalOptions
from zoo.prediction.run import PredictionJob, Records
from zoo.spec import UNKNOWN_BASE

MOST_NAMED = 1000
"""The description names at most this number of skipped intervals."""


@dataclasses.dataclass
class Counts:
    """Counts of what has been read.

    padded: windows that leave their contig.  skipped: intervals that `skip_bad` skips.
    mostly_unknown: windows with more than half Ns.
    """

    records: int = 0
    padded: int = 0
    skipped: int = 0
    mostly_unknown: int = 0


@dataclasses.dataclass(frozen=True)
class IntervalJob(PredictionJob):
    """A PredictionJob whose records are intervals; `source` is unused."""

    intervals: IntervalOptions = dataclasses.field(default_factory=IntervalOptions)

    UNIT: ClassVar[str] = "intervals"
    LABELS: ClassVar[Mapping[str, type]] = {"chrom": str, "start": int, "end": int, "name": str, "strand": str}

    @property
    def sources(self) -> tuple[str | Path, ...]:
        return tuple(path for path in (self.intervals.bed, self.intervals.genome) if path is not None)

    def records(self, length: int, batch_size: int) -> Records:
        return IntervalRecords(self.intervals, length, batch_size)


class IntervalRecords:
    """The intervals, in order, with their windows; iterate over it once.

    centres: those of the windows so far, 0-based.  contigs: name -> bases of the genome, once it is open.
    Iterating raises ZooError if the genome or the intervals cannot be read, or for the first that cannot be predicted.
    """

    bytes_read = 0

    def __init__(self, options: IntervalOptions, length: int, batch_size: int) -> None:
        self._options, self._length, self._batch_size = options, length, batch_size
        self._skipped: list[str] = []
        self.counts = Counts()
        self.centres: list[int] = []
        self.contigs: dict[str, int] = {}

    def __iter__(self) -> Iterator[tuple[Sequence[Column], np.ndarray]]:
        with IndexedFasta(self._options.genome or "") as genome:
            self.contigs = dict(genome.contigs)
            rows: list[Interval] = []
            windows: list[np.ndarray] = []
            for interval in self._intervals(genome):
                rows.append(interval)
                windows.append(self._window(genome, interval))
                if len(rows) == self._batch_size:
                    yield self._batch(rows, np.stack(windows))
                    rows, windows = [], []
            if rows:
                yield self._batch(rows, np.stack(windows))
        if not self.counts.records:
            raise ZooError(f"{self._options.bed}: none of its {self.counts.skipped:,} intervals can be predicted")

    def described(self) -> dict[str, Any]:
        source = self._options.bed or self._options.region
        return {
            "inputs": [{"file": str(source), "records": self.counts.records}],
            "genome": str(self._options.genome),
            "skipped": self._skipped,
        }

    def _intervals(self, genome: IndexedFasta) -> Iterator[Interval]:
        path = self._options.bed
        for interval in bed.read(path) if path else [bed.region(self._options.region or "")]:
            reason = interval.reason if isinstance(interval, BadInterval) else outside(genome, interval)
            if isinstance(interval, Interval) and reason is None:
                yield interval
            elif path and self._options.skip_bad:
                self.counts.skipped += 1
                if len(self._skipped) < MOST_NAMED:
                    self._skipped.append(f"{interval.where}: {reason}")
            else:
                raise ZooError(f"{interval.where}: {reason}{'; --skip-bad skips such lines' if path else ''}")

    def _window(self, genome: IndexedFasta, interval: Interval) -> np.ndarray:
        start = window_start(interval.centre, self._length)
        self.counts.padded += start < 0 or start + self._length > genome.contigs[interval.contig]
        codes = genome.window(interval.contig, start, self._length)
        return reverse_complement(codes) if interval.strand == "-" else codes

    def _batch(self, rows: list[Interval], codes: np.ndarray) -> tuple[Sequence[Column], np.ndarray]:
        self.counts.records += len(rows)
        self.centres += [row.centre for row in rows]
        self.counts.mostly_unknown += int(((codes == UNKNOWN_BASE).sum(1) * 2 > self._length).sum())
        columns = zip(*((row.contig, row.start, row.end, row.name, row.strand) for row in rows), strict=True)
        return tuple(columns), codes


def outside(genome: IndexedFasta, interval: Interval) -> str | None:
    """Why an interval is not in the genome; None if it is."""
    if interval.contig not in genome.contigs:
        return genome.unknown_contig(interval.contig)
    bases = genome.contigs[interval.contig]
    if interval.end > bases:
        return f"expected an end within the {bases:,} bases of {interval.contig}, got {interval.end:,}"
    return None
