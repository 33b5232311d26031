"""Options of `zoo background`. Needs no library."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from zoo.options import Bounds, Seed, check

MOST_SEQUENCES = 1 << 28
"""Most sequences of a background; more need too much memory."""

MOST_SHUFFLES = 10_000


@dataclasses.dataclass(frozen=True)
class BackgroundOptions:
    """Which sequences are the background."""

    windows: Annotated[int | None, Bounds(1, MOST_SEQUENCES)] = None
    """Number of random windows of --genome, drawn with replacement from all windows without an N; default 100,000."""

    shuffles: Annotated[int, Bounds(0, MOST_SHUFFLES)] = 0
    """Predict so many dinucleotide shuffles of each sequence or window in place of itself."""

    seed: Seed = 0
    """Seed of windows and shuffles; the same seed gives the same file."""

    def __post_init__(self) -> None:
        check(self)
