"""A file that is given in place of another is recognised by its content, whatever its name, also when compressed."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest
from refusals import refuses

from zoo.formats import bed, kinds, meme
from zoo.formats.fasta import Reader
from zoo.formats.indexed_fasta import IndexedFasta

FILES: dict[str, tuple[bytes, str, str]] = {
    "vcf": (b"##fileformat=VCFv4.2\n##source=x\n#CHROM\tPOS\n", "VCF", "zoo variants"),
    "vcf without a version": (b"#CHROM\tPOS\tID\tREF\tALT\n", "VCF", "zoo variants"),
    "bcf": (b"BCF\2\2\0\0\0\0", "BCF", "zoo variants"),
    "bed": (b"chr2L\t1000\t1249\n", "BED", "--bed"),
    "bed with a track line": (b'browser position chr2L\ntrack name="x"\n# y\nchr2L 1000 1249 a 0 +\n', "BED", "--bed"),
    "bed with CR LF": (b"chr2L\t1000\t1249\tp\t0\t-\r\n", "BED", "--bed"),
    "narrowPeak": (b"chr2L\t1\t9\tp\t0\t.\t1.5\t2\t3\t4\n", "narrowPeak", "--bed"),
    "gtf": (b'#!x\nchr2L\tFB\tgene\t7529\t9484\t.\t+\t.\tgene_id "a";\n', "GTF", "--bed"),
    "gff": (b"##gff-version 3\n", "GFF", "--bed"),
    "bedGraph": (b"chr2L\t0\t9\t0.5\n", "bedGraph", "--bed"),
    "wig": (b"track type=wiggle_0\nfixedStep chrom=c start=1 step=1\n", "wig", "--bed"),
    "bigWig": (struct.pack("<I", 0x888FFC26) + bytes(60), "bigWig", "--genome"),
    "bigBed": (struct.pack(">I", 0x8789F2EB) + bytes(60), "bigBed", "bigBedToBed"),
    "2bit": (struct.pack("<I", 0x1A412743) + bytes(60), "2bit", "twoBitToFa"),
    "bam": (b"BAM\1" + bytes(60), "BAM", "samtools fasta"),
    "sam": (b"@HD\tVN:1.6\n", "SAM", "samtools fasta"),
    "fastq": (b"@r\nACGT\n+\nIIII\n", "FASTQ", "seqtk"),
    "meme": (b"MEME version 4\n", "MEME", "--known"),
    "genbank": (b"LOCUS       X\n", "GenBank", "FASTA"),
    "excel": (b"PK\3\4\x14\0", "Excel", "CSV"),
    "hdf5": (b"\x89HDF\r\n\x1a\n\0", "HDF5", "zoo import"),
    "pdf": (b"%PDF-1.4\n", "PDF", "text"),
    "json": (b'{"a": 1, "b": 2}', "JSON", "table"),
    "html": (b"<!DOCTYPE html>\n<html>", "web page", "download"),
    "tsv": (
        b"name\tsplit\tmy_sequence\tdev\nx\ttrain\tACGT\t1\n",
        "a table, name, split, my_sequence",
        "--column my_seq",
    ),
    "csv": (b'"id";"Seq"\r\n', "a table, id, Seq", "--column Seq"),
    "one column": (b"sequence\nACGT\n", "a table", "--column sequence"),
    "parquet": (b"PAR1\0\0", "Parquet", "--column"),
    "utf-16": ("\ufeffname\tsequence\n".encode("utf-16-le"), "a table", "--column sequence"),
}
"""Kind -> the beginning of a file, and what a message about it says."""


@pytest.mark.parametrize("name", FILES)
def test_what_is_given_as_fasta_is_named_with_its_option(tmp_path: Path, name: str) -> None:
    content, *facts = FILES[name]
    for path, stored in ((tmp_path / "a.fa", content), (tmp_path / "a.fa.gz", gzip.compress(content))):
        path.write_bytes(stored)
        with refuses(path, "expected FASTA", *facts):
            list(Reader(path, 4))
        assert all(fact in str(kinds.of_file(path)) for fact in facts)


@pytest.mark.parametrize("content", [b"", b"ACGTACGT\n", b"what is this\n", b"\0\1\2", b"c\tx\n"[:2], b"#\n"])
def test_other_content_has_no_kind(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    assert kinds.of_file(tmp_path / "a") is None


def test_a_fasta_of_comments_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_text("# a\n; b\n\n#\n")
    with refuses("a.fa", "FASTA", "3 lines of comments"):
        list(Reader(tmp_path / "a.fa", 4))


def test_every_reader_names_what_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for content, fact in (
        (b">c\nACGT\n", "FASTA"),
        (FILES["vcf"][0] + b"c\t5\t.\tA\tC\n", "VCF"),
        (FILES["gtf"][0], "GTF"),
    ):
        path.write_bytes(content)
        with refuses(path, "BED", fact):
            list(bed.read(path))
        with refuses(path, "MEME", fact):
            meme.read(path)
    path.write_bytes(b"chr2L\t1\t9\nchr2L\tx\t9\n")
    assert len(list(bed.read(path))) == 2
    path.write_bytes(b">MA0001 AGL3\nA [ 0 3 ]\n")
    with refuses(path, "MEME", "JASPAR", "jaspar2meme"):
        meme.read(path)
    pytest.importorskip("pysam", reason="pysam is not installed; the extra genome brings it")
    path.write_bytes(FILES["2bit"][0])
    with refuses(path, "genome", "2bit", "twoBitToFa"):
        IndexedFasta(path)
