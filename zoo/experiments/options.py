"""Options that several experiments share. Imports no library, since `--help` shows them.

Positions are counted from 1, as in region strings.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Annotated, Literal

from zoo.errors import ZooError
from zoo.options import Bounds, Seed, check

MOST = 10_000_000
"""Most backgrounds of an experiment."""

USUAL = 200
"""Random backgrounds by default."""


@dataclasses.dataclass(frozen=True)
class BackgroundSequences:
    """The sequences that motifs are put into: random ones, or those of files, or shuffles of these."""

    backgrounds: Annotated[int | None, Bounds(2, MOST)] = None
    """Random sequences to put the motifs into, default 200; not with FILE, whose sequences are then used."""

    gc: Annotated[float | None, Bounds(0, 1)] = None
    """Share of G and C in random sequences, default 0.5."""

    shuffles: Annotated[int, Bounds(0, 10_000)] = 0
    """Use so many dinucleotide shuffles of each sequence of FILE in place of itself."""

    seed: Seed = 1234
    """Seed of random sequences, shuffles and drawn sites; the same seed gives the same files."""

    def __post_init__(self) -> None:
        check(self)

    def check_source(self, given: bool) -> None:
        """Raise ZooError for options that do not fit the source. given: whether sequences are given."""
        if given and (self.backgrounds is not None or self.gc is not None):
            raise ZooError("--backgrounds and --gc: are of random sequences; leave out FILE, or these options")
        if not given and self.shuffles:
            raise ZooError("--shuffles: needs sequences to shuffle; give FILE")


@dataclasses.dataclass(frozen=True)
class MotifNames:
    """The motifs of an experiment."""

    motifs: tuple[str, ...] = ()
    """Motifs, A,B: names in --known, or sites in IUPAC letters such as TGASTCA, or NAME=SITE. An N keeps the base of
    the sequence."""

    known: Path | None = None
    """MEME file of named motifs; by default motifs of fly enhancers and core promoters."""

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True)
class InsertOptions(MotifNames):
    """How motifs are written as bases."""

    letters: Literal["consensus", "drawn"] = "consensus"
    """Insert the most probable base at each position, or for each background a site drawn by the probabilities."""


@dataclasses.dataclass(frozen=True)
class SiteOptions(MotifNames):
    """Which stretches of the sequences are sites of motifs."""

    p_value: Annotated[float, Bounds(above=0, most=1)] = 1e-4
    """A site of a named motif has a log-odds score that at most this share of random sites reach; of a short motif, the
    best sites count. Sites that are given as letters match exactly, on both strands."""


@dataclasses.dataclass(frozen=True)
class ReplacementOptions:
    """What is put in the place of a stretch."""

    replacements: Annotated[int, Bounds(2, 10_000)] = 20
    """Replacements of each stretch."""

    replace_by: Literal["shuffled", "random"] = "shuffled"
    """Its own bases in another order, or random bases. A stretch of one base has no other order and stays."""

    seed: Seed = 1234
    """Seed of the replacements; those of a stretch depend only on this, its sequence and its place."""

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True)
class WindowOptions:
    """Windows in place of motifs."""

    window: Annotated[int | None, Bounds(1)] = None
    """Replace windows of so many bases, in place of the sites of --motifs."""

    step: Annotated[int | None, Bounds(1)] = None
    """Bases from one window to the next; default half a window."""

    def __post_init__(self) -> None:
        check(self)
        if self.step is not None and self.window is None:
            raise ZooError("--step: only applies to --window")


@dataclasses.dataclass(frozen=True)
class FlankOptions:
    """Which bases around a site are exchanged."""

    width: Annotated[int, Bounds(1)] = 5
    """Bases on each side of a site that are exchanged, as far as the sequence has them."""

    donors: Literal["random", "sites"] = "random"
    """Take random bases, or the bases around other sites of the same motif."""

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True)
class PlaceOptions:
    """Where a motif is put, and in which orientation."""

    position: Annotated[int | None, Bounds(1)] = None
    """First position of the motif, counted from 1; by default the motif is in the middle of the sequence."""

    everywhere: bool = False
    """Put the motif at every position in turn."""

    step: Annotated[int, Bounds(1)] = 1
    """Bases from one position to the next, with --everywhere."""

    orientation: Literal["+", "-", "both"] = "+"
    """Orientation of the motif: as it is written, its reverse complement, or each in turn."""

    def __post_init__(self) -> None:
        check(self)
        if self.everywhere and self.position is not None:
            raise ZooError("--position: is one place; leave out --everywhere or --position")
        if self.step > 1 and not self.everywhere:
            raise ZooError("--step: only applies to --everywhere")


@dataclasses.dataclass(frozen=True)
class PairOptions:
    """How two motifs stand to each other, and what their joint effect is compared with."""

    distances: tuple[str, ...] = ()
    """Bases between the two motifs, such as 5,10,20-40; default 10-50, as far as all pairs fit."""

    step: Annotated[int | None, Bounds(1)] = None
    """Bases from one distance of a range to the next; default 1, of the default range 10."""

    orientations: Literal["all", "given"] = "given"
    """Insert both motifs as they are written, or each in both orientations."""

    centred: Literal["first", "pair"] = "first"
    """Keep the first motif in the middle of the sequence, or the middle of the two."""

    expectation: Literal["multiplicative", "additive"] = "multiplicative"
    """Draw and test the difference to effects on the activity that multiply (log2 effects add), or that add."""

    def __post_init__(self) -> None:
        check(self)
        for text in self.distances:
            if not re.fullmatch(r"\d+(-\d+)?", text):
                raise ZooError(f"--distances {text}: expected numbers or ranges such as 5,10,20-40")
        if self.distances and self.step is not None and not any("-" in text for text in self.distances):
            raise ZooError(f"--step: only applies to ranges of --distances, got {','.join(self.distances)}")


@dataclasses.dataclass(frozen=True)
class SpacingOptions(PairOptions):
    """As PairOptions, for one pair at many distances."""

    distances: tuple[str, ...] = ()
    """Bases between the two motifs, such as 5,10,20-40; default 0-100, or as far as they fit."""

    step: Annotated[int | None, Bounds(1)] = None
    """Bases from one distance of a range to the next, default 1."""

    orientations: Literal["all", "given"] = "all"
    """Insert each motif in both orientations, or both as they are written."""

    order: Literal["both", "given"] = "both"
    """Put the second motif on each side of the first in turn, or after it."""

    average: bool = False
    """Show the mean over orders and orientations, which is made in each background."""


@dataclasses.dataclass(frozen=True)
class DependencyOptions:
    """Which dependencies between positions are measured, and which are shown."""

    measure: Literal["interaction", "ism", "gradient"] = "interaction"
    """interaction: effect of two substitutions minus the sum of their effects, the largest of all bases; ism, gradient:
    how a substitution changes the contribution of another base."""

    positions: str | None = None
    """Positions to map, FIRST-LAST, counted from 1, such as 100-150; default all."""

    pairs: Annotated[int, Bounds(0, 1_000_000)] = 20
    """Strongest pairs of positions in the table, for each sequence and target."""

    panels: Annotated[int, Bounds(1, 24)] = 6
    """Sequences in the figure: the first N."""

    def __post_init__(self) -> None:
        check(self)
        self.span(None)

    def span(self, length: int | None) -> slice:
        """The positions from 0 in sequences of `length` bases, if it is known. Raises ZooError for others."""
        if self.positions is None:
            return slice(0, length)
        first, dash, last = self.positions.replace(",", "").partition("-")
        if not (dash and first.isascii() and first.isdecimal() and last.isascii() and last.isdecimal()):
            raise ZooError(f"--positions: expected FIRST-LAST, such as 100-150, got {self.positions!r}")
        if not 1 <= int(first) <= int(last) or (length is not None and int(last) > length):
            within = f"within the {length} bases of a sequence" if length is not None else "from 1, in this order"
            raise ZooError(f"--positions: expected positions {within}, got {self.positions}")
        return slice(int(first) - 1, int(last))


@dataclasses.dataclass(frozen=True)
class HitOptions:
    """How instances of motifs are found in contributions."""

    sparsity: Annotated[float, Bounds(above=0, below=1)] = 0.7
    """Least correlation of a hit with its motif, the lambda of Fi-NeMo; higher gives fewer hits."""

    shuffles: Annotated[int, Bounds(1, 1000)] = 5
    """Shuffles of the positions of each sequence, in which the same search says how many hits are chance."""

    seed: Seed = 1234
    """Seed of the shuffles; the same seed gives the same files."""

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True)
class ShownOptions:
    """What is shown of the results."""

    targets: tuple[str, ...] = ()
    """Targets to show, A,B; default all."""

    figure_format: Literal["png", "svg", "pdf"] = "png"
    """Image format of the figure."""

    def __post_init__(self) -> None:
        check(self)
