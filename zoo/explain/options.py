"""ExplainOptions and MotifOptions: what `zoo explain` and `zoo motifs` compute, and with which numbers.

Needs no library, so that the command line can show them at once.
"""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from zoo.errors import ZooError
from zoo.options import check_count, check_kind

Method = Literal["deeplift", "ism", "gradient"]

METHODS: tuple[str, ...] = get_args(Method)

MOST_SHUFFLES = 10_000

MOST_ROWS = 10_000
"""Sequences in a report; a browser opens no larger page with pleasure."""


@dataclasses.dataclass(frozen=True)
class ExplainOptions:
    """How contributions are computed and shown."""

    method: Method = "deeplift"
    """deeplift, against dinucleotide shuffles; ism, every substitution predicted; gradient, of the output."""

    targets: tuple[str, ...] = ()
    """Targets of the model, A,B; by default all."""

    shuffles: int = 100
    """Dinucleotide shuffles of each sequence that DeepLIFT compares it with."""

    seed: int = 1234
    """The shuffles follow from it and the bases of their sequence alone."""

    rows: int = 100
    """Sequences that the report shows, the first of the input."""

    logos: int = 0
    """Draw the contributions of the first so many sequences, a picture each and target; needs the extra `explain`."""

    logo_format: Literal["png", "svg"] = "png"
    """Of those pictures."""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ZooError(f"method: expected one of {', '.join(METHODS)}, got {self.method!r}")
        check_count("shuffles", self.shuffles, MOST_SHUFFLES)
        check_seed(self.seed)
        for name, value in (("rows", self.rows), ("logos", self.logos)):
            if value:
                check_count(name, value, MOST_ROWS)


def check_seed(seed: int) -> None:
    """Raise ZooError unless it is a whole number of 64 bits."""
    check_kind("seed", seed, int)
    if not 0 <= seed < 1 << 64:
        raise ZooError(f"seed: expected 0 to 2**64 - 1, got {seed}")


@dataclasses.dataclass(frozen=True)
class MotifOptions:
    """Numbers of TF-MoDISco, as studies of fly enhancers set them for sequences of 249 bases."""

    targets: tuple[str, ...] = ()
    """Targets that were explained, A,B; by default all."""

    strongest: int | None = None
    """Only so many sequences, those with the highest prediction of the target; by default all."""

    window: int | None = None
    """Bases around the middle in which seqlets are looked for, an odd number less one; by default all."""

    size: int = 15
    """Bases of the core of a seqlet."""

    flank: int = 5
    """Bases on either side of a core that belong to its seqlet."""

    trim: int = 15
    """Bases that a pattern is trimmed to, where its seqlets agree most."""

    initial_flank: int = 5
    """Bases that a pattern gains on either side after that."""

    seqlets: int = 5000
    """Most seqlets of either sign; the first, which is why sequences are put in a random order."""

    leiden: int = 2
    """Clusterings from different starts, of which the best counts."""

    seed: int = 1234
    """Of the order of the sequences."""

    def __post_init__(self) -> None:
        for name in ("size", "flank", "trim", "initial_flank", "seqlets", "leiden"):
            check_count(name.replace("_", " "), getattr(self, name), 1 << 20)
        check_count("strongest", self.strongest, 1 << 31)
        check_count("window", self.window, 1 << 20)
        check_seed(self.seed)
