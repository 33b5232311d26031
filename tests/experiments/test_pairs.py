"""`zoo pairs`: exactly the pair that interacts is found, and means over distances are those of `spacing`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import planted
import pytest
from command_line import Zoo
from refusals import refuses

from zoo.experiments import pairs, spacing
from zoo.formats import meme
from zoo.motifs import known_motifs
from zoo.prediction.model import Model
from zoo.weights import checkpoint

NAMED = [f"{name}={site}" for name, site in planted.MOTIFS.items()]


def test_exactly_the_planted_pair_is_found(known: Model) -> None:
    frame = pairs(known, NAMED, distances=[5, 10, 20], backgrounds=100).frame()
    assert list(zip(frame["first"], frame["second"], strict=True)) == [(a, b) for a in "ABCD" for b in "ABCD"]
    for row in frame.itertuples():
        interact = {row.first, row.second} == {"A", "B"}
        assert (row.helped_cooperativity_q < 0.05) == interact, row
        assert row.helped_cooperativity == pytest.approx(float(interact), abs=0.05)
        assert row.plain_cooperativity_q >= 0.05
        assert row.plain_cooperativity == pytest.approx(0, abs=1e-5)
    far = pairs(known, NAMED[:2], distances=[35, 45], backgrounds=100).frame()
    assert (far["helped_cooperativity_q"] >= 0.05).all()


def test_a_pair_is_the_mean_of_its_distances_and_orientations(small: Model) -> None:
    options = {"distances": [2, 9], "orientations": "all", "backgrounds": 66, "targets": ["c", "a"]}
    found = pairs(small, ["GATA", "x=TGACTCA"], expectation="additive", **options)
    frame = found.frame()
    assert list(frame.columns[2:]) == [*dict.fromkeys(frame.columns[2:])]
    for number, (first, second) in enumerate(zip(frame["first"], frame["second"], strict=True)):
        named = [{"x": "x=TGACTCA"}.get(name, name) for name in (first, second)]
        one = spacing(small, named, order="given", expectation="additive", **options)
        np.testing.assert_allclose(found.effects[:, number], one.effects.mean(1), atol=1e-6)
    assert "c_additive_cooperativity_q" in frame
    assert "c_cooperativity_q" not in frame


def test_without_motifs_all_of_the_file(known: Model) -> None:
    everything = [one.name for one in meme.read(known_motifs.FILE).motifs]
    frame = pairs(known, distances=[10], backgrounds=2).frame()
    assert frame["first"].drop_duplicates().tolist() == everything
    assert len(frame) == len(everything) ** 2
    with refuses("--motifs GATA", "twice"):
        pairs(known, ["GATA", "GATA"])


def test_all_pairs_have_the_same_distances(small: Model) -> None:
    words = ["AC", "GTGTGTGTGT", "TGTGTG"]
    options = {"backgrounds": 3, "orientations": "given"}
    found = pairs(small, words, **options).effects
    for number, (first, second) in enumerate((a, b) for a in words for b in words):
        one = spacing(small, [first, second], distances=[10], order="given", **options)
        np.testing.assert_allclose(found[:, number], one.effects[:, 0], atol=1e-6)
    with refuses("--distances", "A" * 13, "up to 7"):
        pairs(small, ["A" * 13, "AC"], **options)
    with refuses("--distances 5-20", "GTGTGTGTGT (10 bases)"):
        pairs(small, words, distances=["5-20"], **options)


@pytest.mark.drawn
def test_the_command_writes_its_files(zoo: Zoo, tmp_path: Path) -> None:
    checkpoint.save(planted.network(), tmp_path / "planted.safetensors")
    (tmp_path / "known.meme").write_text(
        "MEME version 4\n\nALPHABET= ACGT\n\nMOTIF one\nletter-probability matrix: w= 3\n"
        + "0.9 0.1 0 0\n0 1 0 0\n0 0 1 0\n\nMOTIF two\nletter-probability matrix: w= 2\n1 0 0 0\n0 0 0 1\n"
    )
    status, out, err = zoo(
        "pairs", "--known", tmp_path / "known.meme", "--weights", tmp_path / "planted.safetensors", "--runtime",
        "kmer-cpu", "--backgrounds", 3, "--distances", "4", "-o", tmp_path / "pairs",
    )  # fmt: skip
    assert (status, out) == (0, ""), err
    names = {path.name for path in (tmp_path / "pairs").iterdir()}
    assert names == {"pairs.tsv", "pairs.npz", "pairs.json", "pairs.png"}
    lines = (tmp_path / "pairs" / "pairs.tsv").read_text().splitlines()
    assert [line.split("\t")[:2] for line in lines[1:]] == [[a, b] for a in ("one", "two") for b in ("one", "two")]
    assert (tmp_path / "pairs" / "pairs.png").read_bytes().startswith(b"\x89PNG")
