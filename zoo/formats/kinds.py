"""What a file is, by its first bytes or lines whatever its name: for a message about a file that was given in place of
another. A `Kind` says where the file belongs.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import NamedTuple

from zoo.errors import ZooError
from zoo.formats.names import shown
from zoo.formats.text_input import STANDARD_INPUT, START_BYTES, open_text


class Kind(NamedTuple):
    """name: of the format.  advice: what to do with such a file."""

    name: str
    advice: str
    is_table: bool = False

    def __str__(self) -> str:
        return f"{self.name}; {self.advice}"


VCF = Kind("VCF (variants)", "zoo variants takes it, with a name that ends in .vcf or .vcf.gz")
BCF = Kind("BCF (variants)", "zoo variants takes it, with a name that ends in .bcf")
BED = Kind("BED (intervals)", "zoo predict and zoo explain take it with --bed and --genome")
NARROW_PEAK = Kind("narrowPeak (intervals with summits)", "zoo predict and zoo explain take it with --bed and --genome")
GTF = Kind("GTF or GFF (annotation)", "--bed takes intervals as BED; a GTF start is 1-based, that of BED is 0-based")
BIG_WIG = Kind("bigWig (a track)", "it has no sequences; give the intervals with --bed and the genome with --genome")
BIG_BED = Kind("bigBed (intervals)", "bigBedToBed writes BED, which --bed takes")
TRACK = Kind(
    "a track (bedGraph or wig)", "it has no sequences; give intervals with --bed, and the genome with --genome"
)
SAM = Kind("SAM, BAM or CRAM (alignments)", "samtools fasta writes the reads as FASTA")
TWO_BIT = Kind("2bit (sequences)", "twoBitToFa writes FASTA")
FASTQ = Kind("FASTQ", "convert it, for example with seqtk seq -A")
FASTA = Kind("FASTA (sequences)", "zoo predict takes it as FILE; a genome is given with --genome")
MEME = Kind("motifs in the MEME format", "zoo motifs takes them with --known")
JASPAR = Kind("motifs in the JASPAR format", "jaspar2meme converts them; then zoo motifs takes them with --known")
GENBANK = Kind("GenBank", "seqret or another converter writes FASTA")
PARQUET = Kind(
    "Parquet (a table)", "zoo predict and zoo explain take it with --column NAME, and a name that ends in .parquet"
)
EXCEL = Kind("an Excel workbook or another archive", "save the sheet as CSV")
HDF5 = Kind("HDF5", "zoo import takes weights of Keras; sequences are read from FASTA or tables")
PDF = Kind("PDF", "save it as plain text")
JSON = Kind("JSON", "save the sequences as FASTA or as a table")
HTML = Kind("a web page", "download the file itself")

FIRST_BYTES = {
    b"BCF\2": BCF,
    b"BAM\1": SAM,
    b"CRAM": SAM,
    b"PAR1": PARQUET,
    b"PK\3\4": EXCEL,
    b"\xd0\xcf\x11\xe0": EXCEL,
    b"\x89HDF": HDF5,
    b"%PDF": PDF,
    b"\x26\xfc\x8f\x88": BIG_WIG,
    b"\x88\x8f\xfc\x26": BIG_WIG,
    b"\xeb\xf2\x89\x87": BIG_BED,
    b"\x87\x89\xf2\xeb": BIG_BED,
    b"\x43\x27\x41\x1a": TWO_BIT,
    b"\x1a\x41\x27\x43": TWO_BIT,
}
"""First bytes of a file, decompressed -> kind. Tracks and 2bit have either byte order (UCSC, FAQformat)."""

FIRST_LINES = {
    r"##fileformat=VCF|#CHROM\t": VCF,
    r"##gff": GTF,
    r"(track .*type=.?(bedGraph|wiggle_0)|fixedStep|variableStep)\b": TRACK,
    r"@(HD|SQ|RG|PG|CO)\t": SAM,
    r"@": FASTQ,
    r"[{\[]": JSON,
    r"(?i)<(!doctype|html)\b": HTML,
    r"MEME version": MEME,
    r"LOCUS\s": GENBANK,
    r">.*\n([ACGT]\s*\[|\s*[\d.]+\s+[\d.]+\s)": JASPAR,
    r">": FASTA,
}
"""Pattern of the first lines -> kind; the first that matches counts."""

FIELDS = {
    r"[^\t]+(\t[^\t]*){2}\t\d+\t\d+\t[^\t]+\t[+.?-]\t[^\t]+\t": GTF,
    r"[^\t]+\t\d+\t\d+(\t[^\t]*){6}\t-?\d+$": NARROW_PEAK,
    r"[^\t]+\t\d+\t\d+\t-?\d*[.]\d+([eE]-?\d+)?$": TRACK,
    r"\S+\s\d+\s\d+(\s|$)": BED,
}
"""Pattern of the first line that is no comment -> kind."""

COMMENT = re.compile(r"#|(track|browser)\s|$")


def of_text(start: bytes) -> Kind | None:
    """The kind of a text by its first bytes, decompressed; None if it is not known."""
    for first, kind in FIRST_BYTES.items():
        if start.startswith(first):
            return kind
    if b"\0" in start:
        return None
    text = start.decode("utf-8", "replace").lstrip().replace("\r\n", "\n")
    for pattern, kind in FIRST_LINES.items():
        if re.match(pattern, text):
            return kind
    line = next((line for line in text.split("\n") if not COMMENT.match(line)), "")
    for pattern, kind in FIELDS.items():
        if re.match(pattern, line):
            return kind
    return _table(line)


def _table(line: str) -> Kind | None:
    """A table by its header: two or more names between tabs, commas or semicolons, or one such as "sequence"."""
    names = max((line.split(separator) for separator in "\t,;"), key=len)
    named = [word for name in names if (word := name.strip('" '))]
    if any(re.fullmatch(r"-?[\d.,]+", word) for word in named):  # a row of numbers, not the names of columns
        return None
    if len(named) < 2 and "seq" not in line.lower():
        return None
    column = next((name for name in named if "seq" in name.lower()), "NAME")
    return Kind(
        f"a table, {', '.join(map(shown, named[:4]))}",
        f"zoo predict and zoo explain take it with --column {shown(column)}",
        True,
    )


def of_file(path: str | Path) -> Kind | None:
    """The kind of a file, which may be compressed; None if it is not known, or cannot be read a second time."""
    if str(path) == STANDARD_INPUT:
        return None
    with contextlib.suppress(ZooError), open_text(path) as source:
        return of_text(source.read(START_BYTES))
    return None
