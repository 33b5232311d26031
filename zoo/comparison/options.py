"""Options of `zoo compare-models`; the command line is derived from them. Needs no library."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from zoo.layers.config import LONGEST
from zoo.options import Bounds, ThreadOptions
from zoo.training.config import Device

MOST_SEEDS = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparisonOptions(ThreadOptions):
    """How often models are trained, and where."""

    output: Path
    """New folder for this comparison."""

    resume: bool = False
    """Continue the comparison in --output; models may be added, and --seeds may be larger."""

    epochs: Annotated[int | None, Bounds(1)] = None
    """Maximum number of epochs for every model; default that of its own recipe."""

    seeds: Annotated[int, Bounds(1, MOST_SEEDS)] = 3
    """Number of trainings of each model, with different random seeds."""

    seed: Annotated[int, Bounds(0)] = 0
    """Random seed of the first training; the others have the seeds that follow."""

    against: str | None = None
    """Model that the others are compared with; default the one with the highest mean Pearson correlation."""

    sequence_length: Annotated[int | None, Bounds(1, LONGEST)] = None
    """Bases of a sequence; default those of the first sequence in the data."""

    device: Device = "auto"
    """Device to train on; auto takes CUDA where it works."""

    figure_format: Literal["png", "svg", "pdf"] = "png"
    """Image format of the figure."""
