"""Variants in and out: VCF, compressed or not, and BCF through pysam, or a table with the columns chrom, pos, ref, alt.

In files positions are 1-based; here they are 0-based. Records stay in their order, whatever it is.
"""

from __future__ import annotations

import codecs
import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.errors import ZooError
from zoo.formats import columns, compressed
from zoo.formats.columns import PARQUET, SEPARATORS
from zoo.formats.indexed_fasta import pysam_module
from zoo.formats.names import shown

SUFFIXES = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")

TABLE_SUFFIXES = (*SEPARATORS, *PARQUET)

MISSING = "."
"""What stands for an identifier or an allele that is not there."""

TABLE_COLUMNS = ("chrom", "ref", "alt")

BLOCK_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Variant:
    """A record: 0-based position, and as many alternative alleles as it has."""

    contig: str
    position: int
    name: str
    ref: str
    alts: tuple[str, ...]

    def shown(self, alt: str) -> str:
        """For messages and descriptions, 1-based."""
        return f"{self.contig}:{self.position + 1} {shown(self.ref)}>{shown(alt)}"


def is_vcf(path: Path) -> bool:
    """Whether the name is that of VCF or BCF. Raises ZooError for one that is neither that nor of a table."""
    name = path.name.lower()
    if name.endswith(SUFFIXES):
        return True
    if columns.suffix(path) in TABLE_SUFFIXES:
        return False
    raise ZooError(
        f"{path}: expected variants whose name ends in {', '.join(SUFFIXES)}, or in {', '.join(TABLE_SUFFIXES)} for a "
        "table with the columns chrom, pos, ref and alt"
    )


def read(path: Path) -> Iterator[Variant]:
    """The variants of a file in order. Raises ZooError if it cannot be read, or for the first record that is none."""
    check(path)
    return _from_vcf(path) if is_vcf(path) else _from_table(path)


def check(path: Path) -> None:
    """Raise ZooError unless `path` is a file with the name of one that holds variants."""
    if not path.is_file():
        raise ZooError(f"{path}: {'expected variants, this is a folder' if path.is_dir() else 'no such file'}")
    is_vcf(path)


def count(path: Path) -> int:
    """Records of a file. Lines of VCF are counted without looking into them."""
    if not is_vcf(path) or path.suffix.lower() == ".bcf":
        return sum(1 for _ in read(path))
    found, within, last = 0, False, b"\n"
    with compressed.opened(str(path)) as source:
        rest = b""
        while piece := source.read(BLOCK_BYTES):
            last = piece[-1:]
            if within:
                found += piece.count(b"\n")
                continue
            rest += piece
            start = 0
            while rest[start : start + 1] == b"#" and (end := rest.find(b"\n", start)) >= 0:
                start = end + 1
            rest = rest[start:]
            if rest[:1] not in (b"", b"#"):
                within = True
                found += rest.count(b"\n")
    return found + (within and last != b"\n")


def lines(path: Path) -> Iterator[str]:
    """A VCF or BCF as lines of VCF, without their ends, the header among them. Raises ZooError if it cannot be read."""
    if path.suffix.lower() != ".bcf":
        with compressed.opened(str(path)) as source:
            rest = b""
            while piece := source.read(BLOCK_BYTES):
                *whole, rest = (rest + piece).split(b"\n")
                yield from (line.decode("utf-8", "surrogateescape").removesuffix("\r") for line in whole)
            if rest:
                yield rest.decode("utf-8", "surrogateescape")
        return
    with contextlib.closing(_opened(path)) as file:
        yield from str(file.header).splitlines()
        for record in _records(path, file):
            yield str(record).removesuffix("\n")


def _opened(path: Path) -> Any:
    pysam = pysam_module()
    try:
        return pysam.VariantFile(str(path))
    except NotImplementedError:  # what pysam raises for gzip, which has no places to go back to
        raise ZooError(
            f"{path}: expected VCF compressed by bgzip, got gzip; gunzip -c {path.name} | bgzip > new.vcf.gz makes one"
        ) from None
    except (OSError, ValueError) as error:
        with path.open("rb") as content:
            marked = content.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8
        reason = compressed.MARKED if marked else f"cannot be read as VCF or BCF ({_reason(error)})"
        raise ZooError(f"{path}: {reason}") from None


def _records(path: Path, file: Any) -> Iterator[Any]:
    number = 0
    while True:
        try:
            record = next(file)
        except StopIteration:
            return
        except (OSError, ValueError) as error:
            raise ZooError(f"{path}: record {number + 1:,} cannot be read as VCF ({_reason(error)})") from None
        number += 1
        yield record


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
