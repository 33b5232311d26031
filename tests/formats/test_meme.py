"""MEME files are read as Biopython reads them, written so that both read them back, and refused with file and line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from refusals import refuses

from zoo.formats import meme
from zoo.formats.meme import Motif, Motifs

TEXT = """MEME version 4.12.0

ALPHABET= ACGT

strands: + -

Background letter frequencies (from uniform background):
A 0.3 C 0.2 G 0.2 T 0.3

MOTIF MA0001.1 DRE
letter-probability matrix: alength= 4 w= 3 nsites= 17 E= 4.1e-009
 0.100000  0.200000  0.300000  0.400000
 0.000000  1.000000  0.000000  0.000000
 0.333000  0.333000  0.334000  0.000000
URL http://example.org/MA0001.1

MOTIF second
letter-probability matrix:
0.25 0.25 0.25 0.25
1 0 0 0
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "motifs.meme"
    path.write_text(text)
    return path


def test_names_matrices_sites_background_and_strands_are_read(tmp_path: Path) -> None:
    content = meme.read(write(tmp_path, TEXT))
    first, second = content.motifs
    assert (first.name, first.alternative, first.sites) == ("MA0001.1", "DRE", 17)
    assert (second.name, second.alternative, second.sites) == ("second", "", 20)
    np.testing.assert_allclose(first.probabilities[:2], [[0.1, 0.2, 0.3, 0.4], [0, 1, 0, 0]], rtol=1e-12)
    np.testing.assert_allclose(second.probabilities, [[0.25] * 4, [1, 0, 0, 0]])
    assert content.background == pytest.approx((0.3, 0.2, 0.2, 0.3))
    assert content.both_strands
    assert not meme.read(write(tmp_path, TEXT.replace("+ -", "+"))).both_strands


def test_without_what_may_be_left_out(tmp_path: Path) -> None:
    content = meme.read(write(tmp_path, "MEME version 5\nMOTIF m\nletter-probability matrix: w= 1\n0 0 0 1\n"))
    assert content.background == (0.25, 0.25, 0.25, 0.25)
    assert content.both_strands
    np.testing.assert_array_equal(content.motifs[0].probabilities, [[0, 0, 0, 1]])


def test_what_is_written_comes_back_and_biopython_reads_the_same(tmp_path: Path) -> None:
    motifs = pytest.importorskip("Bio.motifs")
    generator = np.random.default_rng(0)
    made = tuple(
        Motif(f"motif_{width}", generator.dirichlet(np.ones(4), width), "other" * (width % 2), 30.0 + width)
        for width in (1, 8, 21)
    )
    path = tmp_path / "new.meme"
    meme.write(path, Motifs(made, (0.3, 0.2, 0.1, 0.4), both_strands=False))
    again = meme.read(path)
    assert again.background == pytest.approx((0.3, 0.2, 0.1, 0.4))
    assert not again.both_strands
    with path.open() as file:
        theirs = motifs.parse(file, "minimal")
    for ours, back, their in zip(made, again.motifs, theirs, strict=True):
        assert (back.name, back.alternative, back.sites) == (ours.name, ours.alternative, ours.sites)
        np.testing.assert_allclose(back.probabilities, ours.probabilities, rtol=0, atol=2e-6)
        columns = np.array([their.counts[base] for base in "ACGT"]).T
        np.testing.assert_allclose(columns / columns.sum(1, keepdims=True), ours.probabilities, rtol=0, atol=0.03)
        assert their.name.split()[0] == ours.name
        assert their.length == len(ours.probabilities)
    with refuses(path):
        meme.write(path, again)
    with refuses("'two words'"):
        meme.write(tmp_path / "bad.meme", Motifs((Motif("two words", made[0].probabilities),)))
    assert not (tmp_path / "bad.meme").exists()


@pytest.mark.parametrize(
    ("old", "new", "line", "fact"),
    [
        ("MEME version 4.12.0", "MEME version 3", 1, "'MEME version 3'"),
        ("ALPHABET= ACGT", "ALPHABET= ACDEFGHIKLMNPQRSTVWY", 3, "ALPHABET= ACGT"),
        ("A 0.3 C 0.2 G 0.2 T 0.3", "A 0.3 C 0.2 T 0.5", 8, "A, C, G and T"),
        ("A 0.3 C 0.2 G 0.2 T 0.3", "A 0.5 C 0.5 G 0 T 0", 8, "above 0"),
        ("A 0.3 C 0.2", "A 0.9 C 0.2", 8, "4 probabilities"),
        ("MOTIF second", "MOTIF", 17, "MOTIF"),
        ("MOTIF second", "MOTIF MA0001.1", 17, "MA0001.1"),
        ("MOTIF second", "", 18, "MOTIF"),
        ("alength= 4", "alength= 20", 11, "alength= 4"),
        ("w= 3", "w= three", 11, "w= and nsites="),
        ("w= 3", "w= 0", 11, "nsites= of at least 0"),
        ("nsites= 17", "nsites= -1", 11, "nsites= of at least 0"),
        ("w= 3", "w= 2", 13, "MA0001.1: expected 2 rows"),
        ("w= 3", "w= 4", 15, "4 probabilities"),
        (" 0.000000  1.000000", " 0.000000  0.900000", 13, "4 probabilities"),
        (" 0.000000  1.000000", " 0.000000  nan", 13, "4 probabilities"),
        (" 0.000000  1.000000", " 1.000000", 13, "4 probabilities"),
        ("1 0 0 0\n", "1 0 0 0\nMOTIF third\n", 21, "third"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(old: str, new: str, line: int, fact: str, tmp_path: Path) -> None:
    assert TEXT.count(old) == 1
    path = write(tmp_path, TEXT.replace(old, new))
    with refuses(f"{path}, line {line}:", fact):
        meme.read(path)


def test_files_that_are_none_are_one_line(tmp_path: Path) -> None:
    with refuses(tmp_path / "absent.meme"):
        meme.read(tmp_path / "absent.meme")
    empty = write(tmp_path, "MEME version 4\n")
    with refuses(empty, "motifs"):
        meme.read(empty)
    empty.write_bytes(b"\n")
    with refuses(empty, "MEME", "empty"):
        meme.read(empty)
    binary = tmp_path / "binary.meme"
    binary.write_bytes(b"\xff\xfd\x00")
    with refuses(binary, "MEME", "UTF-8"):
        meme.read(binary)
    binary.write_bytes(TEXT.encode().replace(b"DRE", b"DR\xff"))
    with refuses(binary, "MEME", "UTF-8"):
        meme.read(binary)
