"""Options of the commands on genomes: intervals, scans, variants, and how long runs are shared out.

Needs no library.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Annotated, Literal

from zoo.dna.read_options import Ambiguous
from zoo.errors import ZooError
from zoo.options import Bounds, check
from zoo.system import figures

MOST_STRIDE = 1 << 30
"""Longer than any contig."""

MOST_PART_SIZE = 1 << 30


@dataclasses.dataclass(frozen=True)
class IntervalOptions:
    """Intervals of a genome instead of sequences."""

    bed: Path | None = None
    """Intervals to predict: BED of 3 to 6 columns, or narrowPeak with its summits; plain or compressed."""

    region: str | None = None
    """One interval instead, 1-based and inclusive: chr2L:100,001-100,249, chr2L:5- to its end, or chr2L whole."""

    genome: Path | None = None
    """Genome of the intervals: FASTA, plain or compressed with bgzip. Letters other than ACGTN are N and are counted;
    --ambiguous refuse refuses them."""

    skip_bad: bool = False
    """Skip lines that are not valid intervals or lie outside the genome, and list them."""

    def check(self) -> None:
        """Raise ZooError unless the options fit each other."""
        if self.bed is not None and self.region is not None:
            raise ZooError("expected --bed or --region, got both")
        if self.given and self.genome is None:
            raise ZooError(f"{'--bed' if self.bed else '--region'}: also needs --genome, the genome of the intervals")
        if self.genome is not None and not self.given:
            raise ZooError("--genome: also needs --bed or --region; zoo scan predicts a whole genome")

    @property
    def given(self) -> bool:
        return self.bed is not None or self.region is not None


@dataclasses.dataclass(frozen=True)
class HeldOutOptions:
    """Which members of an ensemble predict."""

    held_out: bool = False
    """Predict each chromosome only by the members whose training held it out, such as the folds of zoo train
    --folds."""

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True)
class SummaryOptions:
    """How an interval that is longer than the model gets its numbers."""

    summary: Literal["center", "max", "mean"] = "center"
    """For intervals that are longer than the model. center: the window around the middle or the summit. max, mean: over
    all windows in the interval; max also gives the position of each maximum."""

    stride: Annotated[int, Bounds(1, MOST_STRIDE)] = 1
    """Bases from one of these windows to the next."""

    def __post_init__(self) -> None:
        check(self)
        if self.summary == "center" and self.stride != 1:
            raise ZooError("--stride: only applies with --summary max or mean")


@dataclasses.dataclass(frozen=True)
class ScanOptions(HeldOutOptions):
    """Which windows of a genome are predicted, and how their values become a track."""

    stride: Annotated[int, Bounds(1, MOST_STRIDE)] = 1
    """Bases from one window to the next."""

    region: str | None = None
    """Only this region, 1-based and inclusive: chr2L:100,001-200,000, chr2L:5- to its end, or chr2L whole."""

    regions: Path | None = None
    """Only the intervals of this BED file, which must not overlap."""

    targets: tuple[str, ...] = ()
    """Targets to write, A,B; default all targets of the model."""

    profile: str | None = None
    """Write this profile of the network, in place of the targets: numbers of each position, from windows whose
    positions follow each other."""

    aggregate: Literal["window", "mean"] = "window"
    """window: the bases around a window's centre have its value. mean: every base has the mean over all windows that
    cover it."""

    scale: Literal["log2", "linear"] = "log2"
    """log2: as the model predicts. linear: 2 to the power of that, before any mean, like STARR-seq coverage."""

    format: Literal["bigwig", "bedgraph", "parquet"] = "bigwig"
    """Format of the tracks."""

    max_n: Annotated[float, Bounds(0, 1)] = 0.5
    """Largest share of Ns in a window that gets a value."""

    background: Path | None = None
    """File of zoo background: also write a track with the percentile of each window among its values."""

    threshold_percentile: Annotated[float | None, Bounds(0, 100)] = None
    """Also write peaks as narrowPeak: the bases of windows at or above this percentile, such as 99.9."""

    figure: Path | None = None
    """Also draw the tracks of the region as this .png, .svg or .pdf."""

    genes: Path | None = None
    """Genes to draw below the tracks: GTF or GFF3, plain or compressed."""

    ambiguous: Ambiguous = "n"
    """Read letters of the genome other than ACGTN, such as the IUPAC code R, as N, and count them; --ambiguous refuse
    refuses them."""

    def __post_init__(self) -> None:
        check(self)
        if self.region is not None and self.regions is not None:
            raise ZooError("expected --region or --regions, got both")
        others = {
            "stride": 1, "targets": (), "aggregate": "window", "scale": "log2", "background": None, "held_out": False,
        }  # fmt: skip
        other = next((name for name, usual in others.items() if getattr(self, name) != usual), None)
        if self.profile is not None and other is not None:
            raise ZooError(f"--{other.replace('_', '-')}: does not apply with --profile")
        if self.threshold_percentile is not None and self.background is None:
            raise ZooError("--threshold-percentile: also needs --background, a file of zoo background")
        if self.background is not None and self.aggregate == "mean":
            raise ZooError(
                "--background: is of single windows; the mean over windows (--aggregate mean) has no percentile"
            )
        if self.figure is not None:
            figures.check_name(self.figure)
        elif self.genes is not None:
            raise ZooError(f"--genes {self.genes}: also needs --figure, which shows them")


@dataclasses.dataclass(frozen=True)
class AlleleOptions:
    """Which windows show an allele."""

    shifts: tuple[int, ...] = (0,)
    """Predict the mean over windows moved by these numbers of bases, such as -20,0,20; the variant stays inside."""

    flank: Literal["left", "right"] = "left"
    """The flank of an indel that keeps its place in the window; the other one moves."""

    def __post_init__(self) -> None:
        check(self)
        if not self.shifts or len(set(self.shifts)) != len(self.shifts):
            raise ZooError(f"shifts: expected one or more different numbers of bases, got {list(self.shifts)}")

    def check(self, length: int) -> None:
        """Raise ZooError unless the variant's first base is in every window of `length` bases."""
        first, last = length // 2 - length + 1, length // 2
        for shift in self.shifts:
            if not first <= shift <= last:
                raise ZooError(f"shifts: expected {first} to {last} for windows of {length} bases, got {shift}")


