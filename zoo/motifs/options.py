"""MotifOptions: the options of `zoo motifs`. Imports no library, since `zoo motifs --help` shows them."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from zoo.options import Bounds, Seed, check

Bases = Annotated[int, Bounds(1, 1 << 20)]


@dataclasses.dataclass(frozen=True)
class MotifOptions:
    """Options of TF-MoDISco. The defaults are those that studies of fly enhancers use for sequences of 249 bases."""

    targets: tuple[str, ...] = ()
    """Explained targets to use, A,B; default all."""

    strongest: Annotated[int | None, Bounds(1, 1 << 31)] = None
    """Use only the N sequences with the highest prediction of the target; default all."""

    window: Annotated[int | None, Bounds(1, 1 << 20)] = None
    """Search for seqlets only in this many bases around the middle; an odd number is lowered by one; default all."""

    size: Bases = 15
    """Bases in the core of a seqlet."""

    flank: Bases = 5
    """Bases added on each side of the core of a seqlet."""

    trim: Bases = 15
    """Bases to trim a pattern to, where its seqlets agree most."""

    initial_flank: Bases = 5
    """Bases added on each side of a trimmed pattern."""

    seqlets: Annotated[int, Bounds(1, 1 << 20)] = 5000
    """Use at most N positive and N negative seqlets, the first in the shuffled order of the sequences."""

    leiden: Annotated[int, Bounds(1, 1 << 20)] = 2
    """Leiden clusterings to run; the best one is used."""

    seed: Seed = 1234
    """Seed for the order of the sequences."""

    def __post_init__(self) -> None:
        check(self)


MOST_CLUSTERS = 32
"""Most clusters that can be asked for."""


@dataclasses.dataclass(frozen=True)
class ClusterOptions:
    """Whether and how `zoo explain` groups sequences by their contributions."""

    clusters: Annotated[int | None, Bounds(0, MOST_CLUSTERS)] = None
    """Group the sequences by the motifs that their predictions rest on, in N clusters, or without N in as many as there
    are, if any. FILE may also be an output folder of zoo explain, whose contributions are then used."""

    def __post_init__(self) -> None:
        check(self)
