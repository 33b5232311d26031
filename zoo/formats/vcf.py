"""Variants: VCF, compressed or not, BCF through pysam, or a table with the columns chrom, pos, ref and alt.

Positions are 1-based in files and 0-based here. Records keep their order. VCF is read and written line by line, which
keeps what is not looked at: pysam would parse all genotypes, add END to records with symbolic alleles, and refuse
contigs that the header lacks.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from zoo.errors import BadInput, ZooError, counted
from zoo.formats import columns, kinds, text_input
from zoo.formats.columns import PARQUET, SEPARATORS
from zoo.formats.indexed_fasta import pysam_module
from zoo.formats.names import listed, none_among, shown
from zoo.formats.positions import position

OUTPUT_SUFFIXES = (".vcf", ".vcf.gz", ".vcf.bgz")

SUFFIXES = (*OUTPUT_SUFFIXES, ".bcf")

TABLE_SUFFIXES = (*SEPARATORS, *PARQUET)

MISSING = "."
"""A missing identifier, allele or INFO column."""

TABLE_COLUMNS = ("chrom", "pos", "ref", "alt")

COLUMNS_LINE = "#CHROM"
"""Start of the last line of the header."""

FIELDS = ("CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
"""Columns that every record has (VCF 4.3, section 1.6.1)."""

INFO = FIELDS.index("INFO")

LONGEST_SHOWN = 20
"""Bases of an allele whose letters a message shows."""

INFO_ID = re.compile(r"##INFO=<ID=([^,>]+)")

BCF = b"BCF"
"""First bytes of an uncompressed BCF."""

SURROGATE = re.compile("[\udc80-\udcff]")
"""A byte that is not UTF-8."""

LINE_BYTES = 1 << 30
"""Longest line: it has the genotypes of all samples."""

LONGEST_TABIX = 1 << 29
"""Bases of a contig that the index .tbi can address (SAM specification, tabix); .csi has no such limit."""

INDICES = (".tbi", ".csi")


class Variant(NamedTuple):
    """A record: 0-based position, and its alternative alleles. where: its name in messages.  line: its line of VCF, if
    it was asked for."""

    contig: str
    position: int
    name: str
    ref: str
    alts: tuple[str, ...]
    where: str = ""
    line: str = ""

    def shown(self, alt: str) -> str:
        """For messages and descriptions, 1-based. Of long alleles the number of bases, such as "deletes 300 bases"."""
        place, ref = f"{self.contig}:{self.position + 1}", self.ref
        if max(len(ref), len(alt)) <= LONGEST_SHOWN or not (ref + alt).isalpha():
            return f"{place} {shown(ref)}>{shown(alt)}"
        if ref.upper().startswith(alt.upper()):
            return f"{place} (deletes {counted(len(ref) - len(alt), 'bases')})"
        if alt.upper().startswith(ref.upper()):
            return f"{place} (inserts {counted(len(alt) - len(ref), 'bases')})"
        return f"{place} (replaces {counted(len(ref), 'bases')} by {len(alt):,})"


class BadVariant(NamedTuple):
    """A record that is not valid, and why."""

    where: str
    reason: str
    line: str = ""


@dataclasses.dataclass(frozen=True)
class InfoField:
    """An INFO field. number: 1, A (one for each alternative allele) or 0 (a flag), as in VCF."""

    name: str
    number: str
    kind: str
    text: str

    def line(self) -> str:
        return f'##INFO=<ID={self.name},Number={self.number},Type={self.kind},Description="{self.text}">'


def info_name(text: str) -> str:
    """A name that an INFO field may have: letters, digits, _ and . (VCF 4.3, section 1.4.2)."""
    return re.sub(r"[^0-9A-Za-z_.]", "_", text)


def is_vcf(path: Path) -> bool:
    """Whether the suffix is that of VCF or BCF. Raises ZooError for a suffix that is not a table's either."""
    if path.name.lower().endswith(SUFFIXES):
        return True
    if columns.suffix(path) in TABLE_SUFFIXES:
        return False
    kind = kinds.of_file(path)
    raise ZooError(
        f"{path}: expected variants whose name ends in {', '.join(SUFFIXES)}, or in {', '.join(TABLE_SUFFIXES)} for a "
        f"table with the columns chrom, pos, ref and alt{f'; found {kind}' if kind else ''}"
    )


def is_vcf_output(output: Path) -> bool:
    """Whether the suffix is that of a VCF which `Annotated` can write."""
    return output.name.lower().endswith(OUTPUT_SUFFIXES)


def is_compressed_output(output: Path) -> bool:
    return is_vcf_output(output) and not output.name.lower().endswith(".vcf")


def check(path: Path) -> None:
    """Raise ZooError unless `path` is a file whose suffix is that of variants."""
    if not path.is_file():
        raise ZooError(f"{path}: {'expected variants, this is a folder' if path.is_dir() else 'no such file'}")
    is_vcf(path)


