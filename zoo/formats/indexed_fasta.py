"""A genome on disk: contigs and any part of them as base codes, through the .fai index that samtools defines.

A missing index is made beside the genome, or in the cache folder if the folder is read-only; an index that no longer
fits the genome is refused. Plain FASTA, or FASTA compressed with bgzip. pysam reads both, in 1 microsecond a window
where pyfaidx takes 4; it is imported when a genome is opened.
"""

from __future__ import annotations

import bisect
import codecs
import functools
import gzip
import hashlib
import os
import struct
import zlib
from collections import OrderedDict
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from zoo.dna.encoding import ASCII_TO_CODE, INVALID
from zoo.dna.read_options import Ambiguous, letter_message
from zoo.dna.windows import padded
from zoo.errors import BadInput, ZooError, require
from zoo.formats import kinds, text_input
from zoo.formats.names import first_word, listed, shown
from zoo.spec import ALPHABET, UNKNOWN_BASE
from zoo.system.atomic import replacing
from zoo.system.files import cache_folder, file_sha256

INDEX = ".fai"
BLOCK_INDEX = ".gzi"
"""Suffixes of the indices that samtools makes beside a genome; the second only if it is compressed with bgzip."""

BLOCK_BASES = 1 << 20
"""Bases that are read and kept together as codes."""

BLOCKS = 64
"""Blocks that are kept in memory: 64 MB."""

HEADER_BYTES = 1 << 16
"""Longest header with which an index can be checked."""

CHR = "chr"

LETTERS = np.frombuffer(f"{ALPHABET}N".encode(), np.uint8)
"""uint8 (5,): base code -> ASCII letter."""

Entry = tuple[str, int, int, int, int]
"""A contig in an index: name, bases, offset of its first base, bases a line, bytes a line."""


class OtherLetter(BadInput):
    """Bases of a genome hold a letter other than ACGTN, and are to be refused."""


class _Block(NamedTuple):
    """codes: uint8 (B,).  places: positions in the contig of letters other than ACGTN, int64 (K,).  letters: those
    letters in upper case, uint8 (K,)."""

    codes: np.ndarray
    places: np.ndarray
    letters: np.ndarray


def pysam_module() -> Any:
    """pysam without its messages on stderr; it raises exceptions too. Raises MissingDependency if it is missing."""
    require("pysam", "genome", "indexed genomes and VCF")
    import pysam

    pysam.set_verbosity(0)
    return pysam


