"""A VCF with further INFO fields: every line as it was but for them, compressed with bgzip and indexed by its suffix.

Lines go through as text: pysam's writer would add END to records with symbolic alleles, and refuses contigs that the
header does not name.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from zoo.errors import ZooError
from zoo.formats import vcf
from zoo.formats.indexed_fasta import pysam_module

SUFFIXES = (".vcf", ".vcf.gz", ".vcf.bgz")

COLUMNS = "#CHROM"
"""What the last line of the header begins with."""

INFO = 7
"""Its column, from 0."""

ID = re.compile(r"##INFO=<ID=([^,>]+)")

LONGEST_TABIX = 1 << 29
"""Bases of a contig that the index .tbi can address (SAM specification, tabix); .csi takes any."""

INDICES = (".tbi", ".csi")


@dataclasses.dataclass(frozen=True)
class Header:
    """An INFO field. number: as in VCF: 1, A (one an alternative allele) or 0 (a flag)."""

    name: str
    number: str
    kind: str
    text: str

    def line(self) -> str:
        return f'##INFO=<ID={self.name},Number={self.number},Type={self.kind},Description="{self.text}">'


def info_name(text: str) -> str:
    """What an INFO field can be called: letters, digits, _ and . (VCF 4.3, section 1.4.2)."""
    return re.sub(r"[^0-9A-Za-z_.]", "_", text)


def is_vcf(output: Path) -> bool:
    return output.name.lower().endswith(SUFFIXES)


def is_compressed(output: Path) -> bool:
    return is_vcf(output) and not output.name.lower().endswith(SUFFIXES[0])


def write(
    source: Path, file: Path, compress: bool, headers: Sequence[Header], fields: Iterator[str], longest: int
) -> Path | None:
    """Write the records of a VCF or BCF with further INFO fields to `file`.

    fields: of each record in order, as text; empty for none.  longest: bases of the longest contig.
    Returns the index beside `file`; None where it is not compressed, or the records are not sorted.
    Raises ZooError if the records have such a field already.
    """
    order = _Order()
    with _opened(file, compress) as written:
        for line in _lines(source, headers, fields, order):
            written.write(f"{line}\n".encode("utf-8", "surrogateescape"))
    if not compress or not order.is_sorted:
        return None
    csi = longest > LONGEST_TABIX
    pysam_module().tabix_index(str(file), preset="vcf", csi=csi, force=True)
    return file.with_name(file.name + INDICES[csi])


@contextlib.contextmanager
def _opened(file: Path, compress: bool) -> Iterator[BinaryIO | Any]:
    with pysam_module().BGZFile(str(file), "wb") if compress else file.open("wb") as written:
        yield written


class _Order:
    """Whether records come sorted: each contig once, its positions never falling."""

    def __init__(self) -> None:
        self.is_sorted = True
        self._seen: set[str] = set()
        self._contig, self._position = "", 0

    def add(self, contig: str, position: int) -> None:
        if contig != self._contig:
            self.is_sorted &= contig not in self._seen
            self._seen.add(contig)
            self._contig, self._position = contig, 0
        self.is_sorted &= position >= self._position
        self._position = position


def _lines(source: Path, headers: Sequence[Header], fields: Iterator[str], order: _Order) -> Iterator[str]:
    names = {header.name for header in headers}
    for line in vcf.lines(source):
        if line.startswith("#"):
            found = ID.match(line)
            if found and found[1] in names:
                raise ZooError(
                    f"{source}: has the field INFO/{found[1]} already; remove it first, as with bcftools annotate -x "
                    f"INFO/{found[1]}"
                )
            if line.startswith(COLUMNS):
                yield from (header.line() for header in headers)
            yield line
            continue
        columns = line.split("\t", INFO + 1)
        order.add(columns[0], int(columns[1]))
        more = next(fields)
        if more:
            columns[INFO] = more if columns[INFO] in (vcf.MISSING, "") else f"{columns[INFO]};{more}"
        yield "\t".join(columns)
