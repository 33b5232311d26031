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
