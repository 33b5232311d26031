"""Genes of a region, with their exons, from GTF or GFF3, plain or compressed.

Positions in both formats are 1-based and inclusive; here they are 0-based and half-open. Exons belong to the gene of
their `gene_id` (GTF), or to the feature at the top of their chain of `Parent` (GFF3). The transcripts of a gene are
joined. A gene without exons is one exon.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from zoo.errors import ZooError, did_you_mean
from zoo.formats.names import listed, shown
from zoo.formats.text_input import lines

COLUMNS = 9

GENES = ("gene", "pseudogene", "ncRNA_gene")
"""Features that are a whole gene."""

NAMES = ("gene_name", "gene_symbol", "Name", "gene", "gene_id", "ID")
"""Attributes with the name of a gene, the best first."""

GTF_ATTRIBUTE = re.compile(r'\s*(\w+)\s+(?:"([^"]*)"|([^";\s]+))\s*(?:;|$)')

MOST_PARENTS = 10
"""Longest chain of Parent; a longer one is a circle."""


@dataclasses.dataclass(frozen=True)
class Gene:
    """[start, end) of a contig, 0-based, strand "+", "-" or ".", and exons [start, end), sorted, without overlap."""

    name: str
    start: int
    end: int
    strand: str
    exons: tuple[tuple[int, int], ...]


@dataclasses.dataclass
class _Made:
    """A gene that is being read."""

    name: str = ""
    strand: str = "."
    spans: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    exons: list[tuple[int, int]] = dataclasses.field(default_factory=list)


def read(path: Path, contig: str, start: int, end: int) -> list[Gene]:
    """The genes that overlap [start, end) of a contig, by position.

    Raises ZooError, with the line, for one that is not GTF or GFF3; and if the file has no exon or gene on the contig.
    """
    reader = _Reader()
    contigs: dict[str, None] = {}
    for number, line in lines(path):
        if line.startswith((">", "##FASTA")):  # GFF3 may hold the genome behind the features
            break
        if line.strip() and not line.startswith("#"):
            name = line.partition("\t")[0]
            contigs[name] = None
            if name == contig:
                reader.add(*_line(line.rstrip().split("\t"), f"{path}, line {number}"))
    genes = reader.genes()
    if not genes:
        raise ZooError(
            f"{path}: expected exons or genes on {shown(contig)}{did_you_mean(contig, contigs)}; "
            f"found {'the contigs ' + listed(list(contigs)) if contigs else 'no features'}"
        )
    return sorted((gene for gene in genes if gene.start < end and gene.end > start), key=lambda gene: gene.start)


class _Reader:
    """Collects the features of a contig. Exons may come before the feature that they belong to."""

    def __init__(self) -> None:
        self._genes: dict[str, _Made] = {}
        self._features: dict[str, dict[str, str]] = {}
        self._exons: list[tuple[str, str, tuple[int, int]]] = []

    def add(self, feature: str, span: tuple[int, int], strand: str, attributes: dict[str, str]) -> None:
        gene, identity = attributes.get("gene_id", ""), attributes.get("ID", "")
        if identity:
            self._features[identity] = attributes
        if feature == "exon":
            self._exons.append((gene or _parent(attributes) or identity, strand, span))
            if gene:
                self._genes.setdefault(gene, _Made()).name = _name(attributes)
        elif feature in GENES:
            made = self._genes.setdefault(identity or gene, _Made())
            made.name, made.strand = _name(attributes), strand
            made.spans.append(span)

    def genes(self) -> list[Gene]:
        for owner, strand, span in self._exons:
            top = self._top(owner)
            made = self._genes.setdefault(top, _Made())
            made.name, made.strand = made.name or _name(self._features.get(top, {})) or top, strand
            made.exons.append(span)
        return [_gene(made) for made in self._genes.values()]

    def _top(self, identity: str) -> str:
        """The feature at the top of a chain of Parent."""
        for _ in range(MOST_PARENTS):
            parent = _parent(self._features.get(identity, {}))
            if not parent:
                break
            identity = parent
        return identity


def _line(fields: list[str], where: str) -> tuple[str, tuple[int, int], str, dict[str, str]]:
    """Feature, span, strand and attributes of a line."""
    if len(fields) != COLUMNS:
        raise ZooError(f"{where}: expected {COLUMNS} fields between tabs, as GTF and GFF3 have, got {len(fields)}")
    first, last = fields[3:5]
    if not (first.isascii() and last.isascii() and first.isdecimal() and last.isdecimal()):
        raise ZooError(f"{where}: expected whole numbers as first and last position, got {shown(f'{first} {last}')!r}")
    if not 1 <= int(first) <= int(last):
        raise ZooError(f"{where}: expected a first position from 1 and not behind the last, got {first} and {last}")
    return fields[2], (int(first) - 1, int(last)), fields[6], _attributes(fields[8])


def _attributes(text: str) -> dict[str, str]:
    """key "value"; of GTF, or key=value; of GFF3."""
    if re.match(r"\s*\w+=", text):
        pairs = (part.partition("=") for part in text.split(";") if "=" in part)
        return {key.strip(): unquote(value.strip()) for key, _, value in pairs}
    return {key: quoted or plain for key, quoted, plain in GTF_ATTRIBUTE.findall(text)}


def _name(attributes: Mapping[str, str]) -> str:
    return next((attributes[key] for key in NAMES if attributes.get(key)), "")


def _parent(attributes: Mapping[str, str]) -> str:
    """The first parent of a feature of GFF3, or ""."""
    return attributes.get("Parent", "").partition(",")[0]


def _gene(made: _Made) -> Gene:
    joined: list[tuple[int, int]] = []
    for first, last in sorted(made.exons or made.spans):
        if joined and first <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    spans = [*joined, *made.spans]
    start, end = min(first for first, _ in spans), max(last for _, last in spans)
    return Gene(made.name, start, end, made.strand, tuple(joined))