class IndexedFasta:
    """An open genome, for one thread at a time. contigs: name -> bases, in the order of the index.

    made_index: the index, if it was made now; else None.
    """

    def __init__(self, path: str | Path, ambiguous: Ambiguous | None = None) -> None:
        """ambiguous: "refuse" to raise OtherLetter for bases with letters other than ACGTN; by default they are N.

        Raises ZooError if `path` is not FASTA, has no random access, or has changed since its index was made.
        """
        self.path = Path(path)
        self._refuses = ambiguous == "refuse"
        self._pysam = pysam_module()
        packed = _check_file(self.path)
        index, self.made_index = self._index(packed)
        blocks = {"filepath_index_compressed": str(index.with_suffix(BLOCK_INDEX))} if packed else {}
        entries = _entries(index)
        self.contigs = {name: bases for name, bases, *_ in entries}
        self._line_bases = {name: line_bases for name, _, _, line_bases, _ in entries}
        self._first_lines = dict(zip(self.contigs, self._checked_index(index, entries, packed), strict=True))
        try:
            self._file = self._pysam.FastaFile(str(self.path), filepath_index=str(index), **blocks)
        except (OSError, ValueError) as error:
            raise ZooError(f"{self.path}: cannot be read with its index {index} ({_reason(error)})") from None
        self._blocks: OrderedDict[tuple[str, int], _Block] = OrderedDict()

    def __enter__(self) -> IndexedFasta:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def codes(self, contig: str, start: int, stop: int) -> np.ndarray:
        """The bases [start, stop) of a contig, uint8 (stop - start,). Letters other than ACGT are N.

        Raises ZooError if the contig does not have all of them, or they cannot be read, and OtherLetter for the first
        letter that is to be refused.
        """
        if self._refuses:
            for position, letter in self.ambiguous(contig, start, stop):
                expected = letter_message(letter, None)
                raise OtherLetter(
                    f"{self.path}: {self.place(contig, position)}: {expected}; omit --ambiguous refuse to read it as N"
                )
        return self._codes(contig, start, stop)

    def ambiguous(self, contig: str, start: int, stop: int) -> list[tuple[int, str]]:
        """The letters other than ACGTN among the bases [start, stop) that the contig has: 0-based positions, letters in
        upper case. They are N in `codes` and `window`."""
        start, stop = (min(max(0, place), self.contigs[contig]) for place in (start, stop))
        found: list[tuple[int, str]] = []
        for block in self._span(contig, start, stop):
            if len(block.places):
                here = slice(block.places.searchsorted(start), block.places.searchsorted(stop))
                found += zip(block.places[here].tolist(), map(chr, block.letters[here]), strict=True)
        return found

    def letters(self, contig: str, start: int, stop: int) -> str:
        """The letters [start, stop) of a contig as they are in the file, in upper case. Raises as `codes` does, but
        for no letter."""
        text = LETTERS[self._codes(contig, start, stop)]
        for position, letter in self.ambiguous(contig, start, stop):
            text[position - start] = ord(letter)
        return text.tobytes().decode("latin-1")

    def named(self, contig: str, found: list[tuple[int, str]]) -> list[str]:
        """What `ambiguous` found in a contig, for descriptions and notes."""
        return [f"{letter} at {self.place(contig, position)}" for position, letter in found]

    def place(self, contig: str, position: int) -> str:
        """A 0-based position for messages, counted from 1, with the line of the file."""
        line = self._first_lines[contig] + position // self._line_bases[contig]
        return f"contig {shown(contig)}, position {position + 1:,} (line {line:,})"

    def window(self, contig: str, start: int, length: int) -> np.ndarray:
        """The bases [start, start + length), uint8 (length,), with N outside the contig."""
        stop, end = start + length, self.contigs[contig]
        if start >= 0 and stop <= end:
            return self.codes(contig, start, stop)
        first, last = min(max(start, 0), end), max(0, min(stop, end))
        inside = self.codes(contig, first, last) if last > first else np.empty(0, np.uint8)
        before = min(length, max(0, -start))
        return padded(inside, before, length - before - len(inside))

    def _codes(self, contig: str, start: int, stop: int) -> np.ndarray:
        parts = [block.codes for block in self._span(contig, start, stop)] or [np.empty(0, np.uint8)]
        offset = start // BLOCK_BASES * BLOCK_BASES
        return (parts[0] if len(parts) == 1 else np.concatenate(parts))[start - offset : stop - offset]

    def _span(self, contig: str, start: int, stop: int) -> list[_Block]:
        """The blocks that hold the bases [start, stop)."""
        if contig not in self.contigs:
            raise ZooError(self.unknown_contig(contig))
        if not 0 <= start <= stop <= self.contigs[contig]:
            raise ZooError(
                f"{self.path}: contig {shown(contig)}: expected bases within 0 to {self.contigs[contig]:,}, got "
                f"{start:,} to {stop:,}"
            )
        return [self._block(contig, number) for number in range(start // BLOCK_BASES, -(-stop // BLOCK_BASES))]

    def _block(self, contig: str, number: int) -> _Block:
        key = contig, number
        found = self._blocks.get(key)
        if found is not None:
            self._blocks.move_to_end(key)
            return found
        start = number * BLOCK_BASES
        try:
            fetched = self._file.fetch(contig, start, min(start + BLOCK_BASES, self.contigs[contig]))
        except (OSError, ValueError) as error:
            raise ZooError(f"{self.path}: contig {contig} cannot be read ({_reason(error)})") from None
        text = np.frombuffer(fetched.encode("latin-1"), np.uint8)
        codes = ASCII_TO_CODE[text]
        places = np.flatnonzero(codes == INVALID)
        codes[places] = UNKNOWN_BASE
        letters = np.frombuffer(text[places].tobytes().upper(), np.uint8)
        found = self._blocks[key] = _Block(codes, places + start, letters)
        if len(self._blocks) > BLOCKS:
            self._blocks.popitem(last=False)
        return found

    def unknown_contig(self, name: str) -> str:
        """Message for a contig that this genome lacks."""
        other = name.removeprefix(CHR) if name.startswith(CHR) else f"{CHR}{name}"
        if other in self.contigs:
            return (
                f"the genome {self.path} has no contig {shown(name)!r}, only {shown(other)!r}: the names differ by "
                f"'{CHR}'; rename them in one of the two files"
            )
        return f"the genome {self.path} has no contig {shown(name)!r}; it has {listed(list(self.contigs))}"

    def digest(self) -> str:
        """sha256 (hex) of the file."""
        return file_sha256(self.path)

    def _index(self, packed: bool) -> tuple[Path, Path | None]:
        """The index to read, and the index that was made now, if any."""
        beside = self.path.with_name(self.path.name + INDEX)
        if _exists(beside, packed):
            return beside, None
        try:
            self._make_index(beside, packed)
        except ZooError:
            if os.access(beside.parent, os.W_OK):
                raise
        else:
            return beside, beside
        state = self.path.stat()
        name = f"{self.path.resolve()} {state.st_size} {state.st_mtime_ns}"
        kept = cache_folder("genomes") / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}{INDEX}"
        if _exists(kept, packed):
            return kept, None
        self._make_index(kept, packed)
        return kept, kept

    def _make_index(self, index: Path, packed: bool) -> None:
        with replacing(index, overwrite=True) as partial:
            block = _block_index(index)
            blocks = ["--gzi-idx", str(partial.with_suffix(BLOCK_INDEX))] if packed else []
            try:
                self._pysam.faidx(str(self.path), "--fai-idx", str(partial), *blocks)
            except self._pysam.SamtoolsError:
                raise ZooError(f"{self.path}: cannot be indexed; {_fault(self.path)}") from None
            if packed:
                with replacing(block, overwrite=True) as partial_block:
                    partial.with_suffix(BLOCK_INDEX).replace(partial_block)

    def _checked_index(self, index: Path, entries: list[Entry], packed: bool) -> list[int]:
        """The line on which each contig has its first base. Raises ZooError unless all are where the index says."""
        with self.path.open("rb") as content:
            try:
                lines, misplaced = _located(_Unpacked(content, _block_index(index)) if packed else content, entries)
            except (EOFError, gzip.BadGzipFile, zlib.error, struct.error):  # the blocks are not where the index says
                lines, misplaced = [], "its first contig"
        if misplaced is None:
            return lines
        if self.made_index:
            raise ZooError(f"{self.path}: {_fault(self.path)}")
        raise ZooError(
            f"{self.path}: has changed since its index {index} was made, which does not fit {misplaced}; remove the "
            "index to renew it"
        )


def _check_file(path: Path) -> bool:
    """Whether the genome is compressed. Raises ZooError if it does not exist or has no random access."""
    if not path.is_file():
        raise ZooError(f"{path}: {'expected a genome, this is a folder' if path.is_dir() else 'no such file'}")
    with path.open("rb") as content:
        beginning = content.read(18)
    if not beginning:
        raise ZooError(f"{path}: expected a genome in FASTA, the file is empty")
    if beginning[:2] != b"\x1f\x8b":
        if beginning.startswith(codecs.BOM_UTF8):
            raise ZooError(f"{path}: {text_input.BYTE_ORDER_MARK}")
        if not beginning.startswith(b">"):
            kind = kinds.of_file(path)
            found = f", found {kind}" if kind else ""
            raise ZooError(f"{path}: expected a genome in FASTA, whose first line starts with '>'{found}")
        return False
    if beginning[12:14] != b"BC":
        raise ZooError(f"{path}: gzip has no random access; gunzip it, or compress it with bgzip")
    return True


def _exists(index: Path, packed: bool) -> bool:
    return index.is_file() and (not packed or _block_index(index).is_file())


def _block_index(index: Path) -> Path:
    return index.with_suffix(BLOCK_INDEX)


def _entries(index: Path) -> list[Entry]:
    entries = []
    for number, line in enumerate(index.read_text("utf-8", "surrogateescape").splitlines(), 1):
        name, *numbers = line.split("\t")
        if len(numbers) != 4 or not all(one.isdecimal() for one in numbers):
            raise ZooError(f"{index}: line {number}: expected an index of samtools; remove it to renew it")
        bases, offset, line_bases, line_bytes = map(int, numbers)
        entries.append((name, bases, offset, line_bases, line_bytes))
    return entries


class _Unpacked:
    """The text of a file compressed with bgzip, through the index of its blocks (htslib's bgzip, "GZI format")."""

    def __init__(self, content: BinaryIO, blocks: Path) -> None:
        self._content = content
        listed = blocks.read_bytes()
        (count,) = struct.unpack_from("<Q", listed)
        offsets = 0, 0, *struct.unpack_from(f"<{2 * count}Q", listed, 8)  # the index omits the first block
        self._packed, self._starts = offsets[::2], offsets[1::2]
        if list(self._packed) != sorted(self._packed) or self._packed[-1] > content.seek(0, os.SEEK_END):
            raise EOFError
        self._at = 0
        self._block = functools.lru_cache(4)(self._unpack)

    def seek(self, offset: int) -> int:
        self._at = offset
        return offset

    def read(self, size: int) -> bytes:
        number = bisect.bisect_right(self._starts, self._at) - 1
        found = self._block(number)[self._at - self._starts[number] :]
        while len(found) < size and (number := number + 1) < len(self._starts):
            found += self._block(number)
        self._at += len(found[:size])
        return found[:size]

    def _unpack(self, number: int) -> bytes:
        first = self._packed[number]
        self._content.seek(first)
        last = self._packed[number + 1] if number + 1 < len(self._packed) else None
        return gzip.decompress(self._content.read(-1 if last is None else last - first))


def _located(content: BinaryIO | _Unpacked, entries: list[Entry]) -> tuple[list[int], str | None]:
    """The line of the first base of each contig, and, in words, the first place that is not as the index says.

    Nothing may lie between the contigs, or after the last.
    """
    lines: list[int] = []
    end, line = 0, 1
    for name, bases, offset, line_bases, line_bytes in entries:
        misplaced = f"contig {shown(name)}, near line {line:,}"
        if not 0 < offset - end <= HEADER_BYTES or not bases or not line_bases:
            return lines, misplaced
        content.seek(end)
        before = content.read(offset - end)
        words = before.decode("utf-8", "surrogateescape").split()
        if not words or words[0] != f">{name}":
            return lines, misplaced
        line += before.count(b"\n")
        lines.append(line)
        # the last line may be shorter, and its line end is not counted
        whole = (bases - 1) // line_bases
        line += whole
        end = offset + whole * line_bytes + bases - whole * line_bases
        if not _is_line_end(content, end):
            return lines, misplaced
    content.seek(end)
    return lines, f"the text after line {line:,}" if content.read(HEADER_BYTES).strip() else None


def _fault(path: Path) -> str:
    """The first contig and line that make a genome one without an index, for messages; reads the file."""
    expected = "expected a genome in FASTA, plain or compressed with bgzip, all lines of a contig equally long"
    empty = "expected bases after the name of contig {}, found none"
    seen: set[str] = set()
    contig, sizes = "", list[int]()  # bases of the contig's first line, and of the line before
    number = 0
    for number, line in text_input.lines(path):
        where = f"line {number:,}, contig {shown(contig)}"
        if line.startswith(">"):
            if contig and not any(sizes):
                return f"line {number - 1:,}: {empty.format(shown(contig))}"
            contig, sizes = first_word(line[1:]), []
            if not contig:
                return f"line {number:,}: expected the name of a contig, found none"
            if contig in seen:
                return f"line {number:,}: expected contigs of different names, got {shown(contig)} again"
            seen.add(contig)
            continue
        if line and 0 in sizes:
            return f"{where}: expected no blank line before it"
        if line.split() not in ([], [line]):
            return f"{where}: expected bases without blanks, got {shown(line)!r}"
        if line and sizes and (sizes[1] < sizes[0] or len(line) > sizes[0]):
            got = f"{len(line):,} after {sizes[1]:,}" if sizes[1] < sizes[0] else f"{len(line):,}"
            return f"{where}: expected lines of {sizes[0]:,} bases in this contig, the last may be shorter, got {got}"
        sizes = [*sizes[:1], len(line)] if sizes else [len(line), len(line)]
    if contig and not any(sizes):
        return f"line {number:,}: {empty.format(shown(contig))}"
    return expected


def _is_line_end(content: BinaryIO | _Unpacked, end: int) -> bool:
    """Whether there is a base right before `end`, and a line or the text ends there."""
    content.seek(end - 1)
    last, following = content.read(1), content.read(1)
    return bool(last) and not last.isspace() and (not following or following.isspace())


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())