def digest_and_count(path: Path) -> tuple[str, int]:
    """sha256 (hex) of a file of variants, as stored, and its number of records, in one reading. Records are not parsed.

    Raises ZooError if it cannot be read.
    """
    check(path)
    if not is_vcf(path):
        return columns.digest_and_count(path)
    digest = hashlib.sha256()
    with text_input.open_text(path, digest) as source:
        text = io.BufferedReader(source)
        number = _count_of_bcf(text) if text.peek(len(BCF)).startswith(BCF) else _count_of_text(text)
    return digest.hexdigest(), number


def _count_of_text(text: io.BufferedReader[Any]) -> int:
    """Number of lines that do not begin with "#"."""
    number, before = 0, b"\n"
    while piece := text.read(text_input.BLOCK_BYTES):
        joined = before + piece
        number += joined.count(b"\n", 0, -1) - joined.count(b"\n#")
        before = piece[-1:]
    return number


def _count_of_bcf(text: io.BufferedReader[Any]) -> int:
    """Number of records, from the lengths of their two halves (BCF2 specification, section 6.3)."""
    _, skip = struct.unpack("<5sI", text.read(9).ljust(9, b"\0"))
    number = 0
    while len(text.read(skip)) == skip and len(lengths := text.read(8)) == 8:
        skip = sum(struct.unpack("<2I", lengths))
        number += 1
    text.read()
    return number


class Records:
    """The variants of a file in order; iterate over them once.

    header: lines of the VCF header; of a BCF as htslib writes them; none for a table.
    """

    def __init__(self, path: Path, keep_lines: bool = False, skip_bad: bool = False) -> None:
        """keep_lines: variants have their lines.  skip_bad: also yield records that are not valid.

        Raises ZooError if the file or its header cannot be read.
        """
        check(path)
        self.path, self.header, self._skip_bad = path, list[str](), skip_bad
        self._variants: Iterator[Variant | BadVariant]
        if not is_vcf(path):
            self._variants = _from_table(path)
        elif path.suffix.lower() == ".bcf" and (file := _opened(path)) is not None:
            self.header = str(file.header).splitlines()
            self._variants = _from_bcf(path, file, keep_lines)
        else:
            lines = text_input.lines(path, LINE_BYTES)
            self.header = _header(path, lines)
            self._variants = _from_vcf(path, lines, keep_lines)

    def __iter__(self) -> Iterator[Variant | BadVariant]:
        """Raises BadInput for the first record that is not valid, unless `skip_bad` is set."""
        for variant in self._variants:
            if isinstance(variant, BadVariant) and not self._skip_bad:
                raise BadInput(f"{variant.where}: {variant.reason}")
            yield variant

    def check_new(self, fields: Iterable[InfoField]) -> None:
        """Raise ZooError if the header has one of the fields already."""
        names = {field.name for field in fields}
        there = [used[1] for line in self.header if (used := INFO_ID.match(line)) and used[1] in names]
        if there:
            raise ZooError(
                f"{self.path}: already has {len(there)} of the INFO fields to add, {listed(there, 3)}; give another "
                "--prefix, or a VCF without them"
            )


class Annotated:
    """A VCF with further INFO fields, which is written record by record in the order of another one."""

    def __init__(self, source: Records, file: Path, compress: bool, fields: Iterable[InfoField]) -> None:
        """compress: with bgzip."""
        self._file, self._compress = file, compress
        self._output = pysam_module().BGZFile(str(file), "wb") if compress else file.open("wb")
        self._contigs: set[str] = set()
        self._contig, self._position, self._is_sorted = "", 0, True
        *others, last = source.header
        self._write("\n".join([*others, *(field.line() for field in fields), last]))

    def __enter__(self) -> Annotated:
        return self

    def __exit__(self, *error: object) -> None:
        self._output.close()

    def write(self, lines: Iterable[str], added: Iterable[str]) -> None:
        """Write records. added: text for INFO, one for each record; may be empty."""
        for line, text in zip(lines, added, strict=True):
            cells = line.split("\t", INFO + 1)
            contig, position = cells[0], int(cells[1])
            if contig != self._contig:
                self._is_sorted &= contig not in self._contigs
                self._contigs.add(contig)
                self._contig, self._position = contig, 0
            self._is_sorted &= position >= self._position
            self._position = position
            if text:
                cells[INFO] = text if cells[INFO] in (MISSING, "") else f"{cells[INFO]};{text}"
            self._write("\t".join(cells))

    def _write(self, text: str) -> None:
        self._output.write(f"{text}\n".encode("utf-8", "surrogateescape"))

    def index(self, longest: int) -> Path | None:
        """Write the index beside the closed file; None if it is not compressed or the records are not sorted.

        longest: bases of the longest contig.
        """
        if not self._compress or not self._is_sorted:
            return None
        csi = longest > LONGEST_TABIX
        pysam_module().tabix_index(str(self._file), preset="vcf", csi=csi, force=True)
        return self._file.with_name(self._file.name + INDICES[csi])


