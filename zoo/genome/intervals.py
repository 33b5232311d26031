"""Intervals of a genome to activities: the window around each centre, on the strand of the interval.

A window that leaves its contig is padded with N and counted. An interval that cannot be predicted is an error; with
`skip_bad` it is skipped, counted and named. An interval that is longer than the model is counted, and predicted around
its centre or in all its windows (summaries.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from zoo.dna.encoding import reverse_complement
from zoo.dna.windows import window_start
from zoo.errors import ZooError, counted
from zoo.formats import bed
from zoo.formats.bed import BadInterval, Interval
from zoo.formats.indexed_fasta import IndexedFasta, OtherLetter
from zoo.formats.table_writer import Column
from zoo.genome.options import IntervalOptions, SummaryOptions
from zoo.genome.summaries import Piece, kept_windows, summarized
from zoo.prediction.model import Model
from zoo.prediction.run import Predicted, PredictionJob
from zoo.spec import UNKNOWN_BASE
from zoo.system import futures

MOST_NAMED = 1000
"""The description names at most this number of skipped intervals, and of letters that are read as N."""

BATCH_BASES = 1 << 21
"""Bases of a batch, at most, before the last interval."""


@dataclasses.dataclass
class Counts:
    """Counts of what has been read.

    padded: windows that leave their contig.  skipped: intervals that `skip_bad` skips.
    mostly_unknown: windows with more than half Ns.  longer_than_the_model: intervals.
    ambiguous_letters: letters of all windows, or of longer intervals, that are read as N; see read_options.py.
    """

    records: int = 0
    padded: int = 0
    skipped: int = 0
    mostly_unknown: int = 0
    longer_than_the_model: int = 0
    ambiguous_letters: int = 0


@dataclasses.dataclass(frozen=True)
class IntervalJob(PredictionJob):
    """A PredictionJob whose records are intervals; `source` is unused."""

    intervals: IntervalOptions = dataclasses.field(default_factory=IntervalOptions)
    summarizing: SummaryOptions = dataclasses.field(default_factory=SummaryOptions)
    found: Callable[[Mapping[str, int]], Iterable[Interval | BadInterval]] | None = None
    """Gives the intervals of a genome's contigs (name -> bases), if neither a file nor a region has them."""

    UNIT: ClassVar[str] = "intervals"
    LABELS: ClassVar[Mapping[str, type]] = {"chrom": str, "start": int, "end": int, "name": str, "strand": str}

    def __post_init__(self) -> None:
        """Raises ZooError for percentiles of means, and for intervals around anything but one window."""
        if self.calibrated.calibration is not None and self.summarizing.summary != "center":
            raise ZooError(
                f"--calibration: is of single windows; --summary {self.summarizing.summary} has no interval around it"
            )
        if self.background is not None and self.summarizing.summary == "mean":
            raise ZooError(
                "--background: is of single windows; the mean over windows (--summary mean) has no percentile"
            )

    @property
    def sources(self) -> tuple[str | Path, ...]:
        return tuple(path for path in (self.intervals.bed, self.intervals.genome) if path is not None)

    def records(self, length: int, batch_size: int) -> IntervalRecords:
        return IntervalRecords(self, length, batch_size)

    def after(self, targets: Sequence[str]) -> dict[str, type]:
        """position_dev: 0-based centre of the window with the maximum."""
        return {f"position_{target}": int for target in targets} if self.summarizing.summary == "max" else {}

    def submit(self, model: Model, labels: Sequence[Column], batch: Any) -> Future[Predicted]:
        used = self.held_out.rows(labels[0]) if self.held_out else None
        if self.summarizing.summary == "center":
            return futures.joined([model.each.submit(batch, used)], lambda parts: Predicted(parts[0], used=used))
        values, places = summarized(model, batch, self.summarizing, used)
        return futures.done(Predicted(values, places.T.tolist() if self.summarizing.summary == "max" else (), used))


