"""What models of any architecture share: NetworkConfig, so that a Config is only its fields and its own checks."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError
from zoo.options import Bounds, check
from zoo.spec import ALPHABET, check_targets

if TYPE_CHECKING:
    from torch import nn

LONGEST = 1 << 20
"""Bases of the longest sequence that a network takes."""

MOST_LAYERS = 256
"""Entries of a list of numbers, one for each layer. A network of more, as a file can declare it, takes minutes to
make."""


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
        for name, value in vars(self).items():
            if isinstance(value, tuple) and len(value) > MOST_LAYERS and isinstance(value[0], int | float):
                raise ZooError(f"{name}: expected at most {MOST_LAYERS} numbers, got {len(value):,}")

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


def network_in(package: str, name: str) -> Callable[[Any], nn.Module]:
    """The function `network` of a model whose class `name`, in torch_network.py of its package, takes the Config."""

    def network(config: Any) -> nn.Module:
        """The PyTorch network with initial weights. Needs the extra `train`."""
        module: nn.Module = getattr(importlib.import_module(f"{package}.torch_network"), name)(config)
        return module

    return network
