"""Records in: FASTA, plain or compressed, from a file or standard input, as batches of names and base codes.

A block of text at a time, no loop over records or bases: memory grows neither with the file nor with a record. Strict:
whatever is not FASTA, or not what the model takes, is a ZooError that names the file, the record and what was expected.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from zoo.dna.encoding import ASCII_TO_CODE, INVALID
from zoo.errors import ZooError
from zoo.formats import compressed
from zoo.formats.names import first_word, shown
from zoo.formats.read_options import LONGEST, STRICT, ReadOptions, length_refused, letter_refused
from zoo.spec import UNKNOWN_BASE

BLOCK_BYTES = 1 << 20
"""Text read at once: long enough to drown the cost of a NumPy call, short enough for the second-level cache."""

BATCH_SIZE = 4096
"""Records a batch, unless asked otherwise."""

HEADER_BYTES = 1 << 20
"""A header may have, its name and all that stands behind it."""

RECORD_BYTES = 4 << 20
"""Text that a record may have, white space and all, where the model takes at most 262,144 bases; else more."""

CODES_BYTES = 64 << 20
"""Base codes made at once: a small record that is padded to a long sequence takes much more than its text."""

AMBIGUOUS = UNKNOWN_BASE + 1
"""Code of a letter that is taken as N, until it has been counted."""

LAST_LETTER = ord("~")
"""Bytes above it are DEL, or belong to letters outside ASCII."""

LINE_END_BLANKS = np.frombuffer(b"\r \t", np.uint8)

Batch = tuple[list[str], np.ndarray]
"""Names of N records, and their base codes, uint8 (N, L)."""


@dataclasses.dataclass
class Counts:
    """What a Reader has read, and how much of it was changed as ReadOptions allow."""

    records: int = 0
    resized: int = 0
    ambiguous_letters: int = 0
    mostly_unknown: int = 0
    """Records of which more than half is unknown, as they go to the model."""


class Reader:
    """The records of a FASTA file in order, in batches; iterate over it once.

    path: FASTA, plain or compressed with gzip, bgzip, zstd, bzip2 or xz, known by its content; "-" is standard input.
    length: L, bases that every sequence must have, unless `reading` says otherwise.
    batch_size: records a batch; the last batch may be smaller.

    A name is the header up to the first white space or control character; equal names are all kept. Bytes of a name
    that are not UTF-8 survive as surrogate escapes. Upper and lower case are the same; blank lines are skipped.
    Iterating raises ZooError if the file cannot be read, is not FASTA, or a record is not what the model takes.
    """

    def __init__(
        self, path: str | Path, length: int, batch_size: int = BATCH_SIZE, reading: ReadOptions = STRICT
    ) -> None:
        self._path = str(path)
        self._where = compressed.title(self._path)
        self._length = length
        self._batch_size = batch_size
        self._reading = reading
        self.bytes_read = 0
        """Bytes of the file consumed so far, as it lies there; 0 where it cannot be told, as for a pipe."""
        self.counts = Counts()
        """What has been read so far."""

    def __iter__(self) -> Iterator[Batch]:
        names: list[str] = []
        parts: list[np.ndarray] = []
        size = self._batch_size
        for block_names, block_codes in self._blocks():
            names += block_names
            parts.append(block_codes)
            if len(names) >= size:
                codes = np.concatenate(parts)
                whole = len(names) - len(names) % size
                for start in range(0, whole, size):
                    yield names[start : start + size], codes[start : start + size]
                names, parts = names[whole:], [codes[whole:]]
        if names:
            yield names, np.concatenate(parts)

    def _blocks(self) -> Iterator[Batch]:
        table = _letter_table(self._reading)
        for text in self._texts():
            for part in self._parts(text):
                block = _Block(part, self._where, self.counts)
                yield block.names(), block.codes(self._length, self._reading, table)
        if not self.counts.records:
            raise ZooError(f"{self._where}: expected FASTA records, found none; the file is empty")

    def _parts(self, text: bytes) -> Iterator[bytes]:
        """The text in pieces whose base codes are no more than CODES_BYTES, unless one record alone has more."""
        if self._reading.resize and (text.count(b"\n>") + 1) * self._length > CODES_BYTES:
            boundary = text.find(b"\n>", len(text) // 2) + 1 or text.rfind(b"\n>") + 1
            if boundary:
                yield from self._parts(text[:boundary])
                yield from self._parts(text[boundary:])
                return
        yield text

    def _texts(self) -> Iterator[bytes]:
        """Yield the text in pieces of whole records: each piece begins with ">" and ends with a line feed."""
        with compressed.opened(self._path) as source:
            # no boundary between records lies in `rest`; reading as much again keeps the copying linear
            rest = b""
            first = True
            while piece := source.read(max(BLOCK_BYTES, len(rest))):
                rest += piece
                if first and (rest := rest.lstrip()):
                    _check_beginning(rest, self._where)
                    first = False
                self.bytes_read = source.consumed()
                boundary = rest.rfind(b"\n>") + 1
                if boundary:
                    yield rest[:boundary]
                    rest = rest[boundary:]
                if len(rest) > HEADER_BYTES:
                    self._check_unfinished(rest)
            if rest:
                self._check_line_ends(rest)
                yield rest + b"\n"

    def _check_unfinished(self, text: bytes) -> None:
        """Raise ZooError if a record, whose end is not read yet, is known to be too long."""
        record = _titled(self._where, self.counts.records + 1, text[1:HEADER_BYTES])
        header = text.find(b"\n", 0, HEADER_BYTES + 2)
        if header < 0:
            self._check_line_ends(text)
            raise ZooError(_long_header(record))
        most = LONGEST * self._length
        if len(text[header:].translate(None, LINE_END_BLANKS.tobytes() + b"\n")) > most:
            raise ZooError(f"{record}: {length_refused(f'more than {most:,}', self._length, self._reading, True)}")
        most_text = max(RECORD_BYTES, LONGEST * most)
        if len(text) > most_text:
            raise ZooError(
                f"{record}: expected {self._length} bases, got more than {most_text:,} characters, most of them blank"
            )

    def _check_line_ends(self, text: bytes) -> None:
        """Raise ZooError for lines that end in carriage returns alone, which make a whole file one header."""
        if b"\n" not in text and b"\r" in text.rstrip():
            raise ZooError(f"{self._where}: its lines end in carriage returns alone; convert it with tr '\\r' '\\n'")


def _letter_table(reading: ReadOptions) -> bytes:
    table = ASCII_TO_CODE.copy()
    if reading.ambiguous:
        letters = np.array([chr(byte).isascii() and chr(byte).isalpha() for byte in range(256)])
        table[letters & (table == INVALID)] = AMBIGUOUS
    return table.tobytes()


def _check_beginning(text: bytes, where: str) -> None:
    if text.startswith(b">"):
        return
    expected = f"{where}: expected FASTA, whose first line starts with '>'"
    line = text.split(b"\n", 1)[0].rstrip()
    if line.startswith(b"@"):
        raise ZooError(f"{expected}, this looks like FASTQ; convert it, for example with seqtk seq -A")
    if line.startswith(b"%PDF"):
        raise ZooError(f"{expected}, this is a PDF")
    if any(byte < 32 and byte not in b"\t\r" for byte in line[:80]) or not line.isascii():
        raise ZooError(f"{expected}, this is not a text file")
    raise ZooError(f"{expected}, got {shown(line.decode())!r}: a sequence before the first header?")


def _titled(where: str, number: int, header: bytes | str) -> str:
    """What messages call a record."""
    text = header if isinstance(header, str) else header.decode("utf-8", "surrogateescape")
    return f"{where}: record {number} ({shown(first_word(text))})"


def _long_header(record: str) -> str:
    return f"{record}: expected a header of at most {HEADER_BYTES:,} bytes, got a longer one"


class _Block:
    """A piece of text of whole records, cut into lines. Spans are arrays of first byte and of byte after the last."""

    def __init__(self, text: bytes, where: str, counts: Counts) -> None:
        self._text = text
        self._bytes = np.frombuffer(text, np.uint8)
        self._where = where
        self._counts = counts
        ends = np.flatnonzero(self._bytes == ord("\n"))
        starts = np.concatenate(([0], ends[:-1] + 1))
        starts, ends = self._trimmed(starts, ends)
        is_header = self._bytes[starts] == ord(">")
        self._headers = starts[is_header] + 1, ends[is_header]
        self._lines = starts[~is_header], ends[~is_header]
        # sequence lines that lie before each header, then the count of all of them
        self._line_bounds = np.append(np.cumsum(~is_header)[is_header], len(self._lines[0]))

    @property
    def records(self) -> int:
        return len(self._headers[0])

    def _trimmed(self, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Without carriage returns and blanks at the end of lines, and without empty lines."""
        for _ in range(3):
            blank = (ends > starts) & np.isin(self._bytes[ends - 1], LINE_END_BLANKS)
            if not blank.any():
                break
            ends = ends - blank
        else:
            for line in np.flatnonzero(blank):
                start = int(starts[line])
                ends[line] = start + len(self._text[start : int(ends[line])].rstrip(LINE_END_BLANKS.tobytes()))
        filled = ends > starts
        return starts[filled], ends[filled]

    def names(self) -> list[str]:
        """Headers up to the first white space or control character. Raises ZooError for a header that is too long."""
        starts, ends = self._headers
        lengths = ends - starts
        if lengths.max() > HEADER_BYTES:
            record = int(np.argmax(lengths > HEADER_BYTES))
            start = int(starts[record])
            header = self._text[start : start + HEADER_BYTES]
            raise ZooError(_long_header(_titled(self._where, self._counts.records + record + 1, header)))
        headers, starts, ends = _joined(self._bytes, starts, ends)
        first_letters = headers[starts]
        if headers.max() > LAST_LETTER or ((first_letters <= ord(" ")) & (first_letters != ord("\n"))).any():
            lines = headers.tobytes().decode("utf-8", "surrogateescape").split("\n")
            return [first_word(line) for line in lines[:-1]]
        blanks = np.flatnonzero(headers <= ord(" "))
        # each header ends with a line feed, so that there is one at or after its start
        if len(blanks) > len(starts):
            headers, _, _ = _joined(headers, starts, blanks[np.searchsorted(blanks, starts)])
        return headers.tobytes().decode().split("\n")[:-1]

    def codes(self, length: int, reading: ReadOptions, table: bytes) -> np.ndarray:
        """Base codes, uint8 (N, length), counted. Raises ZooError at the first record that is not as asked."""
        starts, ends = self._lines
        lengths = ends - starts
        line_ends = np.cumsum(lengths)
        letters = np.empty(int(lengths.sum()), np.uint8)
        codes = np.frombuffer(self._text.translate(table), np.uint8)
        _copy_spans(codes, starts, lengths, letters, line_ends - lengths)

        bounds = np.concatenate(([0], line_ends))[self._line_bounds]
        sizes = np.diff(bounds)
        highest = int(letters.max(initial=0))
        self._check(letters, bounds, sizes, length, reading, highest)
        self._counts.records += self.records
        if reading.ambiguous:
            self._counts.ambiguous_letters += int((letters == AMBIGUOUS).sum())
            np.minimum(letters, UNKNOWN_BASE, out=letters)
        surplus = sizes - length
        if not surplus.any():
            codes = letters.reshape(-1, length)
            if highest >= UNKNOWN_BASE:
                self._counts.mostly_unknown += _mostly_unknown(codes)
            return codes
        self._counts.resized += int(np.count_nonzero(surplus))
        out = np.full((self.records, length), UNKNOWN_BASE, np.uint8)
        cut, padding = np.maximum(surplus, 0) // 2, np.maximum(-surplus, 0) // 2
        rows = np.arange(self.records) * length
        _copy_spans(letters, bounds[:-1] + cut, np.minimum(sizes, length), out.reshape(-1), rows + padding)
        self._counts.mostly_unknown += _mostly_unknown(out)
        return out

    def _check(
        self,
        letters: np.ndarray,
        bounds: np.ndarray,
        sizes: np.ndarray,
        length: int,
        reading: ReadOptions,
        highest: int,
    ) -> None:
        most = LONGEST * length
        wrong = (sizes == 0) | (sizes > most) if reading.resize else sizes != length
        first_wrong = int(np.argmax(wrong)) if wrong.any() else self.records
        first_letter = int(np.argmax(letters == INVALID)) if highest == INVALID else len(letters)
        if first_letter < bounds[first_wrong]:
            record = int(np.searchsorted(bounds, first_letter, "right")) - 1
            position = first_letter - int(bounds[record])
            raise ZooError(
                f"{self._record(record)}, position {position + 1}: {letter_refused(self._letter(first_letter))}"
            )
        if first_wrong < self.records:
            size = int(sizes[first_wrong])
            if not size:
                raise ZooError(f"{self._record(first_wrong)}: a header without a sequence")
            raise ZooError(f"{self._record(first_wrong)}: {length_refused(size, length, reading, size > most)}")

    def _record(self, record: int) -> str:
        return _titled(self._where, self._counts.records + record + 1, self.names()[record])

    def _letter(self, number: int) -> str:
        """The letter in the text that is letter `number` of all sequences of this block."""
        starts, ends = self._lines
        line_ends = np.cumsum(ends - starts)
        line = int(np.searchsorted(line_ends, number, "right"))
        byte = self._bytes[int(ends[line]) - int(line_ends[line]) + number]
        return bytes([byte]).decode("ascii", "backslashreplace")


