"""What the commands on genomes take: intervals, scans, variants, and how long runs are shared out. Needs no library."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from zoo.errors import ZooError


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
