"""A genome's windows to tracks: every window that is wholly inside a contig or a region, in parts.

A part holds the values of consecutive windows, NaN in all targets for those with too many Ns. Joining the parts makes
the tracks (aggregate.py). Memory does not grow with a contig. Axes: W windows, T targets.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from zoo.dna import windows
from zoo.dna.read_options import Ambiguous
from zoo.dna.windows import unknown_bases
from zoo.errors import CheckFailed, ZooError, require
from zoo.formats import bed, genes, table_writer, tracks
from zoo.formats.bed import BadInterval, Interval
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.frame import Profile
from zoo.genome import figures, peaks, shards
from zoo.genome.aggregate import Aggregator, Positions, Stretch, Track
from zoo.genome.intervals import outside
from zoo.genome.job import GenomeJob, GenomeWork
from zoo.genome.options import ScanOptions
from zoo.genome.peaks import Peaks
from zoo.genome.shards import Arrays, Progress
from zoo.prediction import background as backgrounds
from zoo.prediction import description
from zoo.prediction.run import description_path
from zoo.spec import MOST_SHOWN, ModelSpec
from zoo.weights.checkpoint import profiles_of

BLOCK_BASES = 1 << 18
"""Bases whose windows are predicted together, the number that a Session hands to its engine at once; progress is
reported after each block."""

VALUES = "values"

AS_N = "as_n"
"""Letters of the genome that are read as N, for each step a list of contig, position and letter; see shards.pack."""

MOST_NAMED = 1000
"""The description names at most this number of letters that are read as N."""

LEFT_OUT = "left_out_for_Ns"
"""Windows without a value."""

TOO_SHORT = "regions_too_short"
"""Regions of a BED file that are shorter than a window."""


@dataclasses.dataclass(frozen=True)
class ScanJob(GenomeJob):
    """Which windows of a genome to scan; `output` is the beginning of the tracks' names, tracks/dm6."""

    options: ScanOptions = dataclasses.field(default_factory=ScanOptions)

    @property
    def ambiguous(self) -> Ambiguous:
        return self.options.ambiguous

    def open(self, genome: IndexedFasta, spec: ModelSpec) -> Scan:
        return (Scan if self.options.profile is None else ProfileScan)(self, genome, spec)

    def absolute(self) -> Self:
        paths = {name: getattr(self.options, name) for name in ("regions", "background", "figure", "genes")}
        options = dataclasses.replace(self.options, **{name: path and path.absolute() for name, path in paths.items()})
        return dataclasses.replace(super().absolute(), options=options)

    @property
    def inputs(self) -> tuple[Path | None, ...]:
        return *super().inputs, self.options.regions, self.options.background, self.options.genes

    def targets(self, spec: ModelSpec) -> list[str]:
        """The targets to write. Raises ZooError for an unknown one, or the same one twice."""
        if self.options.profile is not None:
            return list(profile_of(spec, self.options.profile).columns)
        return [spec.targets[number] for number in spec.target_indices(self.options.targets)]

    def outputs(self, spec: ModelSpec) -> list[Path]:
        targets = self.targets(spec)
        alone = tracks.paths(self.output, self.options.format, targets)
        if len(alone) > MOST_SHOWN and not self.options.targets:
            raise ZooError(
                f"{self.output}: expected at most {MOST_SHOWN} tracks, got {len(alone):,}, one for each target; choose "
                "with --targets, or write one table with --format parquet"
            )
        background = backgrounds.opened(self.options.background, spec, self.model_source.rc)
        found = tracks.paths(self.output, self.options.format, backgrounds.columns(targets, background))
        if self.options.format == "bigwig":
            require("pyBigWig", "genome", "--format bigwig")
        if self.options.format == "parquet":
            table_writer.check_name(found[-1])
        figure = [self.options.figure] if self.options.figure else []
        return [description_path(self.output), *figure, *self.peaks(spec).values(), *found]

    def peaks(self, spec: ModelSpec) -> dict[str, Path]:
        """The file of each target's peaks; none without a threshold."""
        targets = self.targets(spec) if self.options.threshold_percentile is not None else ()
        return {one: self.output.with_name(f"{self.output.name}.{one}{peaks.SUFFIX}") for one in targets}


