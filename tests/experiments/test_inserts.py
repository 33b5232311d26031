"""Motifs as bases: names, sites, drawn letters, and where they are put."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checkpoints import random_codes
from refusals import refuses

from zoo.dna.encoding import encode
from zoo.experiments import inserts
from zoo.experiments.inserts import Motif, motifs, put
from zoo.experiments.options import InsertOptions
from zoo.motifs import known_motifs

LENGTH = 50


def texts(*names: str, known: Path | None = None) -> list[tuple[str, str]]:
    found = motifs(InsertOptions(names, known), LENGTH)
    return [(one.name, "".join("ACGTN"[base] for base in one.consensus)) for one in found]


def test_motifs_are_names_or_sites() -> None:
    assert texts("GATA", "tgastca", "mine=ACNT") == [("GATA", "AGATAA"), ("tgastca", "TGACTCA"), ("mine", "ACNT")]


def test_a_known_name_in_other_letters_is_no_site() -> None:
    with refuses("--motifs gata: ", "GATA", "NAME=gata"):
        texts("gata")
    assert texts("mine=gata") == [("mine", "GATA")]


def test_of_two_equal_bases_the_first_counts_whatever_the_rounding(tmp_path: Path) -> None:
    file = tmp_path / "known.meme"
    rows = "0.4999999 0 0.5000001 0\n0.25 0.25 0.25 0.25\n0 0.5 0 0.5\n"
    file.write_text(f"MEME version 4\n\nALPHABET= ACGT\n\nMOTIF one\nletter-probability matrix: w= 3\n{rows}")
    assert texts("one", known=file) == [("one", "ANC")]


def test_drawn_letters_have_the_probabilities() -> None:
    probabilities = np.array([[0.1, 0.2, 0.3, 0.4], [0.25] * 4, [0, 0, 1, 0]])
    motif = Motif("one", probabilities)
    options = InsertOptions(("one",), letters="drawn")
    drawn = motif.written(options, 4000, 1, 0)
    assert drawn.dtype == np.uint8
    for base in range(4):
        assert (drawn[:, 0] == base).mean() == pytest.approx(probabilities[0, base], abs=0.03)
    assert set(drawn[:, 1]) == {4}
    assert set(drawn[:, 2]) == {2}
    np.testing.assert_array_equal(drawn[:10], motif.written(options, 10, 1, 0))
    assert (drawn != motif.written(options, 4000, 1, 1)).any()
    assert (drawn != motif.written(options, 4000, 2, 0)).any()


def test_an_insert_replaces_its_bases_alone() -> None:
    codes = random_codes(3, LENGTH)
    site = encode(["ACNT"])[0]
    found = put(codes, site, [0, 20, LENGTH - 4])
    assert found.shape == (3, 3, LENGTH)
    for place, start in enumerate((0, 20, LENGTH - 4)):
        expected = codes.copy()
        expected[:, start : start + 2] = (0, 1)
        expected[:, start + 3] = 3
        np.testing.assert_array_equal(found[:, place], expected)


def test_an_insert_of_each_background() -> None:
    codes = random_codes(2, LENGTH)
    found = put(codes, encode(["AC", "GT"]), [7])[:, 0]
    assert found[:, 7:9].tolist() == [[0, 1], [2, 3]]


def test_motifs_that_cannot_be_inserted() -> None:
    for names, facts in (
        ((), ["--motifs", "GATA"]),
        (("GATTA!",), ["--motifs GATTA!", "IUPAC"]),
        (("=ACGT",), ["--motifs =ACGT"]),
        (("GATAA", "GATAA"), ["--motifs GATAA", "twice"]),
        (("A" * 51,), ["at most 50", "got 51"]),
        (("DRe",), ["DRe", "DRE"]),
    ):
        with refuses(*facts):
            motifs(InsertOptions(names), LENGTH)
    assert [one.name for one in motifs(InsertOptions(("GATA", "GATA")), LENGTH, repeated=True)] == ["GATA"] * 2
    with refuses("--motifs a", "twice"):
        motifs(InsertOptions(("a=TGA", "a=TTA")), LENGTH, repeated=True)
    everything = motifs(InsertOptions(), LENGTH, all_known=True)
    assert len(everything) == known_motifs.FILE.read_text().count("MOTIF ")


def test_the_middle_is_that_of_tangermeme() -> None:
    assert [inserts.middle(249, width) for width in (6, 7)] == [121, 121]
    assert [inserts.middle(50, width) for width in (6, 7)] == [22, 22]
