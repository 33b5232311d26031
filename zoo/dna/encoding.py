"""Text -> base codes -> one-hot, and reverse complement. Lookup tables, no loops over bases.

Base codes are the currency of the zoo: uint8, A 0, C 1, G 2, T 3, anything else 4. Axes: N sequences, L positions,
C = 4 channels in the order of spec.ALPHABET.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

import numpy as np

from zoo.errors import ZooError
from zoo.spec import ALPHABET, UNKNOWN_BASE

INVALID = 255
"""Code that `ascii_codes` gives to a byte which is neither a base nor N."""


def _ascii_table() -> np.ndarray:
    table = np.full(256, INVALID, np.uint8)
    for code, base in enumerate(ALPHABET):
        table[[ord(base), ord(base.lower())]] = code
    table[[ord("N"), ord("n")]] = UNKNOWN_BASE
    return table


ASCII_TO_CODE = _ascii_table()
"""uint8 (256,): ASCII byte -> base code; lower case as upper case; INVALID for letters outside ACGTN."""

ONE_HOT = np.vstack([np.eye(len(ALPHABET)), np.zeros(len(ALPHABET))]).astype(np.float32)
"""float32 (5, 4): base code -> one-hot row; the row of UNKNOWN_BASE is zeros."""

COMPLEMENT = np.array([3, 2, 1, 0, UNKNOWN_BASE], np.uint8)
"""uint8 (5,): base code -> code of the complementary base."""


def ascii_codes(text: bytes | bytearray | memoryview) -> np.ndarray:
    """ASCII letters, n bytes -> uint8 (n,): base codes, INVALID where a letter is neither ACGT nor N."""
    return ASCII_TO_CODE[np.frombuffer(text, np.uint8)]


def texts_of(sequences: Iterable[str]) -> list[str]:
    """The sequences that a caller gave as a list. Raises ZooError for a text, of which each letter would be one, and
    for what holds none, or holds them in no order."""
    if isinstance(sequences, str | bytes):
        raise ZooError("sequences: expected a list of texts, got one text; put it in a list")
    if isinstance(sequences, Set) or not isinstance(sequences, Iterable):
        raise ZooError(f"sequences: expected a list of texts, got {type(sequences).__name__}")
    return list(sequences)


def encode(sequences: Iterable[str]) -> np.ndarray:
    """Sequences of one length L -> base codes, uint8 (N, L).

    Raises ZooError that names the sequence, counted from 1, if lengths differ or a letter is outside ACGTN.
    """
    sequences = texts_of(sequences)
    length = len(sequences[0]) if sequences and isinstance(sequences[0], str) else 0
    for number, sequence in enumerate(sequences, 1):
        if not isinstance(sequence, str):
            raise ZooError(f"sequence {number}: expected a text, got {type(sequence).__name__}")
        if len(sequence) != length:
            raise ZooError(f"sequence {number}: expected {length} bases like the first, got {len(sequence)}")
    joined = "".join(sequences).encode("ascii", "replace")
    codes = ascii_codes(joined).reshape(len(sequences), length)
    if (codes == INVALID).any():
        row, column = (int(index) for index in np.argwhere(codes == INVALID)[0])
        raise ZooError(
            f"sequence {row + 1}, position {column + 1}: expected a letter of ACGTN, got {sequences[row][column]!r}"
        )
    return codes


def check_codes(codes: np.ndarray, length: int) -> None:
    """Raise ZooError unless `codes` is a uint8 array (N, length) with values 0 to 4."""
    if not isinstance(codes, np.ndarray) or codes.dtype != np.uint8 or codes.ndim != 2 or codes.shape[1] != length:
        got = f"{codes.dtype} {codes.shape}" if isinstance(codes, np.ndarray) else type(codes).__name__
        raise ZooError(f"codes: expected a uint8 array (N, {length}) of base codes, got {got}")
    if codes.size and codes.max() > UNKNOWN_BASE:
        row, column = (int(index) for index in np.argwhere(codes > UNKNOWN_BASE)[0])
        raise ZooError(
            f"codes[{row}, {column}]: expected 0 to {UNKNOWN_BASE}, got {codes[row, column]}; see zoo.encode"
        )


def one_hot(sequences: Sequence[str] | np.ndarray, *, channels_first: bool = False) -> np.ndarray:
    """Texts of one length L, or base codes, uint8 (N, L) -> one-hot, float32 (N, L, 4).

    channels_first: float32 (N, 4, L) instead, as PyTorch networks take it. The four channels are A, C, G, T; an N is
    four zeros. Raises ZooError as `encode` does, and for an array of anything but base codes.
    """
    if isinstance(sequences, np.ndarray) and sequences.dtype.kind not in "UO":
        codes = sequences
        check_codes(codes, codes.shape[-1] if codes.ndim else 0)
    else:
        codes = encode(sequences)
    hot = ONE_HOT[codes]
    return np.ascontiguousarray(hot.swapaxes(1, 2)) if channels_first else hot


def reverse_complement(codes: np.ndarray) -> np.ndarray:
    """Base codes, uint8 (..., L) -> uint8 (..., L), the other strand read 5' to 3'."""
    return COMPLEMENT[codes[..., ::-1]]
