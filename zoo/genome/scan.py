"""A genome's windows to tracks: every window that lies wholly inside a contig or a region, in parts.

A part holds the values of consecutive windows, NaN for those with too many Ns; joining the parts makes the tracks, see
aggregate.py. So how they are joined may be chosen anew, and what shards computed stays.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np

from zoo.dna import windows
from zoo.dna.windows import unknown_bases
from zoo.errors import CheckFailed, ZooError, require
from zoo.formats import bed, table_writer, tracks
from zoo.formats.bed import BadInterval, Interval
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.genome import shards
from zoo.genome.aggregate import Aggregator, Stretch
from zoo.genome.intervals import outside
from zoo.genome.job import GenomeJob, Outputs, Plan
from zoo.genome.options import ScanOptions
from zoo.genome.shards import Arrays, Parts, Progress
from zoo.prediction import description
from zoo.prediction.model import Model
from zoo.prediction.run import description_path
from zoo.spec import ModelSpec
from zoo.system.atomic import replacing_together

BLOCK_BASES = 1 << 18
"""Bases whose windows are predicted together, as many as a Session hands to its engine at once; then it is said how far
the scan is."""

VALUES = "values"

LEFT_OUT = "left_out_for_Ns"
"""Windows that have no value."""

TOO_SHORT = "regions_too_short"
"""Regions of a BED file in which no window lies."""


@dataclasses.dataclass(frozen=True)
class ScanJob(GenomeJob):
    """Which windows of a genome to scan; `output` is the beginning of the tracks' names, tracks/dm6."""

    options: ScanOptions = dataclasses.field(default_factory=ScanOptions)

    def start(self, threads: int | None = None) -> Scan:
        model = self.loading.load(threads)
        return Scan(IndexedFasta(self.genome), model.spec, self, model)

    def absolute(self) -> Self:
        regions = self.options.regions
        options = dataclasses.replace(self.options, regions=regions and regions.absolute())
        return dataclasses.replace(super().absolute(), options=options)

    @property
    def inputs(self) -> tuple[Path | None, ...]:
        return *super().inputs, self.options.regions

    def check_options(self, spec: ModelSpec) -> None:  # noqa: ARG002 - the same for every model
        self.options.check()

    def outputs(self, spec: ModelSpec) -> list[Path]:
        """The description, and the tracks."""
        found = tracks.paths(self.output, self.options.format, spec.targets)
        if self.options.format == "bigwig":
            require("pyBigWig", "genome", "--format bigwig")
        if self.options.format == "parquet":
            table_writer.check_name(found[-1])
        return [description_path(self.output), *found]

    def plan(self, spec: ModelSpec, genome: IndexedFasta) -> Plan:
        scan = Scan(genome, spec, self)
        return Plan(scan.identity(), [scan.size(part) for part in range(scan.parts)], scan.join)


@dataclasses.dataclass(frozen=True)
class Piece:
    """Consecutive windows of a stretch, the first of which is its window number `first`."""

    stretch: Stretch
    first: int
    count: int
    last: bool
    """Whether they are the last of the stretch."""


