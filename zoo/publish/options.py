"""The options of `zoo pack`."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Literal

from zoo.errors import ZooError
from zoo.options import Seed, check
from zoo.weights import packs

Format = Literal["safetensors", "onnx"]


@dataclasses.dataclass(frozen=True)
class PackOptions:
    """What to pack, and what the weights do not say about their licence."""

    repository: str | None = None
    """Name that the pack will have on the hub, OWNER/NAME, for its README."""

    formats: tuple[Format, ...] = ()
    """Formats to write; by default all that the weights can have."""

    licence: str | None = None
    """Licence of the weights, by its SPDX identifier, if they do not carry it."""

    licence_file: Path | None = None
    """Text of the licence; needed for one that is neither MIT nor of Creative Commons."""

    runtime: str | None = None
    """Runtime that predicts the test tensors; by default the most trusted one here."""

    seed: Seed = 0
    """Seed of the test sequences."""

    def __post_init__(self) -> None:
        check(self)
        if self.repository is not None and not re.fullmatch(f"{packs.PART}/{packs.PART}", self.repository, re.ASCII):
            raise ZooError(f"repository: expected OWNER/NAME, got {self.repository!r}")
