"""What a reader of sequences may change instead of refusing the file, and its messages. Needs no library."""

import dataclasses
from typing import Literal, NamedTuple

from zoo.options import check

Ambiguous = Literal["n", "refuse"]
"""What a reader does with letters other than ACGTN, such as the IUPAC codes R or Y: reads them as N and counts them, or
refuses them."""


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """How sequences are read. By default, any sequence that the model does not take is an error."""

    resize: Literal["center"] | None = None
    """Crop longer sequences to their middle and pad shorter ones with N on both sides; sequences over four times the
    model's length are refused. An odd base is cut from, or padded at, the right."""

    ambiguous: Ambiguous | None = None
    """Read any other letter, such as the IUPAC codes R or Y, as N and count it; by default it is refused."""

    def __post_init__(self) -> None:
        check(self)


STRICT = ReadOptions()
"""Change nothing."""


class Spelling(NamedTuple):
    """How messages write the options."""

    resize: str
    ambiguous: str


COMMAND_LINE = Spelling("--crop-or-pad", "--ambiguous-as-n")

PAGE = Spelling('"Crop or pad"', '"Other letters as N"')

PYTHON = Spelling('resize="center"', 'ambiguous="n"')

LONGEST = 4
"""Longest sequence that is cropped, in lengths of the model: the middle of a contig does not represent the contig."""


MISSING_WORDS = frozenset(("na", "nan", "null", "none"))
"""Words of letters, in any case, that programs write for a missing value: no sequences, though N and A are letters of
DNA."""

LONGEST_WORD = max(map(len, MISSING_WORDS))


def length_message(
    size: int | None,
    length: int,
    reading: ReadOptions,
    spelling: Spelling | None = COMMAND_LINE,
    text: str = "",
) -> str:
    """Message for a sequence of `size` bases, None for more than LONGEST lengths, where the model takes `length`.

    text: its first letters, at least LONGEST_WORD.
    """
    if size is not None and size <= LONGEST_WORD and text.lower() in MISSING_WORDS:
        return f"expected a sequence of {length} bases, got {text!r}, a word for a missing value"
    most = LONGEST * length
    if size is None or size > most:
        got = f"more than {most:,}" if size is None else f"{size:,}"
        advice = f"; cut it into windows of {length} bases first; for a genome use zoo predict --bed or zoo scan"
    else:
        got, advice = f"{size}", ""
        if spelling and not reading.resize:
            advice = f"; {spelling.resize} crops or pads with N"
    return f"expected {length} bases, got {got}{advice}"


def letter_message(letter: str, spelling: Spelling | None = COMMAND_LINE) -> str:
    """Message for a letter that is not valid."""
    advice = ""
    if spelling and letter in ("U", "u"):
        advice = ": RNA? change U to T, for example with seqkit seq --rna2dna"
    elif spelling and letter.isascii() and letter.isalpha():
        advice = f"; {spelling.ambiguous} takes it as N"
    return f"expected a letter of ACGTN, got {letter!r}{advice}"
