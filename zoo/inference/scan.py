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
from typing import Any

import numpy as np

import zoo
from zoo.dna import windows
from zoo.dna.windows import unknown_bases
from zoo.errors import CheckFailed, ZooError
from zoo.formats import bed, table_writer, tracks
from zoo.formats.bed import BadInterval, Interval
from zoo.formats.indexed_fasta import INDEX, IndexedFasta
from zoo.inference import description, shards
from zoo.inference.aggregate import Aggregator, Stretch
from zoo.inference.genome_options import ScanOptions, ShardOptions
from zoo.inference.intervals import outside
from zoo.inference.loading import Loading
from zoo.inference.predict import Model
from zoo.inference.shards import Arrays, Parts, Progress, Workers
from zoo.spec import ModelSpec
from zoo.system.atomic import check_target, replacing_together

BLOCK_BASES = 1 << 18
"""Bases whose windows are predicted together, as many as a Session hands to its engine at once; then it is said how far
the scan is."""

VALUES = "values"

LEFT_OUT = "left_out_for_Ns"
"""Windows that have no value."""


@dataclasses.dataclass(frozen=True)
class Job:
    """What to scan, by which model and how, and where the tracks go; a Task of shards.py.

    output: the beginning of the tracks' names, tracks/dm6.  command: what the user typed, for the description.
    """

    genome: Path
    output: Path
    options: ScanOptions = dataclasses.field(default_factory=ScanOptions)
    loading: Loading = dataclasses.field(default_factory=Loading)
    sharing: ShardOptions = dataclasses.field(default_factory=ShardOptions)
    overwrite: bool = False
    command: str = ""

    def start(self, threads: int | None = None) -> Scan:
        model = self.loading.load(threads)
        return Scan(IndexedFasta(self.genome), model.spec, self, model)

    def absolute(self) -> Job:
        regions = self.options.regions
        options = dataclasses.replace(self.options, regions=regions and regions.absolute())
        genome, output = self.genome.absolute(), self.output.absolute()
        return dataclasses.replace(self, genome=genome, output=output, options=options, loading=self.loading.absolute())

    @property
    def inputs(self) -> tuple[Path | None, ...]:
        return self.genome, self.genome.with_name(self.genome.name + INDEX), self.options.regions, self.loading.file

    def outputs(self, targets: tuple[str, ...]) -> list[Path]:
        """The description, and the tracks."""
        beside = self.output.with_name(f"{self.output.name}.json")
        return [beside, *tracks.paths(self.output, self.options.format, targets)]

    def check(self, targets: tuple[str, ...], replaced: bool = False) -> dict[Path, bool]:
        """Each output -> whether one that exists may be replaced. Raises ZooError if it could not be written.

        replaced: what is there was left by this run.
        """
        self.options.check()
        self.sharing.check()
        outputs = dict.fromkeys(self.outputs(targets), self.overwrite or replaced)
        for path, overwrite in outputs.items():
            check_target(path, overwrite, self.inputs)
        if self.options.format == "bigwig":
            tracks.bigwig.check_installed()
        if self.options.format == "parquet":
            table_writer.check_name(self.outputs(targets)[-1])
        return outputs


@dataclasses.dataclass(frozen=True)
class Piece:
    """Consecutive windows of a stretch, the first of which is its window number `first`."""

    stretch: Stretch
    first: int
    count: int
    last: bool
    """Whether they are the last of the stretch."""


class Scan:
    """The windows of a Job, in parts: a Work of shards.py."""

    def __init__(self, genome: IndexedFasta, spec: ModelSpec, job: Job, model: Model | None = None) -> None:
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
            raise ZooError(f"{job.genome}: no window of {spec.sequence_length} bases lies in it")

    def size(self, part: int) -> int:
        return sum(piece.count for piece in self._plan[part])

    def identity(self) -> dict[str, Any]:
        """What decides the values of the windows."""
        options = self.job.options
        return {
            "command": "scan",
            "weights": self.spec.weights_id,
            "targets": list(self.spec.targets),
            "genome sha256": self.genome.digest(),
            "stride": options.stride,
            "rc": self.job.loading.rc,
            "max_n": options.max_n,
            "regions": shards.digest([dataclasses.astuple(stretch) for stretch in self.stretches]),
            "precision": self.job.loading.running.precision,
            "part_size": self.job.sharing.part_size,
        }

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


def run(job: Job, on_progress: shards.Shown = shards.silent, workers: Workers = shards.alone) -> dict[str, Any]:
    """Do a Job, or its share of it. Returns the description: of the whole run, or of a shard, with `shard` in it.

    on_progress: called with the windows done so far and those there are to do.  workers: who computes, see shards.py.
    Raises ZooError if an input is not as it should be, the output cannot be written, or parts are missing.
    """
    sharing = job.sharing
    spec = job.loading.spec()
    parts_folder = shards.folder_of(job.output)
    going_on = sharing.resume and parts_folder.is_dir()
    outputs = job.check(spec.targets, replaced=going_on)
    with IndexedFasta(job.genome) as genome:
        scan = Scan(genome, spec, job)
        parts = Parts(parts_folder, scan.identity(), scan.parts)
        sizes = [scan.size(part) for part in range(scan.parts)]
        if not shards.done(job, parts, sizes, sharing, job.overwrite, workers, on_progress):
            return {"shard": sharing.shard, "parts": parts.count, "missing": len(parts.missing())}
        described = _join(scan, parts, outputs)
    parts.remove()
    return described


def _join(scan: Scan, parts: Parts, outputs: dict[Path, bool]) -> dict[str, Any]:
    """Write the tracks and their description, all or none. Returns the description."""
    job, spec = scan.job, scan.spec
    counts = {"records": 0, LEFT_OUT: 0}
    with replacing_together(outputs, job.inputs) as (beside, *files):
        with tracks.opened(files, job.options.format, scan.genome.contigs, spec.targets) as track:
            for contig, starts, ends, values in scan.intervals(parts, counts):
                track.write(contig, starts, ends, values)
        described = {
            "command": job.command,
            "version": zoo.__version__,
            "runtime": ", ".join(parts.runtimes()),
            "weights": description.of_weights(spec),
            "genome": {"file": str(job.genome), "sha256": parts.identity["genome sha256"]},
            "rc": job.loading.rc,
            "scan": {
                name: str(value) if isinstance(value, Path) else value
                for name, value in dataclasses.asdict(job.options).items()
            },
            "sequence_length": spec.sequence_length,
            "targets": list(spec.targets),
            "counts": counts,
            "tracks": {path.name: description.facts(file) for path, file in zip(list(outputs)[1:], files, strict=True)},
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
