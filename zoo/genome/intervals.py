"""Intervals of a genome to activities: the window around each centre, on the strand of the interval.

A window that leaves its contig is padded with N and counted. What cannot be predicted is an error, or with `skip_bad`
counted and named.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from zoo.errors import ZooError
from zoo.genome.options import IntervalOptions
from zoo.prediction.run import PredictionJob, Records

if TYPE_CHECKING:
    import numpy as np

    from zoo.formats.bed import BadInterval, Interval
    from zoo.formats.indexed_fasta import IndexedFasta
    from zoo.formats.table_writer import Column

MOST_NAMED = 1000
"""Intervals that are skipped which the description names; the others are counted."""


NONE = IntervalOptions()


@dataclasses.dataclass
class Counts:
    """What has been read so far.

    padded: windows that leave their contig.  skipped: intervals that `skip_bad` leaves out.
    mostly_unknown: windows of which more than half is unknown.
    """

    records: int = 0
    padded: int = 0
    skipped: int = 0
    mostly_unknown: int = 0


@dataclasses.dataclass(frozen=True)
class IntervalJob(PredictionJob):
    """A PredictionJob whose records are intervals; `source` is unused."""

    intervals: IntervalOptions = NONE

    UNIT: ClassVar[str] = "intervals"
    LABELS: ClassVar[Mapping[str, type]] = {"chrom": str, "start": int, "end": int, "name": str, "strand": str}

    @property
    def sources(self) -> tuple[str | Path, ...]:
        return tuple(path for path in (self.intervals.bed, self.intervals.genome) if path is not None)

    def records(self, length: int, batch_size: int) -> Records:
        return IntervalRecords(self.intervals, length, batch_size)


class IntervalRecords:
    """The intervals, in order, with their windows; iterate over it once.

    Iterating raises ZooError if the genome or the intervals cannot be read, or for the first that cannot be predicted.
    """

    bytes_read = 0

    def __init__(self, options: IntervalOptions, length: int, batch_size: int) -> None:
        self._options = options
        self._length = length
        self._batch_size = batch_size
        self._skipped: list[str] = []
        self.counts = Counts()
        self.centres: list[int] = []
        """Of the windows so far, 0-based."""
        self.contigs: dict[str, int] = {}
        """Of the genome, once it is open: name -> bases."""

    def __iter__(self) -> Iterator[tuple[Sequence[Column], np.ndarray]]:
        import numpy as np

        from zoo.formats.indexed_fasta import IndexedFasta
        from zoo.spec import UNKNOWN_BASE

        with IndexedFasta(self._options.genome or "") as genome:
            self.contigs = dict(genome.contigs)
            rows: list[Interval] = []
            codes = np.empty((self._batch_size, self._length), np.uint8)
            for interval in self._intervals(genome):
                codes[len(rows)] = self._window(genome, interval)
                rows.append(interval)
                if len(rows) == self._batch_size:
                    yield self._batch(rows, codes, UNKNOWN_BASE)
                    rows, codes = [], np.empty_like(codes)
            if rows:
                yield self._batch(rows, codes[: len(rows)], UNKNOWN_BASE)
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
        from zoo.formats import bed
        from zoo.formats.bed import BadInterval, Interval

        found: Iterator[Interval | BadInterval]
        found = bed.read(self._options.bed) if self._options.bed else iter([bed.region(self._options.region or "")])
        for one in found:
            reason = one.reason if isinstance(one, BadInterval) else outside(genome, one)
            if reason is None and isinstance(one, Interval):
                yield one
                continue
            if not (self._options.skip_bad and self._options.bed):
                advice = "; --skip-bad leaves such lines out" if self._options.bed else ""
                raise ZooError(f"{one.where}: {reason}{advice}")
            self.counts.skipped += 1
            if len(self._skipped) < MOST_NAMED:
                self._skipped.append(f"{one.where}: {reason}")

    def _window(self, genome: IndexedFasta, interval: Interval) -> np.ndarray:
        from zoo.dna.encoding import reverse_complement
        from zoo.dna.windows import window_start

        start = window_start(interval.centre, self._length)
        self.counts.padded += start < 0 or start + self._length > genome.contigs[interval.contig]
        codes = genome.window(interval.contig, start, self._length)
        return reverse_complement(codes) if interval.strand == "-" else codes

    def _batch(self, rows: list[Interval], codes: np.ndarray, unknown: int) -> tuple[Sequence[Column], np.ndarray]:
        self.counts.records += len(rows)
        self.centres += [one.centre for one in rows]
        self.counts.mostly_unknown += int(((codes == unknown).sum(1) * 2 > self._length).sum())
        columns = zip(*((one.contig, one.start, one.end, one.name, one.strand) for one in rows), strict=True)
        return tuple(columns), codes


def outside(genome: IndexedFasta, interval: Interval) -> str | None:
    """Why the window of an interval is not in the genome; None if it is."""
    if interval.contig not in genome.contigs:
        return genome.unknown_contig(interval.contig)
    bases = genome.contigs[interval.contig]
    if interval.end > bases:
        return f"expected an end within the {bases:,} bases of {interval.contig}, got {interval.end:,}"
    return None
