"""`zoo motifs`: planted motifs are found, named and located, and written in the formats of the field."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from command_line import Zoo, one_line
from refusals import refuses

from zoo.dna.encoding import ONE_HOT, encode
from zoo.dna.sites import IUPAC
from zoo.explain import explanation, files
from zoo.explain.options import ExplainOptions
from zoo.formats import meme
from zoo.motifs import known_motifs, motifs, patterns
from zoo.motifs.options import MotifOptions
from zoo.prediction.model import Model
from zoo.prediction.run import PredictionJob
from zoo.prediction.session import Session
from zoo.spec import ModelSpec

pytest.importorskip("modiscolite")

LENGTH = 81

PLANTED = {"up": "TGACTCA", "down": "CACGTGGT"}
"""Target -> the word that its activity counts: the first raises it, the second lowers it."""

SEQUENCES = 240


class Planted:
    """An engine whose activity is the number of occurrences of a word, with contributions where the word occurs."""

    def __init__(self) -> None:
        self.spec = ModelSpec("planted", {}, LENGTH, tuple(PLANTED), "1" * 64, "made here", "none")
        self.provider = "counting"
        self.batch_size = 1000
        self.concurrent_batches = 1

    def places(self, codes: np.ndarray, target: int) -> np.ndarray:
        """Positions where the word begins, bool (N, L)."""
        word = encode([list(PLANTED.values())[target]])[0]
        windows = np.lib.stride_tricks.sliding_window_view(codes, len(word), axis=1)
        found = (windows == word).all(2)
        return np.pad(found, ((0, 0), (0, LENGTH - found.shape[1])))

    def run(self, codes: np.ndarray) -> np.ndarray:
        up, down = (self.places(codes, target).sum(1) for target in range(2))
        return np.stack([up, -down], 1).astype(np.float32)

    def contributions(self, codes: np.ndarray, references: np.ndarray, target: int) -> np.ndarray:  # noqa: ARG002
        word = list(PLANTED.values())[target]
        out = np.random.default_rng(0).normal(0, 0.01, (len(codes), LENGTH, 4))
        for row, start in np.argwhere(self.places(codes, target)):
            out[row, start : start + len(word)] += (1 if target == 0 else -1) * (ONE_HOT[encode([word])[0]] - 0.25)
        return out.astype(np.float32)


def sequences() -> np.ndarray:
    """Base codes; the first 200 sequences have both words, the others neither."""
    random = np.random.default_rng(2)
    codes = random.integers(0, 4, (SEQUENCES, LENGTH), np.uint8)
    for row in codes[:200]:
        for number, word in enumerate(PLANTED.values()):
            start = int(random.integers(12 + 35 * number, 25 + 35 * number))
            row[start : start + len(word)] = encode([word])[0]
    return codes


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("motifs")
    lines = (f">s{number}\n{''.join('ACGT'[code] for code in row)}\n" for number, row in enumerate(sequences()))
    (folder / "seqs.fa").write_text("".join(lines))
    model = Model(Session(Planted(), "planted"))
    explanation.explain(
        model, PredictionJob(folder / "seqs.fa"), folder / "out", ExplainOptions(shuffles=1, rows=0, force=True)
    )
    known = [
        meme.Motif("AP1", ONE_HOT[encode(["TGACTCA"])[0]].astype(float)),
        meme.Motif("MYC", ONE_HOT[encode(["ACCACGTG"])[0]].astype(float), "E-box"),
        meme.Motif("TATA", ONE_HOT[encode(["TATAAAA"])[0]].astype(float)),
    ]
    meme.write(folder / "known.meme", meme.Motifs(tuple(known)))
    return folder


@pytest.fixture(scope="module")
def found(explained: Path) -> Iterator[Path]:
    motifs.check(explained / "out", explained / "found", explained / "known.meme", overwrite=False)
    motifs.find(explained / "out", explained / "found", MotifOptions(strongest=None), explained / "known.meme")
    return explained / "found"


def rows(path: Path) -> list[dict[str, str]]:
    header, *lines = (line.split("\t") for line in path.read_text().splitlines())
    return [dict(zip(header, line, strict=True)) for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "group", "like"), [("up", "pos_patterns", "AP1"), ("down", "neg_patterns", "MYC E-box")]
)
def test_what_was_planted_is_found_and_named(found: Path, target: str, group: str, like: str) -> None:
    first = rows(found / f"{target}.patterns.tsv")[0]
    assert first["pattern"] == f"{group}.pattern_0"
    word = PLANTED[target]
    turned = word.translate(str.maketrans("ACGT", "TGCA"))[::-1]
    assert word in first["consensus"] or turned in first["consensus"]
    assert first["like"] == like
    assert float(first["similarity"]) > 0.95
    assert int(first["seqlets"]) >= 30


def test_hits_lie_where_the_word_was_planted(found: Path) -> None:
    codes = sequences()
    engine = Planted()
    every = rows(found / "up.hits.tsv")
    starts = engine.places(codes, 0)
    inside = 0
    for hit in every:
        row = int(hit["name"].removeprefix("s"))
        place = starts[row, int(hit["start"]) - 1 : int(hit["end"])]
        inside += bool(place.any())
    assert inside == len(every) >= 30
    order = [(int(hit["name"][1:]), int(hit["start"])) for hit in every]
    assert order == sorted(order)


def test_the_file_of_modisco_counts_sequences_as_the_folder_does(found: Path) -> None:
    starts = Planted().places(sequences(), 0)
    with h5py.File(found / "up.modisco.h5") as file:
        seqlets = file["pos_patterns/pattern_0/seqlets"]
        for row, start, end in zip(*(seqlets[name][:] for name in ("example_idx", "start", "end")), strict=True):
            assert starts[row, start:end].any()


def test_the_meme_file_is_read_by_others_and_holds_the_cores(found: Path) -> None:
    from memelite.io import read_meme

    theirs = read_meme(str(found / "up.meme"))
    ours = meme.read(found / "up.meme").motifs
    first = rows(found / "up.patterns.tsv")[0]
    assert ours[0].name == first["pattern"]
    assert ours[0].alternative == first["consensus"]
    np.testing.assert_allclose(next(iter(theirs.values())).T, ours[0].probabilities, atol=1e-5)


def test_the_page_and_the_logos_are_there(found: Path) -> None:
    page = (found / "motifs.html").read_text()
    assert page.count('<img src="data:image/svg+xml;base64,') == sum(
        len(rows(found / f"{target}.patterns.tsv")) for target in PLANTED
    )
    assert "MYC E-box" in page
    assert (found / "logos" / "up.pos_patterns.pattern_0.png").read_bytes().startswith(b"\x89PNG")
    described = json.loads((found / "motifs.json").read_text())
    assert described["targets"]["up"]["sequences"] == SEQUENCES
    assert described["known"]["motifs"] == 3
    last = motifs.findings(described)[-1]
    assert all(fact in last for fact in ("known.meme", "3 known motifs", "p-values", "similarity"))


def test_only_the_strongest_are_taken_and_none_of_the_others_is_hit(explained: Path) -> None:
    read = files.read(explained / "out")
    numbers, one_hot, hypothetical = read.arrays("up", 200)
    expected = np.argsort(-read.activities["up"], kind="stable")[:200]
    np.testing.assert_array_equal(numbers, np.sort(expected))
    np.testing.assert_array_equal(one_hot[:, :, :LENGTH].transpose(0, 2, 1), ONE_HOT[sequences()[numbers]])
    assert hypothetical.shape == (200, 4, LENGTH + 1)


def test_few_sequences_give_too_few_seqlets_and_what_to_do(zoo: Zoo, explained: Path) -> None:
    words = ("motifs", explained / "out", "-o", explained / "none", "--strongest", 20, "--targets", "up")
    one_line(zoo, ["up: 20 sequences", f"{patterns.LEAST_SEQLETS} seqlets"], *words)
    assert not (explained / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["none"], ["none: ", "zoo explain", "none/explain.json", "No such file"]),
        (["."], [".: ", "zoo explain", "explain.json", "No such file"]),
        (["out", "--targets", "hk"], ["targets: ", "up, down", "'hk'"]),
        (["out", "--known", "none.meme"], ["none.meme: "]),
        (["out", "--known", "seqs.fa"], ["seqs.fa: ", "MEME", "FASTA"]),
        (["out", "--window", "-2"], ["window: ", "1", "-2"]),
        (["out", "--window", "400"], ["up: window: ", "82", "400"]),
        (["out", "--window", "21"], ["up: ", "25 bases", "20", "--size", "--flank"]),
        (["out", "-o", "known.meme"], ["known.meme: ", "folder", "file"]),
        (["out", "--seqlets", "0"], ["seqlets: ", "1", "got 0"]),
        (["out", "-o", "out"], ["out: ", "input", "out;"]),
        (["out", "-o", "."], [".: ", "input", "out;"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    zoo: Zoo, explained: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], facts: list[str]
) -> None:
    monkeypatch.chdir(explained)
    one_line(zoo, facts, "motifs", *arguments)
    assert not (explained / "out" / "motifs").exists()
    assert not list(explained.rglob(".*"))


@pytest.mark.parametrize(
    ("spoil", "facts"),
    [
        (lambda folder: (folder / "modisco.ohe.npz").unlink(), ["modisco.ohe.npz: "]),
        (lambda folder: (folder / "modisco.ohe.npz").write_bytes(b"PK"), ["modisco.ohe.npz: ", "npz", "arr_0"]),
        (
            lambda folder: np.savez(folder / "modisco.up.hyp.npz", np.zeros((3, 4, 82))),
            ["modisco.up.hyp.npz: ", (240, 4, 82), (3, 4, 82)],
        ),
        (lambda folder: (folder / "explain.json").write_text("{}"), ["out: ", "explain.json", "summary.tsv"]),
        (lambda folder: (folder / "summary.tsv").write_text("x\n"), ["out: ", "explain.json", "summary.tsv"]),
    ],
)
def test_a_folder_of_another_layout_is_refused(
    explained: Path, tmp_path: Path, spoil: Callable[[Path], object], facts: list[object]
) -> None:
    copied = Path(shutil.copytree(explained / "out", tmp_path / "out"))
    spoil(copied)
    with refuses(*facts):
        motifs.find(copied, tmp_path / "found", MotifOptions(targets=("up",)))
    assert not (tmp_path / "found").exists()


def test_similarity_is_a_correlation_over_places_and_strands() -> None:
    word = ONE_HOT[encode(["TGACTCA"])[0]].astype(float)
    longer = ONE_HOT[encode(["ATGAGTCATT"])[0]].astype(float)  # holds it on the other strand
    assert patterns.similarity(word, longer) == pytest.approx(1)
    assert patterns.similarity(longer, word) == pytest.approx(1)
    soft = 0.5 * word + 0.125
    other = ONE_HOT[encode(["TGACGCA"])[0]].astype(float)
    expected = np.corrcoef(soft.ravel(), other.ravel())[0, 1]
    assert patterns.similarity(soft, other) == pytest.approx(expected)
    assert patterns.similarity(np.full((5, 4), 0.25), word) == 0


def test_the_bundled_motifs_are_made_from_their_consensus(tmp_path: Path) -> None:
    known_motifs.write(tmp_path / "known.meme")
    assert (tmp_path / "known.meme").read_bytes() == known_motifs.FILE.read_bytes()
    found = meme.read(known_motifs.FILE).motifs
    assert len(found) >= patterns.FEW_MOTIFS
    for motif in found:
        assert known_motifs.CONSENSUS[motif.name] == motif.alternative
        for row, letter in zip(motif.probabilities, motif.alternative, strict=True):
            assert {"ACGT"[place] for place in np.flatnonzero(row > 0.2)} == set(IUPAC[letter])


def test_patterns_are_named_by_default(zoo: Zoo, explained: Path, tmp_path: Path) -> None:
    status, _, err = zoo("motifs", explained / "out", "--targets", "up", "-o", tmp_path / "named")
    assert status == 0
    assert "AP-1" in err
    assert "p-values" not in err
    rows = (tmp_path / "named" / "up.patterns.tsv").read_text().splitlines()
    assert rows[1].split("\t")[3] == "AP-1 TGASTCA"
    assert json.loads((tmp_path / "named" / "motifs.json").read_text())["known"]["file"] == "bundled"
    page = (tmp_path / "named" / "motifs.html").read_text()
    for fact in ("weights 111111111111", "made here", "deeplift", "28 known motifs", 'href="up.hits.tsv"'):
        assert fact in page
    hits = [line.split("\t") for line in (tmp_path / "named" / "up.hits.tsv").read_text().splitlines()[1:]]
    for name, start, end, strand, *_ in hits[:: len(hits) // 20]:
        assert f"<td>{name}</td><td class=number>{start}</td><td class=number>{end}</td><td>{strand}</td>" in page


def test_none_compares_with_no_motifs(zoo: Zoo, explained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = []
    monkeypatch.setattr(motifs, "find", lambda *rest: given.append(rest) or {"targets": {}, "known": None})
    assert zoo("motifs", explained / "out", "--known", "none", "-o", explained / "plain")[0] == 0
    assert given[0][3] is None