def _header(path: Path, lines: Iterator[tuple[int, str]]) -> list[str]:
    """The lines up to the names of the columns."""
    found: list[str] = []
    line = ""
    for _, line in lines:
        found.append(line)
        if line.startswith(COLUMNS_LINE):
            return found
        if not line.startswith("#"):
            break
    expected = f"expected VCF, whose header ends in a line {COLUMNS_LINE}"
    if not found or line.startswith("#"):
        raise ZooError(f"{path}: {expected}, {none_among(len(found), 'header')}")
    kind = kinds.of_file(path)
    if kind is kinds.BCF and path.suffix.lower() == ".bcf":
        raise ZooError(f"{path}: cannot be read as BCF, the file may be damaged")
    got = f"found {kind}" if kind else f"got {shown(line)!r}"
    missing = "" if kind or len(found) > 1 else "; the header is missing, from ##fileformat to the names of the columns"
    raise ZooError(f"{path}: line {len(found)}: {expected}, {got}{missing}")


def _from_vcf(path: Path, lines: Iterator[tuple[int, str]], keep_lines: bool) -> Iterator[Variant | BadVariant]:
    for number, line in lines:
        where = f"{path}: line {number}"
        try:
            contig, place, name, ref, alts = _cells(line)
            start = position(place, FIELDS[1]) - 1
        except ValueError as error:
            yield BadVariant(where, str(error))
            continue
        alleles = () if alts == MISSING else tuple(alts.split(","))
        yield Variant(contig, start, name, ref, alleles, where, line if keep_lines else "")


def _cells(line: str) -> list[str]:
    """The first five columns of a record. Raises ValueError that says what is wrong."""
    cells = line.split("\t", INFO + 1)
    if len(cells) <= INFO:
        raise ValueError(_too_few(cells))
    if not line.isascii():
        for field, text in zip(FIELDS, cells[:5], strict=False):
            if SURROGATE.search(text):
                raise ValueError(f"{field}: expected text in UTF-8, got {shown(text)!r}")
    return cells[:5]


def _too_few(cells: list[str]) -> str:
    """Message for a record with too few columns."""
    if cells == [""]:
        return "expected a record, the line is empty"
    blanks = len(cells) == 1 and len(cells[0].split()) > INFO
    hint = "they are separated by blanks" if blanks else f"{FIELDS[len(cells)]} is missing"
    return f"expected the {len(FIELDS)} columns {' '.join(FIELDS)} between tabs, got {len(cells)}; {hint}"


def _opened(path: Path) -> Any:
    """An open BCF; None for a file that is not BCF in spite of its suffix."""
    try:
        file = pysam_module().VariantFile(str(path))
    except (OSError, ValueError, NotImplementedError):  # the last for gzip that is not bgzip
        return None
    if file.format == BCF.decode():
        return file
    file.close()
    return None


def _from_bcf(path: Path, file: Any, keep_lines: bool) -> Iterator[Variant | BadVariant]:
    before, number = "", 0
    with contextlib.closing(file):
        try:
            for number, record in enumerate(file, 1):
                line = str(record).removesuffix("\n") if keep_lines else ""
                name, alleles = record.id or MISSING, record.alts or ()
                where = f"{path}: record {number:,}"
                yield Variant(record.contig, record.pos - 1, name, record.ref, alleles, where, line)
                before = f", after {record.contig}:{record.pos}"
        except (OSError, ValueError):
            # pysam calls every record that it cannot read truncated
            raise BadInput(
                f"{path}: record {number + 1:,}{before}: cannot be read as BCF, it is invalid or cut off; bcftools "
                "view says more"
            ) from None


def _from_table(path: Path) -> Iterator[Variant | BadVariant]:
    table = columns.read(path, [], TABLE_COLUMNS, ["id"], may_be_missing=(*TABLE_COLUMNS, "id"))
    names = table.text.get("id", [""] * len(table))
    rows = zip(*(table.text[name] for name in TABLE_COLUMNS), names, strict=True)
    for row, (contig, place, ref, alts, name) in enumerate(rows, 1):
        where = f"{path}: row {row}"
        try:
            start = position(place, "pos", 1) - 1
        except ValueError as error:
            yield BadVariant(where, f"column {error}")
            continue
        if not contig:
            yield BadVariant(where, "column chrom: expected text, the value is missing")
            continue
        alleles = tuple(alt or MISSING for alt in alts.split(","))
        yield Variant(contig, start, name or MISSING, ref or MISSING, alleles, where)
