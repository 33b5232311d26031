"""Options of `zoo background` and `zoo calibrate`. Needs no library."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from zoo.errors import ZooError
from zoo.options import Bounds, Seed, check
from zoo.system import figures

MOST_SEQUENCES = 1 << 28
"""Most sequences of a background; more need too much memory."""

MOST_SHUFFLES = 10_000

MOST_VARIANTS = 1_000_000


@dataclasses.dataclass(frozen=True)
class BackgroundOptions:
    """Which sequences are the background."""

    windows: Annotated[int | None, Bounds(1, MOST_SEQUENCES)] = None
    """Number of random windows of --genome, drawn with replacement from all windows without an N; default 100,000."""

    shuffles: Annotated[int, Bounds(0, MOST_SHUFFLES)] = 0
    """Predict so many dinucleotide shuffles of each sequence or window in place of itself."""

    seed: Seed = 0
    """Seed of windows, shuffles and variants; the same seed gives the same file."""

    random_variants: Annotated[int, Bounds(0, MOST_VARIANTS)] = 0
    """Also predict so many random variants of each kind in --genome, for the p-values of zoo variants: the 192
    substitutions of a base between its neighbours, and the kinds in --variants."""

    variants: Path | None = None
    """Variants that zoo variants will compare: adds the kinds of its insertions, deletions and replacements."""

    figure: Path | None = None
    """Also draw how the values are spread, and where percentiles are, as this .png, .svg or .pdf."""

    def __post_init__(self) -> None:
        check(self)
        if self.figure is not None:
            figures.check_name(self.figure)
        if self.variants is not None and not self.random_variants:
            raise ZooError("--variants: also needs --random-variants, the number of each kind")


@dataclasses.dataclass(frozen=True)
class CalibrationOptions:
    """How intervals are made."""

    difficulty: Literal["auto", "spread", "neighbours", "constant"] = "auto"
    """What makes one interval wider than another: the spread over the members of an ensemble, the errors of the
    measured rows whose predictions are nearest, or nothing. auto: spread for an ensemble, else neighbours."""

    neighbours: Annotated[int, Bounds(1)] = 100
    """Rows around a prediction whose mean error is its difficulty; a half of all rows is used for these."""

    seed: Seed = 0
    """Seed of the division into halves."""

    def __post_init__(self) -> None:
        check(self)