def _mostly_unknown(codes: np.ndarray) -> int:
    """How many of the base codes, uint8 (N, L), have more than L / 2 unknown bases."""
    unknown = codes == UNKNOWN_BASE
    most = codes.shape[1] // 2
    if np.count_nonzero(unknown) <= most:
        return 0
    return int(np.count_nonzero(unknown.view(np.uint8).sum(axis=1, dtype=np.uint32) > most))


def _joined(source: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The spans one behind the other, each with a line feed after it, and where they now start and end."""
    lengths = ends - starts
    new_ends = np.cumsum(lengths + 1) - 1
    out = np.full(int(lengths.sum()) + len(lengths), ord("\n"), np.uint8)
    _copy_spans(source, starts, lengths, out, new_ends - lengths)
    return out, new_ends - lengths, new_ends


def _copy_spans(
    source: np.ndarray, starts: np.ndarray, lengths: np.ndarray, out: np.ndarray, positions: np.ndarray
) -> None:
    """out[positions[i] : positions[i] + lengths[i]] = source[starts[i] : starts[i] + lengths[i]] for all i.

    All spans of one length are copied at once, as rows of a sliding window: there are few lengths among many spans.
    """
    from numpy.lib.stride_tricks import sliding_window_view

    for length in np.unique(lengths):
        if length:
            chosen = np.flatnonzero(lengths == length)
            windows = sliding_window_view(out, length, writeable=True)
            windows[positions[chosen]] = sliding_window_view(source, length)[starts[chosen]]
