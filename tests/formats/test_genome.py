"""A genome that is damaged, cut off or no text is refused in one line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from refusals import refuses

from zoo.formats import genome

TEXT = b">c\n" + np.random.default_rng(0).choice(np.frombuffer(b"ACGT", np.uint8), 2000).tobytes() + b"\n"
PACKED = gzip.compress(TEXT, mtime=0)


def test_a_compressed_genome_is_read(tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_bytes(TEXT)
    (tmp_path / "g.fa.gz").write_bytes(PACKED)
    plain, packed = genome.read(tmp_path / "g.fa", 20), genome.read(tmp_path / "g.fa.gz", 20)
    assert len(plain.codes) == 2000
    assert plain.sha256 == packed.sha256


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (PACKED[:40] + b"\xff" * 20 + PACKED[60:], "damaged"),
        (PACKED[:-20], "cut off"),
        (b"ACGT\n", "FASTA"),
        (b">c\nAC\xff\n", "FASTA"),
    ],
)
def test_what_is_no_genome_is_one_line(tmp_path: Path, content: bytes, fact: str) -> None:
    path = tmp_path / "g.fa.gz"
    path.write_bytes(content)
    with refuses(path, fact):
        genome.read(path, 20)


def test_other_letters_are_counted_or_refused_with_contig_and_line(tmp_path: Path) -> None:
    path = tmp_path / "g.fa"
    half = TEXT[3:].strip()
    path.write_bytes(b">a\n" + half + b"\n>b x\n" + half[:60] + b"\nACry\n" + half + b"\n")
    found = genome.read(path, 20)
    assert found.ambiguous_letters == 2
    assert found.first_ambiguous == "r at contig b, position 63 (line 5)"
    assert (found.codes == 4).sum() == 2
    with refuses(path, "contig b", "position 63", "line 5", "'r'"):
        genome.read(path, 20, "refuse")
    path.write_bytes(TEXT)
    assert genome.read(path, 20, "refuse").ambiguous_letters == 0
