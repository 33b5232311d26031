"""NetworkConfig: what the Configs of all models share, so that a Config is only its fields and its own checks."""

from __future__ import annotations

import dataclasses
from typing import Any

from zoo.errors import ZooError
from zoo.options import Bounds, check
from zoo.spec import ALPHABET, check_targets

LONGEST = 1 << 20
"""Bases of the longest sequence that a network takes."""


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Dimensions of one network; raises ZooError for values that do not make a network.

    A model inherits from it with a frozen dataclass, gives all fields defaults, and limits numbers with Bounds:

        filters: Annotated[tuple[int, ...], Bounds(1)] = (64, 32)

    A Config with checks of its own calls `super().__post_init__()` first in its `__post_init__`; types, choices and
    Bounds are then checked, and lists, as JSON has them, are tuples.

    sequence_length: L, bases of a sequence that the user gives.  targets: names of the T outputs.
    """

    sequence_length: int
    targets: tuple[str, ...]

    def __post_init__(self) -> None:
        check(self, separator="_")
        Bounds(1, LONGEST).check("sequence_length", self.sequence_length)
        check_targets(self.targets)

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; `Config(**config.to_dict()) == config`."""
        return {name: _plain(value) for name, value in dataclasses.asdict(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [*map(_plain, value)] if isinstance(value, tuple) else value


def check_flanks(config: NetworkConfig, left: str, right: str) -> int:
    """The number of bases that a network sees, with constant bases on both sides of what the user gives.

    Raises ZooError for flanks with other letters than A, C, G, T and N.
    """
    for name, flank in (("left_flank", left), ("right_flank", right)):
        if set(flank) - {*ALPHABET, "N"}:
            raise ZooError(f"{name}: expected letters of {ALPHABET} and N, got {flank!r}")
    return len(left) + config.sequence_length + len(right)