@dataclasses.dataclass(frozen=True)
class Piece:
    """Consecutive windows of a stretch, from its window number `first`. last: whether the stretch ends with them."""

    stretch: Stretch
    first: int
    count: int
    last: bool


class Scan(GenomeWork):
    """The windows of a ScanJob, in parts."""

    NAME = "scan"

    def __init__(self, job: ScanJob, genome: IndexedFasta, spec: ModelSpec) -> None:
        """Raises ZooError for invalid regions, and for --scale linear if the activities are not in log2."""
        super().__init__(genome, spec)
        self.job, self.options = job, job.options
        known = (spec.card is not None and spec.card.unit) or spec.frame is not None
        if known and job.options.scale == "linear" and not spec.unit.startswith("log2"):
            raise ZooError(
                f"--scale linear: needs activities in log2, the unit of these weights is {spec.unit}; a card says it"
            )
        self.targets = job.targets(spec)
        self.columns = spec.target_indices(self.options.targets)
        self.background = backgrounds.opened(self.options.background, spec, job.model_source.rc)
        self.stretches = _stretches(genome, job.options)
        size = max(job.sharing.part_size * len(self.targets) // self._numbers, 1)
        self.parts = list(_planned(self.stretches, spec.sequence_length, self.stride, size))
        if not self.parts:
            searched = job.options.regions or job.options.region or job.genome
            raise ZooError(f"{searched}: holds no window of {spec.sequence_length} bases")
        self._drawn = self._columns() if job.options.figure else None

    def _columns(self) -> figures.Columns:
        """What the figure will show. Raises ZooError, before any work, for a region that cannot be drawn."""
        if len(self.stretches) != 1:
            raise ZooError(
                f"--figure: shows one region, and this scan has {len(self.stretches):,}; name one with --region"
            )
        (one,) = self.stretches
        region = figures.Region(one.contig, one.start, one.stop)
        if self.options.genes is not None:
            genes.read(self.options.genes, one.contig, one.start, one.stop)
        return figures.Columns(region, self.targets)

    @property
    def sizes(self) -> list[int]:
        return [sum(piece.count for piece in part) for part in self.parts]

    def identity(self) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "max_n": self.options.max_n,
            **({"written": self.targets} if self.options.targets else {}),
            "regions": shards.digest([dataclasses.astuple(stretch) for stretch in self.stretches]),
        }

    def check(self) -> None:
        if self.options.ambiguous == "refuse":
            for stretch in self.stretches:
                for start in range(stretch.start, stretch.stop, BLOCK_BASES):
                    self.genome.codes(stretch.contig, start, min(start + BLOCK_BASES, stretch.stop))

    def compute(self, part: int, on_progress: Progress) -> Arrays:
        stride, length = self.stride, self.spec.sequence_length
        step = max(1, BLOCK_BASES // stride)
        values, as_n = [], []
        for piece in self.parts[part]:
            for first in range(piece.first, piece.first + piece.count, step):
                count = min(step, piece.first + piece.count - first)
                start = piece.stretch.start + first * stride
                stop = start + (count - 1) * stride + length
                codes = self.genome.codes(piece.stretch.contig, start, stop)
                values.append(self._values(codes))
                # the windows before have counted the bases up to the end of the last one
                uncounted = start + (max(0, length - stride) if first else 0)
                found = self.genome.ambiguous(piece.stretch.contig, uncounted, stop)
                as_n.append(shards.pack([(piece.stretch.contig, *one) for one in found]))
                on_progress(count)
        return {VALUES: np.concatenate(values), AS_N: np.concatenate(as_n)}

    def _values(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (B,) -> float32 (W, T), NaN for windows with too many Ns."""
        stride, length = self.stride, self.spec.sequence_length
        wanted = unknown_bases(codes, length, stride) <= self.options.max_n * length
        values = np.full((len(wanted), self._numbers), np.nan, np.float32)
        if wanted.any():
            # all windows from the first wanted to the last: gaps of an assembly are long, and mostly at the ends of a
            # block
            first, last = int(wanted.argmax()), len(wanted) - int(wanted[::-1].argmax())
            values[first:last] = self._predicted(codes[first * stride : (last - 1) * stride + length])
            if not np.isfinite(values[wanted]).all():
                raise CheckFailed(f"{self.job.genome}: the model gave an output that is not finite")
            values[~wanted] = np.nan
        return values

    @property
    def stride(self) -> int:
        """Bases from one window to the next."""
        return self.options.stride

    @property
    def _numbers(self) -> int:
        """Numbers of a window."""
        return len(self.targets)

    def _predicted(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (B,) -> float32 (W, numbers)."""
        found = self.model.windows(codes, self.stride)
        return found[:, self.columns] if self.options.targets else found

    def _peaks(self) -> Peaks:
        size = self.background.size if self.background else 0
        return Peaks(self.spec.sequence_length, self.stride, self.options.threshold_percentile or 0, size)

    def _track(self, stretch: Stretch) -> Track:
        return Aggregator(stretch, self.spec.sequence_length, self.stride, self.options.aggregate)

    def write(self, parts: Iterable[Arrays], files: Mapping[Path, Path]) -> dict[str, Any]:
        counts = {"records": 0, LEFT_OUT: 0, "ambiguous_letters": 0}
        as_n: list[str] = []
        if self.options.regions is not None:
            sizes = [stretch.stop - stretch.start for stretch in self.stretches]
            counts[TOO_SHORT] = sum(size < self.spec.sequence_length for size in sizes)
        options = dataclasses.asdict(self.options)
        of_peaks = self.job.peaks(self.spec)
        found = {target: self._peaks() for target in of_peaks}
        of_tracks = [file for path, file in files.items() if path not in (self.options.figure, *of_peaks.values())]
        columns = backgrounds.columns(self.targets, self.background)
        with tracks.opened(of_tracks, self.options.format, self.genome.contigs, columns) as track:
            for contig, starts, ends, values in self._intervals(parts, counts, as_n, list(found.values())):
                track.write(contig, starts, ends, values)
                if self._drawn is not None:
                    self._drawn.add(starts, ends, values[:, :: len(columns) // len(self.targets)])
        if self._drawn is not None and self.options.figure is not None:
            unit = self.spec.unit if self.options.scale == "log2" else self.spec.unit.removeprefix("log2 ")
            figures.draw(self._drawn, files[self.options.figure], self.options.genes, unit)
        linear = self.options.scale == "linear"
        for target, path in of_peaks.items():
            with files[path].open("w") as file:
                found[target].write(file, target, linear)
        return {
            "scan": {
                **{name: str(value) if isinstance(value, Path) else value for name, value in options.items()},
                "stride": self.stride,
            },
            "targets": self.targets,
            "counts": counts,
            "read_as_n": as_n,
            "tracks": {file.name: description.facts(file) for file in of_tracks},
            **backgrounds.entry(self.background),
            **({"peaks": {target: len(one.found) for target, one in found.items()}} if found else {}),
        }

    def _intervals(
        self, parts: Iterable[Arrays], counts: dict[str, int], as_n: list[str], found: Sequence[Peaks]
    ) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
        """Contig, starts, ends and values of the tracks, from the parts in order; counts the windows, counts and names
        the letters that are read as N, and finds the peaks of each target."""
        number = -1
        aggregator: Track | None = None
        for pieces, arrays in zip(self.parts, parts, strict=True):
            values = arrays[VALUES]
            counts["records"] += len(values)
            counts[LEFT_OUT] += int(np.isnan(values[:, 0]).sum())
            for contig, position, letter in itertools.chain.from_iterable(shards.unpack(arrays[AS_N])):
                counts["ambiguous_letters"] += 1
                if len(as_n) < MOST_NAMED:
                    as_n += self.genome.named(contig, [(position, letter)])
            ranked = self.background.ranked(values, self.columns) if self.background else None
            shown = np.exp2(values) if self.options.scale == "linear" else values
            if ranked is not None:
                shown = backgrounds.interleaved(shown, ranked[0])
            done = 0
            for piece in pieces:
                here = slice(done, done + piece.count)
                if piece.first == 0 or aggregator is None:
                    aggregator = self._track(piece.stretch)
                    number += 1
                for column, one in enumerate(found):
                    ranks = [numbers[here, column] for numbers in ranked or ()]
                    one.add(number, piece.stretch, piece.first, values[here, column], *ranks)
                for starts, ends, means in aggregator.add(shown[here], piece.last):
                    yield piece.stretch.contig, starts, ends, means
                done += piece.count


class ProfileScan(Scan):
    """The positions of a profile along a genome, each from the window whose positions cover it."""

    def __init__(self, job: ScanJob, genome: IndexedFasta, spec: ModelSpec) -> None:
        """Raises ZooError as Scan does, and for both strands, where positions differ."""
        if job.model_source.rc is not None:
            raise ZooError("--profile: positions differ between the strands; leave out --both-strands")
        self.profile = profile_of(spec, job.options.profile or "")
        self.start, self.stop = self.profile.place(spec.sequence_length)
        super().__init__(job, genome, spec)

    @property
    def stride(self) -> int:
        return self.stop - self.start

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "profile": self.profile.name}

    @property
    def _numbers(self) -> int:
        return len(self.targets) * (self.profile.positions or 0)

    def _predicted(self, codes: np.ndarray) -> np.ndarray:
        cut = windows.cut(codes, self.spec.sequence_length, self.stride)
        return self.model.profiles(np.ascontiguousarray(cut))[self.profile.name].reshape(len(cut), -1)

    def _track(self, stretch: Stretch) -> Track:
        return Positions(stretch, self.start, self.profile.bases, len(self.targets))


def profile_of(spec: ModelSpec, name: str) -> Profile:
    """A profile of a network by its name. Raises ZooError, which lists them, for an unknown one."""
    known = {one.name: one for one in profiles_of(spec)}
    if name not in known:
        raise ZooError(f"--profile: these weights have {', '.join(known) or 'no profiles'}, got {name!r}")
    return known[name]


def _stretches(genome: IndexedFasta, options: ScanOptions) -> list[Stretch]:
    """Contigs, or regions in the order of the genome. Raises ZooError for an invalid region, or where two overlap."""
    if options.region is None and options.regions is None:
        return [Stretch(name, 0, bases) for name, bases in genome.contigs.items()]
    found = bed.read(options.regions) if options.regions else iter([bed.region(options.region or "", genome.contigs)])
    regions: list[Interval] = []
    for one in found:
        reason = one.reason if isinstance(one, BadInterval) else outside(genome, one)
        if reason is not None:
            raise ZooError(f"{one.where}: {reason}")
        if isinstance(one, Interval):
            regions.append(one)
    order = {name: place for place, name in enumerate(genome.contigs)}
    regions.sort(key=lambda one: (order[one.contig], one.start))
    for one, following in itertools.pairwise(regions):
        if one.contig == following.contig and following.start < one.end:
            raise ZooError(
                f"{following.where}: overlaps with {one.where}, but a base has one value; merge them first, for "
                "example with bedtools merge"
            )
    return [Stretch(one.contig, one.start, one.end) for one in regions]


def _planned(stretches: Sequence[Stretch], length: int, stride: int, part_size: int) -> Iterator[list[Piece]]:
    """The parts: `part_size` consecutive windows each, the last may have fewer."""
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
