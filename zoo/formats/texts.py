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
        if reading.resize:
            part = [_centred(sequence, length) for sequence in part]
        letters = "".join(part).encode("ascii", "replace")
        block = ascii_codes(letters).reshape(-1, length)
        if reading.ambiguous:
            lower = np.frombuffer(letters, np.uint8).reshape(-1, length) | 32
            block[(block == INVALID) & (lower >= ord("a")) & (lower <= ord("z"))] = UNKNOWN_BASE
        if (block == INVALID).any():
            row, column = (int(index) for index in np.argwhere(block == INVALID)[0])
            refused = letter_refused(part[row][column], spelling)
            raise ZooError(f"{title(start + row + 1)}, position {column + 1}: {refused}")
        codes[start : start + len(part)] = block
    return codes


def _centred(sequence: str, length: int) -> str:
    """Cropped or padded as ReadOptions say."""
    surplus = len(sequence) - length
    if surplus > 0:
        return sequence[surplus // 2 :][:length]
    return f"{'N' * (-surplus // 2)}{sequence}".ljust(length, "N")
