"""DesignOptions: the options of `zoo design`. Imports no library, since `zoo design --help` shows them.

Positions are counted from 1 with both ends included, as in region strings: [start - 1, end) counted from 0.
"""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Annotated

from zoo.errors import ZooError
from zoo.options import Bounds, Seed, check

MOST = 10_000
"""Maximum number of designs, and of rounds."""

MOST_BEAM = 1_000

RUN = "homopolymer"

SHORTEST_RUN = 2


@dataclasses.dataclass(frozen=True)
class Keep:
    """A bound of a target's prediction."""

    target: str
    above: bool
    bound: float

    def __str__(self) -> str:
        return f"{self.target}{'>' if self.above else '<'}{self.bound:g}"


@dataclasses.dataclass(frozen=True)
class DesignOptions:
    """How sequences are designed, and the constraints that each design meets."""

    number: Annotated[int | None, Bounds(1, MOST)] = None
    """Designs to make; default 10, or one for each sequence of --start."""

    rounds: Annotated[int, Bounds(1, MOST)] = 20
    """Maximum number of rounds; each round changes one base of a design."""

    reach: float | None = None
    """Stop a design when the target's prediction reaches this value."""

    lower: bool = False
    """Lower the target's prediction instead of raising it."""

    risk: Annotated[float, Bounds(0)] = 0.0
    """For an ensemble: value a sequence by the mean minus this many standard deviations over the members, with --lower
    plus; --reach is of this value. 0 takes the mean alone."""

    beam: Annotated[int, Bounds(1, MOST_BEAM)] = 1
    """Sequences that each design keeps from round to round; 1 stops where no substitution improves the target."""

    keep: tuple[str, ...] = ()
    """Bounds of predictions, A,B: 'hk<0.5' or 'hk>-1'; quote them for the shell."""

    protect: tuple[str, ...] = ()
    """Positions that never change, A,B, such as 100-120; counted from 1, both ends included."""

    avoid: tuple[str, ...] = ()
    """Sites to avoid on both strands, A,B, in IUPAC letters; homopolymer:6 avoids runs of 6 or more of one base."""

    gc: str | None = None
    """Range of the GC content, such as 0.35-0.55."""

    distance: Annotated[int | None, Bounds(0)] = None
    """Maximum number of bases in which a design differs from its start."""

    diverse: Annotated[int, Bounds(0)] = 1
    """Minimum number of bases in which any two designs differ."""

    shuffled: bool = False
    """Start from dinucleotide shuffles of the sequences of --start."""

    prefix: str | None = None
    """Name the designs PREFIX_1, PREFIX_2; default TARGET_design."""

    seed: Seed = 1234
    """Seed for the starts; a start depends only on this and on the number of its design."""

    def __post_init__(self) -> None:
        check(self)
        if self.reach is not None and not math.isfinite(self.reach):
            raise ZooError(f"reach: expected a finite number, got {self.reach}")
        if self.prefix is not None and not re.fullmatch(r"[^\s>]\S*", self.prefix):
            raise ZooError(f"prefix: expected a name without blanks, got {self.prefix!r}")
        # raise for texts that cannot be parsed
        self.bounds, self.protected, self.runs, self.gc_range  # noqa: B018

    @property
    def bounds(self) -> list[Keep]:
        """Parsed `keep`."""
        pattern = r"(.+?)\s*([<>])\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
        found = []
        for text in self.keep:
            target, sign, bound = _parsed("keep", pattern, text, "a target, < or > and a number, such as hk<0.5")
            found.append(Keep(target, sign == ">", float(bound)))
        return found

    @property
    def protected(self) -> list[tuple[int, int]]:
        """Parsed `protect`: first and last positions, counted from 1."""
        expected = "positions counted from 1, the lower first, such as 100-120"
        ranges = []
        for text in self.protect:
            first, last = _parsed("protect", r"(\d+)(?:-(\d+))?", text, expected)
            ranges.append((int(first), int(last or first)))
            if not 1 <= ranges[-1][0] <= ranges[-1][1]:
                raise ZooError(f"protect: expected {expected}, got {text!r}")
        return ranges

    @property
    def sites(self) -> list[str]:
        """Parsed `avoid`: sites."""
        return [text for text in self.avoid if not text.startswith(RUN)]

    @property
    def runs(self) -> list[int]:
        """Parsed `avoid`: lengths of the shortest runs of one base to avoid."""
        expected = f"{RUN}:N, N at least {SHORTEST_RUN}, such as {RUN}:6"
        lengths = []
        for text in self.avoid:
            if text.startswith(RUN):
                lengths.append(int(_parsed("avoid", rf"{RUN}:(\d+)", text, expected)[0]))
                if lengths[-1] < SHORTEST_RUN:
                    raise ZooError(f"avoid: expected {expected}, got {text!r}")
        return lengths

    @property
    def gc_range(self) -> tuple[float, float]:
        """Parsed `gc`: lowest and highest share of G and C."""
        if self.gc is None:
            return 0.0, 1.0
        expected = "two shares from 0 to 1, the lower first, such as 0.35-0.55"
        lowest, highest = map(float, _parsed("gc", r"(\d*\.?\d+)-(\d*\.?\d+)", self.gc, expected))
        if not 0 <= lowest <= highest <= 1:
            raise ZooError(f"gc: expected {expected}, got {self.gc!r}")
        return lowest, highest


def _parsed(name: str, pattern: str, text: str, expected: str) -> tuple[str, ...]:
    """The groups of a pattern in the text of an option. Raises ZooError for another text."""
    found = re.fullmatch(pattern, text)
    if found is None:
        raise ZooError(f"{name}: expected {expected}, got {text!r}")
    return found.groups()
