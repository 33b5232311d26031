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
from zoo.formats import genes, table_writer, tracks
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.frame import Profile
from zoo.genome import figures, peaks, shards, stretches
from zoo.genome.aggregate import Aggregator, Positions, Stretch, Track
from zoo.genome.job import GenomeJob, GenomeWork
from zoo.genome.options import ScanOptions
from zoo.genome.peaks import Peaks
from zoo.genome.shards import Arrays, Progress
from zoo.prediction import background as backgrounds
from zoo.prediction import description
from zoo.prediction.columns import Columns
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

    def columns(self, spec: ModelSpec) -> Columns:
        """The tracks of the targets. Raises ZooError for an unknown target, or the same one twice."""
        chosen = spec.target_indices(self.options.targets) if self.options.targets else None
        background = backgrounds.opened(self.options.background, spec, self.model_source.rc)
        return Columns(spec, background, chosen, self.model_source.held_out(spec, self.options.held_out))

    def targets(self, spec: ModelSpec) -> list[str]:
        """The targets to write. Raises ZooError as `columns` does."""
        if self.options.profile is not None:
            return list(profile_of(spec, self.options.profile).columns)
        return self.columns(spec).shown

    def outputs(self, spec: ModelSpec) -> list[Path]:
        alone = tracks.paths(self.output, self.options.format, self.targets(spec))
        if len(alone) > MOST_SHOWN and not self.options.targets:
            raise ZooError(
                f"{self.output}: expected at most {MOST_SHOWN} tracks, got {len(alone):,}, one for each target; choose "
                "with --targets, or write one table with --format parquet"
            )
        names = self.targets(spec) if self.options.profile is not None else self.columns(spec).names
        found = tracks.paths(self.output, self.options.format, names)
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
        self.columns = job.columns(spec)
        self.background = self.columns.background
        self.stretches = stretches.of_options(genome, job.options)
        self.columns.used([stretch.contig for stretch in self.stretches])  # raises before any work
        size = max(job.sharing.part_size // self._positions, 1)
        self.parts = list(stretches.planned(self.stretches, spec.sequence_length, self.stride, size))
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
            **({"held_out": self.columns.held_out.identity()} if self.columns.held_out else {}),
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
                values.append(self._values(piece.stretch.contig, codes))
                # the windows before have counted the bases up to the end of the last one
                uncounted = start + (max(0, length - stride) if first else 0)
                found = self.genome.ambiguous(piece.stretch.contig, uncounted, stop)
                as_n.append(shards.pack([(piece.stretch.contig, *one) for one in found]))
                on_progress(count)
        return {VALUES: np.concatenate(values), AS_N: np.concatenate(as_n)}

    def _values(self, contig: str, codes: np.ndarray) -> np.ndarray:
        """Base codes along a contig, uint8 (B,) -> float32 (W, numbers), NaN for windows with too many Ns, and for
        members that do not predict the contig."""
        stride, length = self.stride, self.spec.sequence_length
        wanted = unknown_bases(codes, length, stride) <= self.options.max_n * length
        values = np.full((len(wanted), self._numbers), np.nan, np.float32)
        if wanted.any():
            # all windows from the first wanted to the last: gaps of an assembly are long, and mostly at the ends of a
            # block
            first, last = int(wanted.argmax()), len(wanted) - int(wanted[::-1].argmax())
            used = self.columns.used([contig])
            values[first:last] = self._predicted(codes[first * stride : (last - 1) * stride + length], used)
            if not np.isfinite(self._of_members(values[wanted], used)).all():
                raise CheckFailed(f"{self.job.genome}: the model gave an output that is not finite")
            values[~wanted] = np.nan
        return values

    @property
    def stride(self) -> int:
        """Bases from one window to the next."""
        return self.options.stride

    @property
    def _positions(self) -> int:
        """Positions of a window with a value."""
        return 1

    @property
    def _numbers(self) -> int:
        """Numbers of a window: those of all members."""
        return len(self.targets) * max(1, len(self.spec.members))

    def _predicted(self, codes: np.ndarray, used: np.ndarray | None) -> np.ndarray:
        """Base codes, uint8 (B,) -> float32 (W, numbers). used: see Columns.used of the contig."""
        return self.columns.chosen(self.model.each.windows(codes, self.stride, None if used is None else used[0]))

    def _of_members(self, values: np.ndarray, used: np.ndarray | None) -> np.ndarray:
        """float32 (W, numbers) -> the numbers of the members that predict a contig."""
        return values if used is None else values[:, np.repeat(used[0], len(self.targets))]

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
        names, missing = self._names, self.columns.may_miss
        with tracks.opened(of_tracks, self.options.format, self.genome.contigs, names, missing) as track:
            for contig, starts, ends, values in self._intervals(parts, counts, as_n, list(found.values())):
                track.write(contig, starts, ends, values)
                if self._drawn is not None:
                    self._drawn.add(starts, ends, values[:, :: len(names) // len(self.targets)])
        if self._drawn is not None and self.options.figure is not None:
            unit = self.spec.unit if self.options.scale == "log2" else self.spec.unit.removeprefix("log2 ")
            figures.draw(self._drawn, files[self.options.figure], self.options.genes, unit)
        for target, path in of_peaks.items():
            with files[path].open("w") as file:
                found[target].write(file, target)
        return {
            "scan": {
                **{name: str(value) if isinstance(value, Path) else value for name, value in options.items()},
                "stride": self.stride,
            },
            "targets": self.targets,
            "counts": counts,
            "read_as_n": as_n,
            "tracks": {file.name: description.facts(file) for file in of_tracks},
            **self.columns.entry(),
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
            counts[LEFT_OUT] += int(np.isnan(values).all(1).sum())
            for contig, position, letter in itertools.chain.from_iterable(shards.unpack(arrays[AS_N])):
                counts["ambiguous_letters"] += 1
                if len(as_n) < MOST_NAMED:
                    as_n += self.genome.named(contig, [(position, letter)])
            scaled = np.exp2(values) if self.options.scale == "linear" else values
            done = 0
            for piece in pieces:
                here = slice(done, done + piece.count)
                used = self.columns.used([piece.stretch.contig])
                if piece.first == 0 or aggregator is None:
                    aggregator = self._track(piece.stretch)
                    number += 1
                shown = self._of_members(scaled[here], used)
                if self.background is not None:
                    mean, _ = self.columns.over_members(self._of_members(values[here], used))
                    ranks = self.background.ranked(mean, self.columns.targets)
                    heights, _ = self.columns.over_members(shown)
                    for column, one in enumerate(found):
                        rank = (part[:, column] for part in ranks)
                        one.add(number, piece.stretch, piece.first, heights[:, column], *rank)
                    shown = np.concatenate([shown, ranks[0]], 1)
                for starts, ends, means in aggregator.add(shown, piece.last):
                    yield piece.stretch.contig, starts, ends, self._beside(means)
                done += piece.count

    @property
    def _names(self) -> list[str]:
        """Names of the tracks."""
        return self.columns.names

    def _beside(self, values: np.ndarray) -> np.ndarray:
        """Numbers of the members that predict, then percentiles if there is a background, float32 (K, ...) -> those of
        the tracks, (K, C)."""
        last = values.shape[1] - (len(self.targets) if self.background else 0)
        mean, sd = self.columns.over_members(values[:, :last])
        return self.columns.beside(mean, sd, values[:, last:] if self.background else None)


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
    def _positions(self) -> int:
        return self.profile.positions or 1

    @property
    def _numbers(self) -> int:
        return len(self.targets) * self._positions

    @property
    def _names(self) -> list[str]:
        return self.targets

    def _beside(self, values: np.ndarray) -> np.ndarray:
        return values

    def _predicted(self, codes: np.ndarray, used: np.ndarray | None) -> np.ndarray:  # noqa: ARG002
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