@dataclasses.dataclass(frozen=True)
class VariantOptions(HeldOutOptions, AlleleOptions):
    """How alleles are compared."""

    background: Path | None = None
    """File of zoo background: also write how unusual each allele is, such as dev_active_percentile, and dev_p and dev_q
    if the file has random variants."""

    max_mismatch: Annotated[float, Bounds(0, 1)] = 0.01
    """Largest share of alleles whose REF differs from the genome; with more, the exit status is 1."""

    skip_bad: bool = False
    """Leave out records that cannot be read, or whose REF differs from the genome, and list them."""

    prefix: str = "ZOO"
    """Start of the INFO fields of a VCF output, such as ZOO_DELTA_dev; with another, a second model can annotate a VCF
    that has been annotated."""

    figure: Path | None = None
    """Also draw the effects along the genome as this .png, .svg or .pdf."""

    ambiguous: Ambiguous = "n"
    """Read letters of the genome other than ACGTN, such as the IUPAC code R, as N, and count them; --ambiguous refuse
    refuses them."""

    def __post_init__(self) -> None:
        AlleleOptions.__post_init__(self)
        if not re.fullmatch(r"[A-Za-z_][0-9A-Za-z_.]*", self.prefix):
            raise ZooError(f"prefix: expected a letter or _, then letters, digits, _ and ., got {self.prefix!r}")
        if self.figure is not None:
            figures.check_name(self.figure)


@dataclasses.dataclass(frozen=True)
class ShardOptions:
    """How a long run is shared out, resumed and joined. Its parts are in a folder beside the output until it ends."""

    resume: bool = False
    """Continue the same run where it was stopped."""

    shard: str | None = None
    """Do only the i-th of n shares of the work, such as 3/20, and leave the parts for --merge."""

    merge: bool = False
    """Join the parts of the shards; give the same other options as for the shards."""

    part_size: Annotated[int, Bounds(1, MOST_PART_SIZE)] = 1 << 20
    """Windows or variants in a part."""

    def __post_init__(self) -> None:
        check(self)
        self.share()
        if self.merge and self.shard is not None:
            raise ZooError("expected --shard or --merge, got both; merge when all shards are done")

    def share(self) -> tuple[int, int]:
        """Number of the shard, from 0, and the number of shards. Raises ZooError for an invalid shard."""
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", self.shard or "1/1")
        number, count = (int(text) for text in found.groups()) if found else (0, 0)
        if not 1 <= number <= count:
            raise ZooError(f"shard: expected i/n with i from 1 to n, such as 3/20, got {self.shard!r}")
        return number - 1, count


@dataclasses.dataclass(frozen=True)
class RayOptions:
    """Which machines do the work, if not this process."""

    ray: str | None = None
    """Share the work out with Ray: local for this machine, or the address of a running cluster, such as auto."""
