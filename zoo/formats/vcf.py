"""Variants: VCF, compressed or not, and BCF through pysam, or a table with the columns chrom, pos, ref and alt.

Positions are 1-based in files and 0-based here. Records keep their order. A VCF with further INFO fields is written
line by line: pysam's writer would add END to records with symbolic alleles, and refuses contigs that the header lacks.
"""

from __future__ import annotations

import codecs
import contextlib
import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import ZooError
from zoo.formats import columns, text_input
from zoo.formats.columns import PARQUET, SEPARATORS
from zoo.formats.indexed_fasta import pysam_module
from zoo.formats.names import shown

OUTPUT_SUFFIXES = (".vcf", ".vcf.gz", ".vcf.bgz")

SUFFIXES = (*OUTPUT_SUFFIXES, ".bcf")

TABLE_SUFFIXES = (*SEPARATORS, *PARQUET)

MISSING = "."
"""A missing identifier, allele or INFO column."""

TABLE_COLUMNS = ("chrom", "ref", "alt")

COLUMNS_LINE = "#CHROM"
"""Start of the last line of the header."""

INFO = 7
"""Index of the column INFO."""

INFO_ID = re.compile(r"##INFO=<ID=([^,>]+)")

LINE_BYTES = 1 << 30
"""Longest line: it has the genotypes of all samples."""

LONGEST_TABIX = 1 << 29
"""Bases of a contig that the index .tbi can address (SAM specification, tabix); .csi has no such limit."""

INDICES = (".tbi", ".csi")


@dataclasses.dataclass(frozen=True)
class Variant:
    """A record: 0-based position, and its alternative alleles."""

    contig: str
    position: int
    name: str
    ref: str
    alts: tuple[str, ...]

    def shown(self, alt: str) -> str:
        """For messages and descriptions, 1-based."""
        return f"{self.contig}:{self.position + 1} {shown(self.ref)}>{shown(alt)}"


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
    raise ZooError(
        f"{path}: expected variants whose name ends in {', '.join(SUFFIXES)}, or in {', '.join(TABLE_SUFFIXES)} for a "
        "table with the columns chrom, pos, ref and alt"
    )


def is_vcf_output(output: Path) -> bool:
    """Whether the suffix is that of a VCF which `annotate` can write."""
    return output.name.lower().endswith(OUTPUT_SUFFIXES)


def is_compressed_output(output: Path) -> bool:
    return is_vcf_output(output) and not output.name.lower().endswith(".vcf")


def check(path: Path) -> None:
    """Raise ZooError unless `path` is a file whose suffix is that of variants."""
    if not path.is_file():
        raise ZooError(f"{path}: {'expected variants, this is a folder' if path.is_dir() else 'no such file'}")
    is_vcf(path)


def read(path: Path) -> Iterator[Variant]:
    """The variants of a file in order. Raises ZooError if it cannot be read, or for the first invalid record."""
    check(path)
    return _from_vcf(path) if is_vcf(path) else _from_table(path)


def count(path: Path) -> int:
    """Number of records. Lines of VCF are counted but not parsed."""
    if is_vcf(path) and not _is_bcf(path):
        return sum(not line.startswith("#") for line in lines(path))
    return sum(1 for _ in read(path))


def lines(path: Path) -> Iterator[str]:
    """Lines of a VCF, or of a BCF converted to VCF, without their ends. Raises ZooError if it cannot be read."""
    if not _is_bcf(path):
        yield from (line for _, line in text_input.lines(path, LINE_BYTES))
        return
    with contextlib.closing(_opened(path)) as file:
        yield from str(file.header).splitlines()
        for record in _records(path, file):
            yield str(record).removesuffix("\n")


def annotate(
    source: Path, file: Path, compress: bool, fields: Sequence[InfoField], values: Iterator[str], longest: int
) -> Path | None:
    """Copy a VCF or BCF to the VCF `file`, with further INFO fields.

    values: text to add to INFO, one for each record in order; may be empty.  longest: bases of the longest contig.
    compress: with bgzip. Returns the index beside `file`; None if it is not compressed or the records are not sorted.
    Raises ZooError if the header has such a field already.
    """
    names = {field.name for field in fields}
    contigs: set[str] = set()
    contig, position, is_sorted = "", 0, True
    with pysam_module().BGZFile(str(file), "wb") if compress else file.open("wb") as output:
        for line in lines(source):
            if line.startswith("#"):
                used = INFO_ID.match(line)
                if used and used[1] in names:
                    raise ZooError(
                        f"{source}: already has the field INFO/{used[1]}; remove it first, for example with bcftools "
                        f"annotate -x INFO/{used[1]}"
                    )
                header = [field.line() for field in fields] if line.startswith(COLUMNS_LINE) else []
                text = "\n".join([*header, line])
            else:
                cells = line.split("\t", INFO + 1)
                if cells[0] != contig:
                    is_sorted &= cells[0] not in contigs
                    contigs.add(cells[0])
                    contig, position = cells[0], 0
                is_sorted &= int(cells[1]) >= position
                position = int(cells[1])
                if added := next(values):
                    cells[INFO] = added if cells[INFO] in (MISSING, "") else f"{cells[INFO]};{added}"
                text = "\t".join(cells)
            output.write(f"{text}\n".encode("utf-8", "surrogateescape"))
    if not compress or not is_sorted:
        return None
    csi = longest > LONGEST_TABIX
    pysam_module().tabix_index(str(file), preset="vcf", csi=csi, force=True)
    return file.with_name(file.name + INDICES[csi])


def _is_bcf(path: Path) -> bool:
    return path.suffix.lower() == ".bcf"


def _opened(path: Path) -> Any:
    try:
        return pysam_module().VariantFile(str(path))
    except NotImplementedError:  # raised by pysam for gzip, which has no random access
        raise ZooError(
            f"{path}: expected VCF compressed by bgzip, got gzip; gunzip -c {path.name} | bgzip > new.vcf.gz makes one"
        ) from None
    except (OSError, ValueError) as error:
        with path.open("rb") as content:
            marked = content.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8
        reason = text_input.BYTE_ORDER_MARK if marked else f"cannot be read as VCF or BCF ({_reason(error)})"
        raise ZooError(f"{path}: {reason}") from None


def _records(path: Path, file: Any) -> Iterator[Any]:
    number = 0
    try:
        for number, record in enumerate(file, 1):  # noqa: B007 - the number is for the message
            yield record
    except (OSError, ValueError) as error:
        raise ZooError(f"{path}: record {number + 1:,} cannot be read as VCF ({_reason(error)})") from None


def _from_vcf(path: Path) -> Iterator[Variant]:
    with contextlib.closing(_opened(path)) as file:
        for record in _records(path, file):
            yield Variant(record.contig, record.pos - 1, record.id or MISSING, record.ref, record.alts or ())


def _from_table(path: Path) -> Iterator[Variant]:
    table = columns.read(path, ["pos"], TABLE_COLUMNS, ["id"])
    names = table.text.get("id", [MISSING] * len(table))
    text = (table.text[name] for name in TABLE_COLUMNS)
    rows = zip(*text, names, table.numbers[:, 0].tolist(), strict=True)
    for row, (contig, ref, alt, name, position) in enumerate(rows, 1):
        if position != position or position < 1 or not float(position).is_integer():
            raise ZooError(f"{path}: column pos, row {row}: expected a whole number of at least 1, got {position}")
        yield Variant(contig, int(position) - 1, name, ref, tuple(alt.split(",")))


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())
