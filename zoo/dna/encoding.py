"""Text -> base codes -> one-hot, and reverse complement. Lookup tables, no loops over bases.

Base codes are what the zoo computes with: uint8, A 0, C 1, G 2, T 3, anything else 4. Axes: N sequences, L positions,
C = 4 channels in the order of spec.ALPHABET.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence, Set

import numpy as np

from zoo.dna.read_options import (
    COMMAND_LINE,
    LONGEST,
    LONGEST_WORD,
    MISSING_WORDS,
    STRICT,
    ReadOptions,
    Spelling,
    length_message,
    letter_message,
)
from zoo.errors import WrongLength, ZooError
from zoo.spec import ALPHABET, UNKNOWN_BASE

BASES_AND_N = f"{ALPHABET}N{ALPHABET.lower()}n".encode()
"""The letters that have a code of their own."""

INVALID = 255
"""Code of a byte that is neither a base nor N, see `ascii_codes`."""

AMBIGUOUS = UNKNOWN_BASE + 1
"""Code of a letter that is read as N, until it has been counted."""

BATCH_SIZE = 4096
"""Texts that are encoded at once."""


def _ascii_table() -> np.ndarray:
    table = np.full(256, INVALID, np.uint8)
    for code, base in enumerate(ALPHABET):
        table[[ord(base), ord(base.lower())]] = code
    table[[ord("N"), ord("n")]] = UNKNOWN_BASE
    return table


ASCII_TO_CODE = _ascii_table()
"""uint8 (256,): ASCII byte -> base code, in upper and lower case; INVALID for letters outside ACGTN."""

ONE_HOT = np.vstack([np.eye(len(ALPHABET)), np.zeros(len(ALPHABET))]).astype(np.float32)
"""float32 (5, 4): base code -> one-hot row; the row of UNKNOWN_BASE is zeros."""

COMPLEMENT = np.array([3, 2, 1, 0, UNKNOWN_BASE], np.uint8)
"""uint8 (5,): base code -> code of the complementary base."""


def ascii_codes(text: bytes | bytearray | memoryview) -> np.ndarray:
    """ASCII letters, n bytes -> uint8 (n,): base codes, INVALID where a letter is neither ACGT nor N."""
    return ASCII_TO_CODE[np.frombuffer(text, np.uint8)]


@functools.cache
def letter_table(ambiguous: bool) -> bytes:
    """Table for bytes.translate: ASCII letter -> base code, INVALID, or, for other letters if requested, AMBIGUOUS."""
    table = ASCII_TO_CODE.copy()
    if ambiguous:
        letters = np.array([chr(byte).isascii() and chr(byte).isalpha() for byte in range(256)])
        table[letters & (table == INVALID)] = AMBIGUOUS
    return table.tobytes()


def sequence_list(sequences: Iterable[str]) -> list[str]:
    """A caller's sequences as a list. Raises ZooError for a single text, a set, or an object that is not iterable."""
    if isinstance(sequences, str | bytes):
        raise ZooError("sequences: expected a list of texts, got one text; put it in a list")
    if isinstance(sequences, Set) or not isinstance(sequences, Iterable):
        raise ZooError(f"sequences: expected a list of texts, got {type(sequences).__name__}")
    return list(sequences)


def encode(sequences: Iterable[str]) -> np.ndarray:
    """Sequences of one length L -> base codes, uint8 (N, L).

    Raises ZooError that names the sequence, counted from 1, if lengths differ or a letter is outside ACGTN.
    """
    sequences = sequence_list(sequences)
    length = len(sequences[0]) if sequences and isinstance(sequences[0], str) else 0
    return encode_as(sequences, length, STRICT, lambda number: f"sequence {number}", None)


def encode_as(
    sequences: Sequence[str],
    length: int,
    reading: ReadOptions,
    title: Callable[[int], str],
    spelling: Spelling | None = COMMAND_LINE,
) -> np.ndarray:
    """N texts -> base codes, uint8 (N, length), read as ReadOptions say.

    title: number of a sequence, from 1 -> its name in messages.  spelling: how messages write the options, if at all.
    Raises ZooError for the first sequence whose length or letters `reading` does not allow.
    """
    codes = np.empty((len(sequences), length), np.uint8)
    for start in range(0, len(sequences), BATCH_SIZE):
        part = sequences[start : start + BATCH_SIZE]
        for number, sequence in enumerate(part, start + 1):
            if not isinstance(sequence, str):
                raise ZooError(f"{title(number)}: expected a text, got {type(sequence).__name__}")

        def refusal(row: int, column: int | None, part: Sequence[str] = part, start: int = start) -> ZooError:
            name = title(start + row + 1)
            if column is None:
                text = part[row]
                message = length_message(len(text), length, reading, spelling, text[:LONGEST_WORD])
                return WrongLength(f"{name}: {message}")
            return ZooError(f"{name}, position {column + 1}: {letter_message(part[row][column], spelling)}")

        text = "".join(part).encode("ascii", "replace")
        letters = np.frombuffer(bytearray(text.translate(letter_table(reading.ambiguous == "n"))), np.uint8)
        bounds = np.cumsum([0, *map(len, part)])
        codes[start : start + len(part)] = fitted(letters, bounds, length, reading, part.__getitem__, refusal)
    return codes


