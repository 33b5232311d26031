"""Hits of motifs: the planted instances are found, with exact coefficients, coordinates and files."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import planted
import pytest
from command_line import Zoo, one_line
from refusals import refuses

import zoo as package
from zoo.dna.encoding import ONE_HOT, encode
from zoo.errors import CheckFailed
from zoo.experiments import motif_hits, sparse_fit
from zoo.explain import explanation, files
from zoo.explain.options import ExplainOptions
from zoo.formats import meme
from zoo.prediction.model import Model
from zoo.prediction.run import PredictionJob
from zoo.prediction.session import open_session
from zoo.weights import checkpoint

hits = package.experiments.hits

MATRICES = {name: ONE_HOT[encode([site])[0]].astype(float) for name, site in planted.MOTIFS.items()}


def texts(codes: np.ndarray) -> list[str]:
    return ["".join("ACGTN"[code] for code in row) for row in codes]


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with known.meme, small.safetensors, and `out`, the output of zoo explain for planted sequences."""
    folder = tmp_path_factory.mktemp("hits")
    meme.write(folder / "known.meme", meme.Motifs(tuple(meme.Motif(*one) for one in MATRICES.items())))
    checkpoint.save(planted.network(), folder / "small.safetensors")
    codes = planted.sequences(150, each=4, seed=1)
    codes[0, 3] = 4
    codes[1] = 0
    lines = [f">s{number}\n{text}\n" for number, text in enumerate(texts(codes))]
    (folder / "seqs.fa").write_text("".join(lines))
    (folder / "one.fa").write_text(lines[2])
    model = Model(open_session(planted.network(), "kmer-cpu"))
    for name, source, options in (
        ("out", "seqs.fa", ExplainOptions(shuffles=10, rows=0)),
        ("ism", "seqs.fa", ExplainOptions("ism", rows=0)),
        ("one", "one.fa", ExplainOptions("gradient", rows=0)),
    ):
        explanation.explain(model, PredictionJob(folder / source), folder / name, options)
    return folder


@pytest.mark.parametrize("method", ["out", "ism"])
def test_planted_instances_are_found_with_precision_and_recall_over_95(explained: Path, method: str) -> None:
    codes = encode([line for line in (explained / "seqs.fa").read_text().split() if line[0] != ">"])
    wanted = {(f"s{row}", motif, start + 1) for row, motif, start in planted.instances(codes)}
    found = hits(explained / method, explained / "known.meme")
    for target in planted.TARGETS:
        every = found.frame()[lambda table: table["target"] == target]  # noqa: B023 - used at once
        table = every[every["strand"] == "+"]
        called = set(zip(table["sequence"], table["motif"], table["start"], strict=True))
        assert len(called & wanted) / len(wanted) > 0.95
        assert len(called & wanted) / len(every) > 0.95
        assert (table["similarity"] >= 0.7).all()
        assert (table["site_score"] > 13).mean() > 0.9, "sites of 7 bases with 2 bits each"
    motifs = found.motifs.frame().set_index(["motif", "target"])
    assert motifs["precision"].min() > 0.9
    lowering = found.frame().query("motif == 'D' and target == 'plain'")
    assert (lowering["contribution"] < 0).mean() > 0.95, "a motif is found with either sign"


