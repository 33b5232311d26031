"""FrameOptions: the options of `zoo import` for a network with its graph. Needs only the standard library."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from zoo.errors import ZooError
from zoo.options import check


@dataclasses.dataclass(frozen=True)
class FrameOptions:
    """What the graph of a network does not say, beside its alphabet, length and targets."""

    frame: Path | None = None
    """TOML file with the frame, instead of the options here; zoo init-frame writes one to fill in."""

    layout: str | None = None
    """Axes of a one-hot input, such as NCL, NLC or NC1L, or codes or letters; by default the one that fits."""

    strand: Literal["given", "mean", "graph"] | None = None
    """Strands that count: the given one, the mean of both, or both inside the graph."""

    turns: Literal["sequence", "construct"] | None = None
    """What is reverse complemented for the mean: the sequence between its flanks, or all of the construct."""

    unknown: float | None = None
    """What the channels of an N hold: 0 (the default) or 0.25; for codes its code."""

    left: str | None = None
    """Bases before each sequence, such as an adapter."""

    right: str | None = None
    """Bases after each sequence."""

    def __post_init__(self) -> None:
        check(self)
        given = [name for name, value in vars(self).items() if value is not None and name != "frame"]
        if self.frame is not None and given:
            raise ZooError(f"--{given[0]}: say it in {self.frame}, the file of --frame")