def fitted(
    letters: np.ndarray,
    bounds: np.ndarray,
    length: int,
    reading: ReadOptions,
    text_of: Callable[[int], str],
    refusal: Callable[[int, int | None], ZooError],
) -> np.ndarray:
    """Letters of N sequences -> base codes, uint8 (N, length), cropped and padded as `reading` says.

    letters: uint8, all sequences one after the other, translated by `letter_table`; AMBIGUOUS becomes N in place.
    bounds: N + 1 offsets into `letters`.
    text_of: row -> its letters as they were; asked for short rows, since NA and nan mean that there is no sequence.
    refusal: (row, position) of an invalid letter, or (row, None) of an invalid length -> the error to raise.
    Letters are checked before anything is cropped. The error is that of the first invalid sequence.
    """
    sizes = np.diff(bounds)
    highest = int(letters.max(initial=0))
    wrong = (sizes == 0) | (sizes > LONGEST * length) if reading.resize else sizes != length
    for short in np.flatnonzero(sizes <= LONGEST_WORD).tolist() if reading.resize else ():
        wrong[short] |= text_of(short).lower() in MISSING_WORDS
    first_wrong = int(np.argmax(wrong)) if wrong.any() else len(sizes)
    first_letter = int(np.argmax(letters == INVALID)) if highest == INVALID else len(letters)
    if first_letter < bounds[first_wrong]:
        row = int(np.searchsorted(bounds, first_letter, "right")) - 1
        raise refusal(row, first_letter - int(bounds[row]))
    if first_wrong < len(sizes):
        raise refusal(first_wrong, None)
    if highest == AMBIGUOUS:
        np.minimum(letters, UNKNOWN_BASE, out=letters)
    surplus = sizes - length
    if not surplus.any():
        return letters.reshape(len(sizes), length)
    codes = np.full((len(sizes), length), UNKNOWN_BASE, np.uint8)
    cropped, padded = np.maximum(surplus, 0) // 2, np.maximum(-surplus, 0) // 2
    rows = np.arange(len(sizes)) * length
    copy_spans(letters, bounds[:-1] + cropped, np.minimum(sizes, length), codes.reshape(-1), rows + padded)
    return codes


def copy_spans(
    source: np.ndarray, starts: np.ndarray, lengths: np.ndarray, out: np.ndarray, positions: np.ndarray
) -> None:
    """out[positions[i] : positions[i] + lengths[i]] = source[starts[i] : starts[i] + lengths[i]] for all i.

    All spans of one length are copied at once, as rows of a sliding window: many spans have few different lengths.
    """
    from numpy.lib.stride_tricks import sliding_window_view

    for length in np.unique(lengths):
        if length:
            spans = np.flatnonzero(lengths == length)
            windows = sliding_window_view(out, length, writeable=True)
            windows[positions[spans]] = sliding_window_view(source, length)[starts[spans]]


def check_codes(codes: np.ndarray, length: int | None = None) -> None:
    """Raise ZooError unless `codes` is a uint8 array (N, length), for None (B,), with values 0 to 4."""
    shape = "(B,)" if length is None else f"(N, {length})"
    fits = isinstance(codes, np.ndarray) and codes.dtype == np.uint8
    if not fits or codes.ndim != (1 if length is None else 2) or (length is not None and codes.shape[1] != length):
        got = f"{codes.dtype} {codes.shape}" if isinstance(codes, np.ndarray) else type(codes).__name__
        raise ZooError(f"codes: expected a uint8 array {shape} of base codes, got {got}")
    if codes.size and codes.max() > UNKNOWN_BASE:
        place = tuple(map(int, np.argwhere(codes > UNKNOWN_BASE)[0]))
        raise ZooError(
            f"codes[{', '.join(map(str, place))}]: expected 0 to {UNKNOWN_BASE}, got {codes[place]}; see zoo.encode"
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


def from_one_hot(one_hot: np.ndarray) -> np.ndarray:
    """One-hot bases, (N, 4, L) -> base codes, uint8 (N, L); a position of zeros is an N."""
    return np.where(one_hot.any(1), one_hot.argmax(1), UNKNOWN_BASE).astype(np.uint8)


def reverse_complement(codes: np.ndarray) -> np.ndarray:
    """Base codes, uint8 (..., L) -> uint8 (..., L), the other strand read 5' to 3'."""
    return COMPLEMENT[codes[..., ::-1]]
