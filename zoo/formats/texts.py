"""Sequences as texts, such as the cells of a table or a list in Python -> base codes, read as ReadOptions say.

As strict as the reader of FASTA, and the same numbers; the caller says how messages call a sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from zoo.dna.encoding import INVALID, ascii_codes
from zoo.errors import ZooError
from zoo.formats.read_options import (
    COMMAND_LINE,
    LONGEST,
    ReadOptions,
    Spelling,
    length_refused,
    letter_refused,
)
from zoo.spec import UNKNOWN_BASE

BATCH_SIZE = 4096
"""Sequences that are joined at once."""


def encode(
    sequences: Sequence[str],
    length: int,
    reading: ReadOptions,
    title: Callable[[int], str],
    spelling: Spelling = COMMAND_LINE,
) -> np.ndarray:
    """N texts -> base codes, uint8 (N, length).

    title: number of a sequence, counted from 1 -> what messages call it.  spelling: of the options that they advise.
    Raises ZooError if a length or a letter is not what `reading` takes.
    """
    codes = np.empty((len(sequences), length), np.uint8)
    for start in range(0, len(sequences), BATCH_SIZE):
        part = sequences[start : start + BATCH_SIZE]
        for number, sequence in enumerate(part, start + 1):
            if not isinstance(sequence, str):
                raise ZooError(f"{title(number)}: expected a text, got {type(sequence).__name__}")
            too_long = len(sequence) > LONGEST * length
            if too_long or not sequence or not (reading.resize or len(sequence) == length):
                refused = length_refused(len(sequence), length, reading, too_long, spelling)
                raise ZooError(f"{title(number)}: {refused}")
        letters = "".join(part).encode("ascii", "replace")
        found = ascii_codes(letters)
        if reading.ambiguous:
            lower = np.frombuffer(letters, np.uint8) | 32
            found[(found == INVALID) & (lower >= ord("a")) & (lower <= ord("z"))] = UNKNOWN_BASE
        # before anything is cropped: a letter is refused wherever it stands, and its place is that in the text
        ends = np.cumsum([len(sequence) for sequence in part])
        if (found == INVALID).any():
            place = int(np.argmax(found == INVALID))
            row = int(np.searchsorted(ends, place, "right"))
            column = place - int(ends[row]) + len(part[row])
            refused = letter_refused(part[row][column], spelling)
            raise ZooError(f"{title(start + row + 1)}, position {column + 1}: {refused}")
        block = _centred(np.split(found, ends[:-1]), length) if reading.resize else found.reshape(-1, length)
        codes[start : start + len(part)] = block
    return codes


def _centred(sequences: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Base codes of sequences, uint8 (any,) each, cropped or padded as ReadOptions say: uint8 (N, length)."""
    out = np.full((len(sequences), length), UNKNOWN_BASE, np.uint8)
    for row, codes in enumerate(sequences):
        surplus = len(codes) - length
        if surplus > 0:
            out[row] = codes[surplus // 2 :][:length]
        else:
            before = -surplus // 2
            out[row, before : before + len(codes)] = codes
    return out