def test_the_fit_is_the_minimum_that_a_plain_descent_finds() -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, 5, (6, 24), np.uint8)
    matrices = [random.normal(size=(width, 4)) for width in (3, 5, 5)]
    known = sparse_fit.features(matrices)
    strength = 0.3
    contributions = random.normal(size=codes.shape)
    contributions[codes == 4] = 0
    found = sparse_fit.fit(contributions, codes, known, strength)
    count = 0
    for row in range(len(codes)):
        y = contributions[row] / np.sqrt(np.mean(contributions[row] ** 2))
        places = [(feature, start) for feature, one in enumerate(known) for start in range(25 - len(one.matrix))]
        design = np.zeros((len(places), 24))
        similarity = np.zeros(len(places))
        for number, (feature, start) in enumerate(places):
            matrix = known[feature].matrix
            part = slice(start, start + len(matrix))
            on_sequence = (matrix * ONE_HOT[codes[row, part]]).sum(1)
            design[number, part] = on_sequence / np.sqrt(1 + (y[part] ** 2).sum())
            similarity[number] = on_sequence @ y[part] / max(1e-9, np.sqrt((y[part] ** 2).sum()))
        step, expected = 1 / np.linalg.norm(design, 2) ** 2, np.zeros(len(places))
        for _ in range(5_000):
            expected = np.maximum(0, expected + step * (design @ (y - expected @ design) - strength))
        own = found.sequence == row
        called = dict(zip(zip(found.feature[own], found.start[own], strict=True), found.coefficient[own], strict=True))
        added = [design[places.index(place)] * coefficient for place, coefficient in called.items()]
        sizes = np.linalg.norm(added, axis=-1) * np.sqrt(np.mean(contributions[row] ** 2))
        np.testing.assert_allclose(found.strength[own], sizes, rtol=1e-9)
        for place, coefficient, similar in zip(places, expected, similarity, strict=True):
            if coefficient > 1e-3 and similar >= strength and known[place[0]].strand == "+":
                other = (place[0] + 1, place[1])  # of a motif on both strands, the larger one is kept
                assert max(called.get(place, 0), called.get(other, 0)) >= coefficient - 1e-3
                count += place in called
            if place in called:
                assert called[place] == pytest.approx(coefficient, abs=1e-3)
    assert count > 10


def test_a_palindrome_is_one_feature_and_motifs_longer_than_the_sequence_have_no_hits() -> None:
    assert [one.strand for one in sparse_fit.features([ONE_HOT[encode(["ACGT"])[0]]])] == ["+"]
    codes = np.zeros((2, 6), np.uint8)
    for values in (np.ones(codes.shape), np.zeros(codes.shape)):
        longer = sparse_fit.fit(values, codes, sparse_fit.features([np.eye(4)[[0] * 9]]), 0.7)
        assert not len(longer.start)
    assert not sparse_fit.features([np.zeros((5, 4))])


def test_q_counts_the_hits_by_chance_above_each() -> None:
    q = motif_hits._q(np.array([1.0, 5, 3, 4]), np.array([3.5, 0.5, 2, 2]), 2)
    # by rank: 1/1, 1/2, 1.5/3, 2.5/4
    np.testing.assert_allclose(q, [2.5 / 4, 0.5, 0.5, 0.5])
    assert motif_hits._q(np.empty(0), np.empty(0), 2).shape == (0,)


@pytest.mark.drawn
def test_the_command_reads_patterns_and_writes_what_the_function_gives(explained: Path, zoo: Zoo) -> None:
    folder = explained / "patterns"
    folder.mkdir()
    (folder / "motifs.json").write_text("{}")
    for target in planted.TARGETS:
        with h5py.File(folder / f"{target}.modisco.h5", "w") as file:
            for number, matrix in enumerate(MATRICES.values()):
                padded = np.pad(matrix, ((3, 3), (0, 0)))
                group = file.create_group(f"pos_patterns/pattern_{number}")
                group["contrib_scores"] = padded * 0.2 + 0.01
                group["sequence"] = np.where(padded.any(1, keepdims=True), padded, 0.25)
    output = explained / "found"
    words = ("hits", explained / "out", "--motifs", folder, "--targets", "helped", "-o", output)
    status, _, err = zoo(*words)
    assert status == 0, err
    found = hits(explained / "out", folder, targets=["helped"])
    rows = list(csv.DictReader((output / "hits.tsv").open(), delimiter="\t"))
    table = found.frame()
    assert [row["start"] for row in rows] == [str(start) for start in table["start"]]
    assert {row["motif"] for row in rows} == {f"pos_patterns.pattern_{number}" for number in (0, 1, 3)}
    np.testing.assert_array_equal([np.float32(row["q"]) for row in rows], table["q"])
    described = json.loads((output / "hits.json").read_text())
    assert (described["counts"]["hits"], len(described["rows"]), len(described["motifs"])) == (len(rows), len(rows), 4)
    assert described["motifs"][2]["precision"] is None, "C lowers this target, and its pattern raises it"
    bed = [line.split("\t") for line in (output / "hits.bed").read_text().splitlines()]
    assert len(bed) == len(rows)
    assert [bed[0][0], int(bed[0][1]) + 1, int(bed[0][2])] == [
        rows[0]["sequence"],
        *map(int, (rows[0]["start"], rows[0]["end"])),
    ]
    with np.load(output / "hits.npz") as arrays:
        np.testing.assert_array_equal(arrays["coefficient"], table["coefficient"])
    before = (output / "hits.npz").read_bytes()
    assert zoo(*words, "--overwrite")[0] == 0
    assert (output / "hits.npz").read_bytes() == before


