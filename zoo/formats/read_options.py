"""ReadOptions: what a reader of sequences may change instead of refusing the file. Needs no library."""

from __future__ import annotations

import dataclasses
from typing import Literal

from zoo.errors import ZooError


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """How sequences are read; by default, whatever is not what the model takes is an error."""

    resize: Literal["center"] | None = None
    """Crop a longer sequence to its middle, pad a shorter one with N on both sides. An odd base is cut from, or padded
    at, the right."""

    ambiguous: Literal["n"] | None = None
    """Take any other letter, such as the IUPAC codes R or Y, as N."""

    def __post_init__(self) -> None:
        if self.resize not in (None, "center"):
            raise ZooError(f"resize: expected center, got {self.resize!r}")
        if self.ambiguous not in (None, "n"):
            raise ZooError(f"ambiguous: expected n, got {self.ambiguous!r}")


STRICT = ReadOptions()
"""Nothing is changed."""
