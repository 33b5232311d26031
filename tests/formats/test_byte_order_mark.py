"""Texts as Windows and old Macs write them: every reader takes a byte order mark, UTF-16 and other line ends."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from refusals import refuses

from zoo.formats import bed, columns, genome, meme, vcf
from zoo.formats.fasta import Reader
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.formats.text_input import open_text
from zoo.search import space_files
from zoo.serve.options import read_tokens
from zoo.training.config import read_toml

MARK = b"\xef\xbb\xbf"

SWEEP = b'{"parameters": {"lr": {"value": 0.1}}}'

MOTIFS = b"MEME version 4\nMOTIF m\nletter-probability matrix: alength= 4 w= 1\n1 0 0 0\n"

RECORDS = b">c\n" + b"ACGT" * 25 + b"\n"

VCF = b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\nc\t3\t.\tA\tC\t.\t.\t.\n"

READERS: dict[str, tuple[bytes, Callable[[Path], object]]] = {
    "a.fa": (b">c\nACGT\n", lambda path: [(names, codes.tolist()) for names, codes in Reader(path, 4)]),
    "genome.fa": (RECORDS, lambda path: genome.read(path, 4).sha256),
    "a.bed": (b"c\t0\t9\n", lambda path: [(one.contig, one.end) for one in bed.read(path)]),
    "a.tsv": (b"chrom\tpos\nc\t3\n", lambda path: columns.read(path, ["pos"], ["chrom"]).text),
    "a.csv": (b"chrom,pos\nc,3\n", lambda path: columns.read(path, ["pos"], ["chrom"]).text),
    "a.vcf": (VCF, lambda path: (vcf.digest_and_count(path)[1], vcf.Records(path).header, list(vcf.Records(path)))),
    "a.meme": (MOTIFS, lambda path: [motif.name for motif in meme.read(path).motifs]),
    "tokens": (b"abc\ndef\n", read_tokens),
    "a.toml": (b"[model]\nfilters = 3\n", read_toml),
    "a.json": (SWEEP, lambda path: [one.name for one in space_files.read_sweep(path).parameters]),
    "a.yaml": (SWEEP, lambda path: [one.name for one in space_files.read_sweep(path).parameters]),
}
"""Name of a file -> a text, and what reads it."""


@pytest.mark.parametrize("name", READERS)
def test_every_reader_leaves_it_out(tmp_path: Path, name: str) -> None:
    text, read = READERS[name]
    path = tmp_path / name
    path.write_bytes(text)
    expected = read(path)
    path.write_bytes(MARK + text)
    assert read(path) == expected


ENCODINGS = {
    "UTF-16 with a mark": lambda text: b"\xff\xfe" + text.decode().encode("utf-16-le"),
    "big-endian UTF-16": lambda text: b"\xfe\xff" + text.decode().encode("utf-16-be"),
    "UTF-16 without a mark": lambda text: text.decode().encode("utf-16-le"),
    "big-endian UTF-16 without a mark": lambda text: text.decode().encode("utf-16-be"),
    "CR": lambda text: text.replace(b"\n", b"\r"),
    "CR LF": lambda text: text.replace(b"\n", b"\r\n"),
    "UTF-16 with CR": lambda text: gzip.compress(text.decode().replace("\n", "\r").encode("utf-16")),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", READERS)
def test_every_reader_takes_utf_16_and_other_line_ends(tmp_path: Path, name: str, encoding: str) -> None:
    text, read = READERS[name]
    path = tmp_path / name
    path.write_bytes(text)
    expected = read(path)
    path.write_bytes(ENCODINGS[encoding](text))
    assert read(path) == expected


def test_long_texts_are_converted_piece_by_piece(tmp_path: Path) -> None:
    path, text = tmp_path / "text", "".join(f"é{number}𝒜\n" for number in range(40_000))
    for encoding in ("utf-16-le", "utf-16-be"):
        path.write_bytes(f"\ufeff{text}".encode(encoding))
        with open_text(path) as source:
            assert source.readall() == text.encode()
        path.write_bytes(f"\ufeff{text}".encode(encoding)[:-1])
        with open_text(path) as source, refuses(path, "damaged", "truncated"):
            source.readall()
    path.write_bytes(text.replace("\n", "\r").encode())
    with open_text(path) as source:
        assert source.readall() == text.encode()
    path.write_bytes(b"BCF\2\2\r\0")
    with open_text(path) as source:
        assert source.readall() == b"BCF\2\2\r\0"


@pytest.mark.parametrize("size", [1, 2, 3, 4, 100])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_it_is_left_out_once_and_at_the_beginning_alone(
    tmp_path: Path, compress: Callable[[bytes], bytes], size: int
) -> None:
    path = tmp_path / "text"
    for text in (b"abcdef" + MARK, MARK + b"a", b"", b"a", b"ab", MARK[:2]):
        for given in (MARK + text, text.removeprefix(MARK)):
            path.write_bytes(compress(given))
            with open_text(path) as source:
                pieces = list(iter(lambda: source.read(size), b""))
            assert b"".join(pieces) == given.removeprefix(MARK)
            assert max(map(len, pieces), default=0) <= size
            with io.TextIOWrapper(io.BufferedReader(open_text(path), size), "latin-1", newline="") as wrapped:
                assert wrapped.read().encode("latin-1") == given.removeprefix(MARK)


def test_what_pysam_reads_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "genome.fa"
    path.write_bytes(MARK + RECORDS)
    with refuses("byte order mark", "sed -i '1s/"):
        IndexedFasta(path)
