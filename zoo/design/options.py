"""DesignOptions: how `zoo design` climbs, and what every design has to keep to.

Needs no library, so that the command line can show them at once. Positions are counted from 1, both ends included, as
in region strings; that is [start - 1, end) counted from 0.
"""

from __future__ import annotations

import dataclasses
import math
import re

from zoo.errors import ZooError
from zoo.options import Seed, check, check_count

MOST_DESIGNS = 10_000

MOST_ROUNDS = 10_000

MOST_STATES = 1_000
"""Of a beam."""

RUN = "homopolymer"

SHORTEST_RUN = 2
"""A run of one is a base."""


@dataclasses.dataclass(frozen=True)
class Keep:
    """An activity that stays on one side of a bound."""

    target: str
    above: bool
    bound: float

    def __str__(self) -> str:
        return f"{self.target}{'>' if self.above else '<'}{self.bound:g}"


@dataclasses.dataclass(frozen=True)
class DesignOptions:
    """How many designs, how they climb, and what holds in each."""

    number: int | None = None
    """Designs; by default 10, or one for each sequence of --start, which are taken in turn."""

    rounds: int = 20
    """Rounds at most; a design changes one base in each."""

    reach: float | None = None
    """Stop where the target's prediction reaches this."""

    lower: bool = False
    """Lower the target instead of raising it."""

    beam: int = 1
    """Sequences that each design follows side by side; 1 takes the best substitution and ends where none is better."""

    keep: tuple[str, ...] = ()
    """Bounds of predictions, A,B: 'hk<0.5' or 'hk>-1'; quote them, < means something to a shell."""

    protect: tuple[str, ...] = ()
    """Positions that never change, A,B: 100-120 is from the 100th base to the 120th, both included."""

    avoid: tuple[str, ...] = ()
    """What must not occur, A,B: sites in IUPAC letters, on both strands, and homopolymer:6, 6 or more of one base."""

    gc: str | None = None
    """Share of G and C, from-to, such as 0.35-0.55."""

    distance: int | None = None
    """Bases at most in which a design differs from its start."""

    diverse: int = 1
    """Bases at least in which any two designs differ."""

    shuffled: bool = False
    """Begin with dinucleotide shuffles of the sequences of --start."""

    prefix: str | None = None
    """Designs are called PREFIX_1, PREFIX_2; by default TARGET_design."""

    seed: Seed = 1234
    """The starts of a design follow from it and the design's number alone."""

    def __post_init__(self) -> None:
        check(self)
        check_count("number", self.number, MOST_DESIGNS)
        check_count("rounds", self.rounds, MOST_ROUNDS)
        check_count("beam", self.beam, MOST_STATES)
        if self.reach is not None and not math.isfinite(self.reach):
            raise ZooError(f"reach: expected a number, got {self.reach}")
        for name, value in (("distance", self.distance), ("diverse", self.diverse)):
            if value is not None and value < 0:
                raise ZooError(f"{name}: expected a number of bases from 0, got {value}")
        if self.prefix is not None and not re.fullmatch(r"[^\s>]\S*", self.prefix):
            raise ZooError(f"prefix: expected a name without blanks, got {self.prefix!r}")
        # what is wrong with a text is said when the options are made
        self.bounds, self.protected, self.sites, self.runs, self.gc_range  # noqa: B018

    @property
    def bounds(self) -> list[Keep]:
        """Of `keep`."""
        found = []
        for text in self.keep:
            parts = re.fullmatch(r"(.+?)\s*([<>])\s*([-+]?[\d.]+(?:e[-+]?\d+)?)", text, re.IGNORECASE)
            try:
                found.append(Keep(parts[1], parts[2] == ">", float(parts[3])))  # type: ignore[index]
            except (TypeError, ValueError):
                raise ZooError(f"keep: expected a target, < or > and a number, such as hk<0.5, got {text!r}") from None
        return found

    @property
    def protected(self) -> list[tuple[int, int]]:
        """Of `protect`: first and last position, counted from 1."""
        found = []
        for text in self.protect:
            parts = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
            if parts is None:
                raise ZooError(f"protect: expected positions counted from 1, such as 100-120, got {text!r}")
            first, last = int(parts[1]), int(parts[2] or parts[1])
            if not 1 <= first <= last:
                raise ZooError(f"protect: expected positions counted from 1, the lower first, got {text!r}")
            found.append((first, last))
        return found

    @property
    def sites(self) -> list[str]:
        """Of `avoid`, without runs."""
        return [text for text in self.avoid if not text.startswith(RUN)]

    @property
    def runs(self) -> list[int]:
        """Of `avoid`: how many of one base are too many."""
        found = []
        for text in self.avoid:
            if not text.startswith(RUN):
                continue
            parts = re.fullmatch(rf"{RUN}:(\d+)", text)
            if parts is None or int(parts[1]) < SHORTEST_RUN:
                raise ZooError(f"avoid: expected {RUN}:N, N at least {SHORTEST_RUN}, such as {RUN}:6, got {text!r}")
            found.append(int(parts[1]))
        return found

    @property
    def gc_range(self) -> tuple[float, float]:
        """Of `gc`: lowest and highest share."""
        if self.gc is None:
            return 0.0, 1.0
        parts = re.fullmatch(r"(\d*\.?\d+)-(\d*\.?\d+)", self.gc)
        if parts is None or not 0 <= float(parts[1]) <= float(parts[2]) <= 1:
            raise ZooError(f"gc: expected two shares from 0 to 1, the lower first, such as 0.35-0.55, got {self.gc!r}")
        return float(parts[1]), float(parts[2])