def test_hits_in_intervals_have_the_coordinates_of_the_genome(explained: Path, tmp_path: Path, zoo: Zoo) -> None:
    random = np.random.default_rng(4)
    genome = random.integers(0, 4, 600, np.uint8)
    for start, site in ((100, "GATTACA"), (310, "TGTAATC"), (330, "CTTACGG"), (5, "CCGTAAG")):
        genome[start : start + 7] = encode([site])[0]
    text = texts(genome[None])[0]
    (tmp_path / "genome.fa").write_text(f">chr1\n{text}\n")
    lines = ["chr1\t60\t200\ta\t0\t+", "chr1\t280\t380\tb\t0\t-", "chr1\t290\t380\tc\t0\t-", "chr1\t0\t30\td\t0\t+"]
    lines[0] += "\t0\t0\t0\t30"  # a summit, which is not in the middle
    peaks = tmp_path / "peaks.narrowPeak"
    peaks.write_text(
        "".join(f"{line}\n" if number == 0 else f"{line}\t0\t0\t0\t-1\n" for number, line in enumerate(lines))
    )
    weights = ("--weights", explained / "small.safetensors", "--shuffles", 10, "--no-substitutions")
    given = ("--bed", peaks, "--genome", tmp_path / "genome.fa")
    assert zoo("explain", *given, *weights, "-o", tmp_path / "out")[0] == 0
    status, _, err = zoo(
        *("hits", tmp_path / "out", "--motifs", explained / "known.meme", "--targets", "plain"),
        "-o",
        tmp_path / "found",
    )
    assert status == 0, err
    bed = [line.split("\t") for line in (tmp_path / "found" / "hits.bed").read_text().splitlines()]
    assert [(one[1], one[2], one[3], one[5]) for one in bed] == [
        ("5", "12", "B", "+"), ("100", "107", "A", "+"), ("310", "317", "A", "-"), ("330", "337", "B", "-"),
    ]  # fmt: skip
    with h5py.File(tmp_path / "out" / files.CONTRIBUTIONS, "a") as file:
        del file[files.WINDOWS]
    with refuses("zoo explain"):
        files.read(tmp_path / "out").windows()


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (("seqs.fa",), ("seqs.fa", "zoo explain")),
        (("out",), ("zoo motifs", "--motifs")),
        (("out", "--motifs", "none.meme"), ("none.meme", "MEME")),
        (("out", "--motifs", "seqs.fa"), ("seqs.fa", "MEME")),
        (("out", "--motifs", "known.meme", "--targets", "other"), ("other", "helped")),
        (("out", "--motifs", "known.meme", "--sparsity", "1"), ("sparsity", "1")),
    ],
)
def test_what_does_not_fit_is_one_line(
    explained: Path, zoo: Zoo, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], facts: tuple[str, ...]
) -> None:
    monkeypatch.chdir(explained)
    one_line(zoo, facts, "hits", *words, "-o", "bad")
    assert not (explained / "bad").exists()


def test_contributions_that_are_not_finite_are_refused(explained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "nan"
    shutil.copytree(explained / "one", folder)
    np.savez(folder / "modisco.plain.hyp.npz", arr_0=np.full((1, 4, planted.LENGTH), np.nan, np.float32))
    with refuses("plain", "finite", kind=CheckFailed):
        hits(folder, explained / "known.meme", targets=["plain"])


def test_one_sequence_and_gradients_are_enough(explained: Path) -> None:
    found = hits(explained / "one", explained / "known.meme", targets=["plain"], sparsity=0.5)
    assert set(found.frame()["sequence"]) <= {"s2"}
    assert found.motifs.frame()["motif"].tolist() == list(MATRICES)
