"""FASTA files -> batches of names and base codes.

A block of text at a time, no loop over records or bases, so memory grows neither with the files nor with a record.
Strict: text that is not FASTA, or a sequence that the model does not take, is a ZooError with file and record.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from zoo.dna.encoding import AMBIGUOUS, copy_spans, fitted, letter_table
from zoo.dna.read_options import LONGEST, LONGEST_WORD, STRICT, ReadOptions, length_message, letter_message
from zoo.errors import WrongLength, ZooError
from zoo.formats import kinds
from zoo.formats.names import first_word, none_among, shown
from zoo.formats.text_input import STANDARD_INPUT, START_BYTES, lines, open_text, title
from zoo.spec import UNKNOWN_BASE

BLOCK_BYTES = 1 << 18
"""Text read at once: long enough to hide the cost of a NumPy call, short enough for the second-level cache."""

BATCH_SIZE = 4096
"""Records a batch, by default."""

HEADER_BYTES = 1 << 20
"""Longest header, with everything after the name."""

RECORD_BYTES = 4 << 20
"""Longest text of a record, white space included, for models of at most 262,144 bases."""

CODES_BYTES = 64 << 20
"""Base codes made at once: small records that are padded to a long sequence take much more than their text."""

LAST_LETTER = ord("~")
"""Bytes above it are DEL, or belong to letters outside ASCII."""

LINE_END_BLANKS = b"\r \t"

TRAILING_BLANKS = re.compile(rb"(?<![\r \t])[\r \t]++\n")
"""Blanks at the end of a line; possessive, and only from the first blank on, so that long runs take linear time."""

Batch = tuple[list[str], np.ndarray]
"""Names of N records, and their base codes, uint8 (N, L)."""


@dataclasses.dataclass
class Counts:
    """Number of records read, and of those that were changed as ReadOptions allow."""

    records: int = 0
    resized: int = 0
    ambiguous_letters: int = 0
    mostly_unknown: int = 0
    """Records with more than half of their bases unknown, after cropping and padding."""

    def add(self, codes: np.ndarray, sizes: np.ndarray, ambiguous: int) -> None:
        """Count N records: base codes, uint8 (N, L), bases before cropping and padding, (N,), and letters read as N."""
        self.records += len(codes)
        self.ambiguous_letters += ambiguous
        self.resized += int(np.count_nonzero(sizes != codes.shape[1]))
        self.mostly_unknown += _mostly_unknown(codes)


class Reader:
    """The records of one or several FASTA files in order, in batches; iterate over it once.

    paths: FASTA, plain or compressed (see text_input.py); "-" is standard input.
    length: L, bases that every sequence must have, unless `reading` says otherwise.
    batch_size: records a batch. The last batch of a file may be smaller; a batch holds records of one file.

    A name is the header up to the first white space or control character; equal names are all kept. Bytes of a name
    that are not UTF-8 become surrogate escapes. Upper and lower case are equal; blank lines are skipped.
    Iterating raises ZooError for a file that cannot be read or is not FASTA, and for a record that is not valid.
    """

    def __init__(
        self,
        paths: str | Path | Sequence[str | Path],
        length: int,
        batch_size: int = BATCH_SIZE,
        reading: ReadOptions = STRICT,
    ) -> None:
        paths = [paths] if isinstance(paths, str | Path) else paths
        self._files = [_File(str(path), length, reading) for path in paths]
        self._batch_size = batch_size

    def __iter__(self) -> Iterator[Batch]:
        for file in self._files:
            yield from self._batches(file)

    @property
    def bytes_read(self) -> int:
        """Bytes of the files, as stored, that have been read; pipes count as 0."""
        return sum(file.bytes_read for file in self._files)

    @property
    def counts(self) -> Counts:
        """Counts of all files together, so far."""
        each = [dataclasses.astuple(file.counts) for file in self._files]
        return Counts(*map(sum, zip(*each, strict=True)))

    def files(self) -> list[dict[str, str | int]]:
        """Name and number of records of each file, in order."""
        return [{"file": file.path, "records": file.counts.records} for file in self._files]

    def _batches(self, file: _File) -> Iterator[Batch]:
        names: list[str] = []
        parts: list[np.ndarray] = []
        size = self._batch_size
        for block_names, block_codes in file.blocks():
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


def check_readable(paths: Sequence[str | Path]) -> None:
    """Raise ZooError unless every file exists and can be read, and standard input is given at most once."""
    texts = [str(path) for path in paths]
    if texts.count(STANDARD_INPUT) > 1:
        raise ZooError("standard input: can be read once only; give - once")
    for text in texts:
        # opening a pipe would consume its first bytes
        if text != STANDARD_INPUT and (Path(text).is_file() or not Path(text).exists()):
            open_text(text).close()


def first_length(path: Path) -> int:
    """Bases of the first record of a FASTA file, at least 1; whether it is valid is for Reader to say.

    Raises ZooError for a file that cannot be read.
    """
    size = started = 0
    for _, line in lines(path):
        if line.startswith(">"):
            if started:
                break
            started = 1
        size += 0 if line.startswith(">") else len("".join(line.split()))
    return max(size, 1)


class _File:
    """One file, cut into blocks of whole records."""

    def __init__(self, path: str, length: int, reading: ReadOptions) -> None:
        self.path = path
        self._where = title(path)
        self._length, self._reading = length, reading
        self.bytes_read = 0
        self.counts = Counts()

    def blocks(self) -> Iterator[Batch]:
        for text in self._texts():
            for part in self._parts(text):
                block = _Block(part, self._where, self.counts)
                yield block.names(), block.codes(self._length, self._reading)
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
        """The text in pieces of whole records: each piece begins with ">" and ends with a line feed."""
        with open_text(self.path) as source:
            # no boundary between records is in `rest`; reading as much again keeps the copying linear
            rest = b""
            first = True
            while piece := source.read(max(BLOCK_BYTES, len(rest))):
                rest += piece
                if first and (rest := rest.lstrip()):
                    _check_start(rest, self._where)
                    first = False
                self.bytes_read = source.consumed()
                boundary = rest.rfind(b"\n>") + 1
                if boundary:
                    yield rest[:boundary]
                    rest = rest[boundary:]
                if len(rest) > HEADER_BYTES:
                    self._check_unfinished(rest)
            if rest:
                yield rest + b"\n"

    def _check_unfinished(self, text: bytes) -> None:
        """Raise ZooError if a record whose end has not been read yet is already too long."""
        record = _record_title(self._where, self.counts.records + 1, text[1:HEADER_BYTES])
        header = text.find(b"\n", 0, HEADER_BYTES + 2)
        if header < 0:
            raise ZooError(_long_header(record))
        most = LONGEST * self._length
        if len(text[header:].translate(None, LINE_END_BLANKS + b"\n")) > most:
            raise WrongLength(f"{record}: {length_message(None, self._length, self._reading)}")
        most_text = max(RECORD_BYTES, LONGEST * most)
        if len(text) > most_text:
            raise ZooError(
                f"{record}: expected {self._length} bases, got more than {most_text:,} characters, most of them blank"
            )


def _check_start(text: bytes, where: str) -> None:
    if text.startswith(b">"):
        return
    expected = f"{where}: expected FASTA, whose first line starts with '>'"
    if (kind := kinds.of_text(text[:START_BYTES])) is not None:
        raise ZooError(f"{expected}, found {kind}")
    lines = text.split(b"\n")
    if all(line.startswith((b"#", b";")) for line in lines if line):
        raise ZooError(f"{expected}, {none_among(sum(map(bool, lines)), 'comments')}")
    line = lines[0].rstrip()
    if any(byte < 32 and byte not in b"\t\r" for byte in line[:80]) or not line.isascii():
        raise ZooError(f"{expected}, this is not a text file")
    raise ZooError(f"{expected}, got {shown(line.decode())!r}: a sequence before the first header?")


def _record_title(where: str, number: int, header: bytes | str) -> str:
    """Name of a record in messages."""
    text = header if isinstance(header, str) else header.decode("utf-8", "surrogateescape")
    return f"{where}: record {number} ({shown(first_word(text))})"


def _long_header(record: str) -> str:
    return f"{record}: expected a header of at most {HEADER_BYTES:,} bytes, got a longer one"


class _Block:
    """A piece of text of whole records, cut into lines. Spans are arrays of first bytes and of bytes after the last."""

    def __init__(self, text: bytes, where: str, counts: Counts) -> None:
        self._where, self._counts = where, counts
        self._text, self._bytes, ends = _line_ends(text)
        if np.isin(self._bytes[ends - 1], np.frombuffer(LINE_END_BLANKS, np.uint8)).any():
            self._text, self._bytes, ends = _line_ends(TRAILING_BLANKS.sub(b"\n", text))
        starts = np.concatenate(([0], ends[:-1] + 1))
        filled = ends > starts
        starts, ends = starts[filled], ends[filled]
        is_header = self._bytes[starts] == ord(">")
        self._headers = starts[is_header] + 1, ends[is_header]
        self._lines = starts[~is_header], ends[~is_header]
        # number of sequence lines before each header, and of all of them
        self._line_bounds = np.append(np.cumsum(~is_header)[is_header], len(self._lines[0]))

    def names(self) -> list[str]:
        """Headers up to the first white space or control character. Raises ZooError for a header that is too long."""
        starts, ends = self._headers
        lengths = ends - starts
        if lengths.max() > HEADER_BYTES:
            record = int(np.argmax(lengths > HEADER_BYTES))
            start = int(starts[record])
            header = self._text[start : start + HEADER_BYTES]
            raise ZooError(_long_header(_record_title(self._where, self._counts.records + record + 1, header)))
        headers, starts, ends = _joined(self._bytes, starts, ends)
        first_letters = headers[starts]
        if headers.max() > LAST_LETTER or ((first_letters <= ord(" ")) & (first_letters != ord("\n"))).any():
            lines = headers.tobytes().decode("utf-8", "surrogateescape").split("\n")
            return [first_word(line) for line in lines[:-1]]
        blanks = np.flatnonzero(headers <= ord(" "))
        # each header ends with a line feed, so a blank or line feed follows every start
        if len(blanks) > len(starts):
            headers, _, _ = _joined(headers, starts, blanks[np.searchsorted(blanks, starts)])
        return headers.tobytes().decode().split("\n")[:-1]

    def codes(self, length: int, reading: ReadOptions) -> np.ndarray:
        """Base codes, uint8 (N, length), counted. Raises ZooError for the first record that is not valid."""
        starts, ends = self._lines
        lengths = ends - starts
        line_ends = np.cumsum(lengths)
        letters = np.empty(int(lengths.sum()), np.uint8)
        text = np.frombuffer(self._text.translate(letter_table(reading.ambiguous == "n")), np.uint8)
        copy_spans(text, starts, lengths, letters, line_ends - lengths)
        bounds = np.concatenate(([0], line_ends))[self._line_bounds]

        def refusal(row: int, column: int | None) -> ZooError:
            record = _record_title(self._where, self._counts.records + row + 1, self.names()[row])
            if column is not None:
                letter = letter_message(self._letter(int(bounds[row]) + column))
                return ZooError(f"{record}, position {column + 1}: {letter}")
            size = int(bounds[row + 1] - bounds[row])
            message = length_message(size, length, reading, text=word(row)) if size else "a header without a sequence"
            return WrongLength(f"{record}: {message}")

        def word(row: int) -> str:
            first, end = (int(bound) for bound in bounds[row : row + 2])
            return "".join(map(self._letter, range(first, min(end, first + LONGEST_WORD))))

        ambiguous = int((letters == AMBIGUOUS).sum()) if reading.ambiguous == "n" else 0
        codes = fitted(letters, bounds, length, reading, word, refusal)
        self._counts.add(codes, np.diff(bounds), ambiguous)
        return codes

    def _letter(self, number: int) -> str:
        """The letter in the text that is letter `number` of all sequences of this block."""
        starts, ends = self._lines
        line_ends = np.cumsum(ends - starts)
        line = int(np.searchsorted(line_ends, number, "right"))
        byte = self._bytes[int(ends[line]) - int(line_ends[line]) + number]
        return bytes([byte]).decode("ascii", "backslashreplace")


def _line_ends(text: bytes) -> tuple[bytes, np.ndarray, np.ndarray]:
    """The text, its bytes, and the positions of its line feeds."""
    content = np.frombuffer(text, np.uint8)
    return text, content, np.flatnonzero(content == ord("\n"))


def _mostly_unknown(codes: np.ndarray) -> int:
    """How many of the base codes, uint8 (N, L), have more than L / 2 unknown bases."""
    unknown = codes == UNKNOWN_BASE
    most = codes.shape[1] // 2
    if np.count_nonzero(unknown) <= most:
        return 0
    return int(np.count_nonzero(unknown.view(np.uint8).sum(axis=1, dtype=np.uint32) > most))


def _joined(source: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The spans one after the other, each with a line feed after it, and their new starts and ends."""
    lengths = ends - starts
    new_ends = np.cumsum(lengths + 1) - 1
    out = np.full(int(lengths.sum()) + len(lengths), ord("\n"), np.uint8)
    copy_spans(source, starts, lengths, out, new_ends - lengths)
    return out, new_ends - lengths, new_ends