class Scan:
    """The windows of a ScanJob, in parts: a Work of shards.py."""

    def __init__(self, genome: IndexedFasta, spec: ModelSpec, job: ScanJob, model: Model | None = None) -> None:
        """model: what computes; None to join parts only. Raises ZooError for regions that are none."""
        self.genome = genome
        self._model = model
        self.spec = spec
        self.job = job
        self.runtime = model.runtime if model else ""
        self.stretches = _stretches(genome, job.options)
        self._plan = list(_planned(self.stretches, spec.sequence_length, job.options.stride, job.sharing.part_size))
        self.parts = len(self._plan)
        if not self._plan:
            searched = job.options.regions or job.options.region or job.genome
            raise ZooError(f"{searched}: no window of {spec.sequence_length} bases lies in it")

    def size(self, part: int) -> int:
        return sum(piece.count for piece in self._plan[part])

    def identity(self) -> dict[str, Any]:
        """What decides the values of the windows."""
        options = self.job.options
        own = {
            "stride": options.stride,
            "max_n": options.max_n,
            "regions": shards.digest([dataclasses.astuple(stretch) for stretch in self.stretches]),
        }
        return self.job.identity("scan", self.spec, self.genome, own)

    def compute(self, part: int, on_progress: Progress) -> Arrays:
        pieces = [block for piece in self._plan[part] for block in self._predicted(piece, on_progress)]
        return {VALUES: np.concatenate(pieces)}

    def _predicted(self, piece: Piece, on_progress: Progress) -> Iterator[np.ndarray]:
        stride, length = self.job.options.stride, self.spec.sequence_length
        several = max(1, BLOCK_BASES // stride)
        for first in range(piece.first, piece.first + piece.count, several):
            count = min(several, piece.first + piece.count - first)
            start = piece.stretch.start + first * stride
            codes = self.genome.codes(piece.stretch.contig, start, start + (count - 1) * stride + length)
            yield self._values(codes)
            on_progress(count)

    def _values(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (B,) -> float32 (W, T), NaN for windows with too many Ns."""
        if self._model is None:
            raise RuntimeError("a scan without a model can join parts only")
        stride, length = self.job.options.stride, self.spec.sequence_length
        wanted = unknown_bases(codes, length, stride) <= self.job.options.max_n * length
        values = np.full((len(wanted), len(self.spec.targets)), np.nan, np.float32)
        if wanted.any():
            # from the first to the last of them: gaps of an assembly are long, and mostly at the ends of a block
            first, last = int(wanted.argmax()), len(wanted) - int(wanted[::-1].argmax())
            values[first:last] = self._model.windows(codes[first * stride : (last - 1) * stride + length], stride)
            if not np.isfinite(values[wanted]).all():
                raise CheckFailed(f"{self.job.genome}: an output of the model came out as no finite number")
            values[~wanted] = np.nan
        return values

    def intervals(
        self, parts: Parts, counts: dict[str, int]
    ) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
        """Contig, starts, ends and values of the tracks, from the parts in order; windows are counted on the way."""
        options = self.job.options
        aggregator: Aggregator | None = None
        for part, pieces in enumerate(self._plan):
            values = parts.read(part)[VALUES]
            if values.shape != (self.size(part), len(self.spec.targets)) or values.dtype != np.float32:
                raise ZooError(f"{parts.path(part)}: is damaged, remove it ({values.dtype} {values.shape})")
            counts["records"] += len(values)
            counts[LEFT_OUT] += int(np.isnan(values[:, 0]).sum())
            done = 0
            for piece in pieces:
                if piece.first == 0 or aggregator is None:
                    linear = options.scale == "linear"
                    aggregator = Aggregator(
                        piece.stretch, self.spec.sequence_length, options.stride, options.aggregate, linear
                    )
                for starts, ends, means in aggregator.add(values[done : done + piece.count], piece.last):
                    yield piece.stretch.contig, starts, ends, means
                done += piece.count

    def join(self, parts: Parts, outputs: Outputs) -> dict[str, Any]:
        """Write the tracks and their description, all or none. Returns the description."""
        job, spec = self.job, self.spec
        counts = {"records": 0, LEFT_OUT: 0}
        if job.options.regions is not None:
            sizes = [stretch.stop - stretch.start for stretch in self.stretches]
            counts[TOO_SHORT] = sum(size < spec.sequence_length for size in sizes)
        with replacing_together(outputs, job.inputs) as (beside, *files):
            with tracks.opened(files, job.options.format, self.genome.contigs, spec.targets) as track:
                for contig, starts, ends, values in self.intervals(parts, counts):
                    track.write(contig, starts, ends, values)
            described = {
                **job.described(spec, parts),
                "rc": job.loading.rc,
                "scan": {
                    name: str(value) if isinstance(value, Path) else value
                    for name, value in dataclasses.asdict(job.options).items()
                },
                "sequence_length": spec.sequence_length,
                "targets": list(spec.targets),
                "counts": counts,
                "tracks": {
                    path.name: description.facts(file) for path, file in zip(list(outputs)[1:], files, strict=True)
                },
            }
            beside.write_text(json.dumps(described, indent=2) + "\n")
        return described


def _stretches(genome: IndexedFasta, options: ScanOptions) -> list[Stretch]:
    """Contigs, or regions sorted as the genome is. Raises ZooError for what is none, or where two overlap."""
    if options.region is None and options.regions is None:
        return [Stretch(name, 0, bases) for name, bases in genome.contigs.items()]
    found = bed.read(options.regions) if options.regions else iter([bed.region(options.region or "")])
    regions: list[Interval] = []
    for one in found:
        reason = one.reason if isinstance(one, BadInterval) else outside(genome, one)
        if reason is not None:
            raise ZooError(f"{one.where}: {reason}")
        if isinstance(one, Interval):
            regions.append(one)
    order = {name: place for place, name in enumerate(genome.contigs)}
    regions.sort(key=lambda one: (order[one.contig], one.start))
    for one, following in pairwise(regions):
        if one.contig == following.contig and following.start < one.end:
            raise ZooError(
                f"{following.where}: overlaps with {one.where}, and a base can have but one value; merge them first, "
                "as bedtools merge does"
            )
    return [Stretch(one.contig, one.start, one.end) for one in regions]


def _planned(stretches: Sequence[Stretch], length: int, stride: int, part_size: int) -> Iterator[list[Piece]]:
    """The parts: consecutive windows, `part_size` of them, but for the last."""
    pieces: list[Piece] = []
    room = part_size
    for stretch in stretches:
        total = windows.count(stretch.stop - stretch.start, length, stride)
        first = 0
        while first < total:
            count = min(room, total - first)
            pieces.append(Piece(stretch, first, count, first + count == total))
            first += count
            room -= count
            if not room:
                yield pieces
                pieces, room = [], part_size
    if pieces:
        yield pieces
