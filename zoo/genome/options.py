"""What the commands on genomes take: intervals, scans, variants, and how long runs are shared out. Needs no library."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Literal, get_args

from zoo.errors import ZooError
from zoo.options import check_count

MOST_STRIDE = 1 << 30
"""Longer than any contig."""


@dataclasses.dataclass(frozen=True)
class IntervalOptions:
    """Stretches of a genome instead of sequences."""

    bed: Path | None = None
    """Intervals to predict: BED of 3 to 6 columns, or narrowPeak with its summits; plain or compressed."""

    region: str | None = None
    """One interval instead, 1-based and inclusive: chr2L:100,001-100,249."""

    genome: Path | None = None
    """The genome that they lie in: FASTA, plain or compressed with bgzip."""

    skip_bad: bool = False
    """Leave out intervals that are none or lie outside the genome, and name them, instead of refusing the file."""

    def check(self) -> None:
        """Raise ZooError unless the options fit each other."""
        if self.bed is not None and self.region is not None:
            raise ZooError("expected --bed or --region, got both")
        if self.given and self.genome is None:
            raise ZooError(f"{'--bed' if self.bed else '--region'}: say with --genome which genome it lies in")
        if self.genome is not None and not self.given:
            raise ZooError("--genome: say with --bed or --region what to predict of it; zoo scan predicts all of it")

    @property
    def given(self) -> bool:
        return self.bed is not None or self.region is not None


Aggregate = Literal["window", "mean"]
Scale = Literal["log2", "linear"]
TrackFormat = Literal["bigwig", "bedgraph", "parquet"]


@dataclasses.dataclass(frozen=True)
class ScanOptions:
    """Which windows of a genome are predicted, and what becomes of their values."""

    stride: int = 1
    """Bases from one window to the next."""

    region: str | None = None
    """Only this region, 1-based and inclusive: chr2L:100,001-200,000."""

    regions: Path | None = None
    """Only the intervals of this BED file, which must not overlap."""

    aggregate: Aggregate = "window"
    """window: a window's value stands over the stride bases around its centre. mean: every base has the mean over all
    windows that cover it."""

    scale: Scale = "log2"
    """log2, as the model predicts; linear: 2 to the power of that, before any mean, as STARR-seq coverage is."""

    format: TrackFormat = "bigwig"
    """Of the tracks."""

    max_n: float = 0.5
    """Largest share of Ns in a window that has a value."""

    def __post_init__(self) -> None:
        check_count("stride", self.stride, MOST_STRIDE)
        for name, choices in (("aggregate", Aggregate), ("scale", Scale), ("format", TrackFormat)):
            check_choice(name, getattr(self, name), get_args(choices))
        if not 0 <= self.max_n <= 1:
            raise ZooError(f"max-n: expected a share from 0 to 1, got {self.max_n}")

    def check(self) -> None:
        """Raise ZooError unless the options fit each other."""
        if self.region is not None and self.regions is not None:
            raise ZooError("expected --region or --regions, got both")


@dataclasses.dataclass(frozen=True)
class VariantOptions:
    """How alleles are compared."""

    shifts: tuple[int, ...] = (0,)
    """Mean over windows moved by so many bases, as -20,0,20; the variant stays inside."""

    max_mismatch: float = 0.01
    """Largest share of alleles whose REF the genome does not have; with more, the exit status is 1."""

    def __post_init__(self) -> None:
        if not self.shifts or len(set(self.shifts)) != len(self.shifts):
            raise ZooError(f"shifts: expected one or more different numbers of bases, got {list(self.shifts)}")
        if not 0 <= self.max_mismatch <= 1:
            raise ZooError(f"max-mismatch: expected a share from 0 to 1, got {self.max_mismatch}")

    def check(self, length: int) -> None:
        """Raise ZooError unless the variant's first base is in every window of `length` bases."""
        first, last = length // 2 - length + 1, length // 2
        for shift in self.shifts:
            if not first <= shift <= last:
                raise ZooError(f"shifts: expected {first} to {last} for windows of {length} bases, got {shift}")


@dataclasses.dataclass(frozen=True)
class ShardOptions:
    """How a long run is shared out, goes on and is joined. Its parts stand beside the output until it is whole."""

    resume: bool = False
    """Go on where the same run was stopped."""

    shard: str | None = None
    """Do only the i-th of n shares of the work, as 3/20, and leave the parts for --merge."""

    merge: bool = False
    """Join the parts that the shards left; the other options are those of the shards."""

    part_size: int = 1 << 20
    """Windows or variants of a part."""

    def __post_init__(self) -> None:
        check_count("part size", self.part_size, 1 << 30)

    def check(self) -> None:
        """Raise ZooError unless the options fit each other, and the shard is one."""
        self.share()
        if self.merge and self.shard is not None:
            raise ZooError("expected --shard or --merge, got both: merge when all shards are done")

    def share(self) -> tuple[int, int]:
        """Number of the shard, from 0, and how many there are. Raises ZooError for text that is no shard."""
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", self.shard or "1/1")
        number, count = (int(text) for text in found.groups()) if found else (0, 0)
        if not 1 <= number <= count:
            raise ZooError(f"shard: expected i/n with i from 1 to n, as 3/20, got {self.shard!r}")
        return number - 1, count


@dataclasses.dataclass(frozen=True)
class RayOptions:
    """Who does the work, where it is not this process."""

    ray: str | None = None
    """Share the work out with Ray: local for this machine, or the address of a cluster that runs, such as auto."""


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ZooError unless `value` is one of the choices."""
    if value not in choices:
        raise ZooError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
