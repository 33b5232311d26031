"""ReadOptions: what a reader of sequences may change instead of refusing the file, and what every reader says of a
sequence that it refuses. Needs no library.
"""

from __future__ import annotations

import dataclasses
from typing import Literal, NamedTuple

from zoo.errors import ZooError


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """How sequences are read; by default, whatever is not what the model takes is an error."""

    resize: Literal["center"] | None = None
    """Crop a longer sequence to its middle, pad a shorter one with N on both sides; one of more than four lengths is
    refused. An odd base is cut from, or padded at, the right."""

    ambiguous: Literal["n"] | None = None
    """Take any other letter, such as the IUPAC codes R or Y, as N."""

    def __post_init__(self) -> None:
        if self.resize not in (None, "center"):
            raise ZooError(f"resize: expected center, got {self.resize!r}")
        if self.ambiguous not in (None, "n"):
            raise ZooError(f"ambiguous: expected n, got {self.ambiguous!r}")


STRICT = ReadOptions()
"""Nothing is changed."""


class Spelling(NamedTuple):
    """What a user types to set the options, which messages advise."""

    resize: str
    ambiguous: str


COMMAND_LINE = Spelling("--crop-or-pad", "--ambiguous-as-n")

PYTHON = Spelling('resize="center"', 'ambiguous="n"')

LONGEST = 4
"""Lengths of the model that a sequence may have to be cropped: the middle of a contig does not stand for the contig."""


def length_refused(
    got: int | str, length: int, reading: ReadOptions, too_long: bool, spelling: Spelling = COMMAND_LINE
) -> str:
    """What to say of a sequence of `got` bases. too_long: it has more than LONGEST lengths, and cropping is no help."""
    size = got if isinstance(got, str) else f"{got:,}" if too_long else f"{got}"
    advice = ""
    if too_long:
        advice = f"; cut windows of {length} bases out of it first; of a genome, zoo predict --bed and zoo scan do"
    elif not reading.resize:
        advice = f"; {spelling.resize} crops or pads with N"
    return f"expected {length} bases, got {size}{advice}"


def letter_refused(letter: str, spelling: Spelling = COMMAND_LINE) -> str:
    """What to say of a letter which is not taken."""
    advice = ""
    if letter in ("U", "u"):
        advice = ": RNA? change U to T, for example with seqkit seq --rna2dna"
    elif letter.isascii() and letter.isalpha():
        advice = f"; {spelling.ambiguous} takes it as N"
    return f"expected a letter of ACGTN, got {letter!r}{advice}"