class IntervalRecords:
    """The intervals, in order, with their windows, or with their pieces to summarize; iterate over it once.

    centres: those of the windows so far, 0-based.  contigs: name -> bases of the genome, once it is open.
    Iterating raises ZooError if the genome or the intervals cannot be read, or for the first that cannot be predicted.
    """

    bytes_read = 0

    def __init__(self, job: IntervalJob, length: int, batch_size: int) -> None:
        self._job, self._options, self._length, self._batch_size = job, job.intervals, length, batch_size
        self._skipped: list[str] = []
        self._as_n: list[str] = []
        self.counts = Counts()
        self.centres: list[int] = []
        self.contigs: dict[str, int] = {}

    def __iter__(self) -> Iterator[tuple[Sequence[Column], Any]]:
        with IndexedFasta(self._options.genome or "", self._job.reading.ambiguous) as genome:
            self.contigs = dict(genome.contigs)
            rows: list[Interval] = []
            pieces: list[Piece] = []
            bases = 0
            for interval, piece in self._pieces(genome):
                rows.append(interval)
                pieces.append(piece)
                bases += len(piece.codes)
                if len(rows) == self._batch_size or bases > BATCH_BASES:
                    yield self._batch(rows, pieces)
                    rows, pieces, bases = [], [], 0
            if rows:
                yield self._batch(rows, pieces)
        if not self.counts.records:
            where = self._options.bed or "intervals"
            raise ZooError(f"{where}: none of its {counted(self.counts.skipped, 'intervals')} can be predicted")

    def described(self) -> dict[str, Any]:
        source = self._options.bed or self._options.region
        return {
            "inputs": [{"file": str(source), "records": self.counts.records}],
            "genome": str(self._options.genome),
            **dataclasses.asdict(self._job.summarizing),
            "skipped": self._skipped,
            "read_as_n": self._as_n,
        }

    def _pieces(self, genome: IndexedFasta) -> Iterator[tuple[Interval, Piece]]:
        path, skip_bad = self._options.bed, self._options.skip_bad
        for interval in self._found(genome):
            reason = interval.reason if isinstance(interval, BadInterval) else outside(genome, interval)
            if isinstance(interval, Interval) and reason is None:
                try:
                    yield interval, self._piece(genome, interval)
                except OtherLetter as error:
                    reason = str(error)
                else:
                    continue
            if self._options.region is None and skip_bad:
                self.counts.skipped += 1
                if len(self._skipped) < MOST_NAMED:
                    self._skipped.append(f"{interval.where}: {reason}")
            else:
                raise ZooError(f"{interval.where}: {reason}{'; --skip-bad skips such lines' if path else ''}")

    def _found(self, genome: IndexedFasta) -> Iterable[Interval | BadInterval]:
        if self._job.found is not None:
            return self._job.found(genome.contigs)
        path = self._options.bed
        return bed.read(path) if path else [bed.region(self._options.region or "", genome.contigs)]

    def _piece(self, genome: IndexedFasta, interval: Interval) -> Piece:
        """The window around the centre on its strand, or, to summarize a longer interval, all its bases."""
        summarizing, contig = self._job.summarizing, interval.contig
        is_longer = interval.end - interval.start > self._length
        if is_longer and summarizing.summary != "center":
            start, stop = interval.start, interval.end
            codes = genome.codes(contig, start, stop)
            kept, unknown = kept_windows(codes, self._length, summarizing.stride)
            self.counts.mostly_unknown += unknown
            piece = Piece(codes, start, interval.strand, interval.centre, kept)
        else:
            start = window_start(interval.centre, self._length)
            stop = start + self._length
            codes = genome.window(contig, start, self._length)
            self.counts.padded += start < 0 or stop > genome.contigs[contig]
            self.counts.mostly_unknown += int(np.count_nonzero(codes == UNKNOWN_BASE)) * 2 > self._length
            oriented = reverse_complement(codes) if interval.strand == "-" else codes
            piece = Piece(oriented, start, interval.strand, interval.centre)
        self.counts.longer_than_the_model += is_longer
        as_n = genome.ambiguous(contig, start, stop)
        self.counts.ambiguous_letters += len(as_n)
        for name in genome.named(contig, as_n[: MOST_NAMED - len(self._as_n)]):
            if name not in self._as_n:
                self._as_n.append(name)
        return piece

    def _batch(self, rows: list[Interval], pieces: list[Piece]) -> tuple[Sequence[Column], Any]:
        self.counts.records += len(rows)
        self.centres += [row.centre for row in rows]
        columns = zip(*((row.contig, row.start, row.end, row.name, row.strand) for row in rows), strict=True)
        center = self._job.summarizing.summary == "center"
        return tuple(columns), np.stack([piece.codes for piece in pieces]) if center else pieces


def outside(genome: IndexedFasta, interval: Interval) -> str | None:
    """Why an interval is not in the genome; None if it is."""
    if interval.contig not in genome.contigs:
        return genome.unknown_contig(interval.contig)
    bases = genome.contigs[interval.contig]
    if interval.end > bases:
        return f"expected an end within the {bases:,} bases of {interval.contig}, got {interval.end:,}"
    return None
