"""`zoo motifs`: what was planted is found, named, counted where it lies, and written in the formats of the field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from command_line import Zoo, one_line

from zoo.dna.encoding import ONE_HOT, encode
from zoo.errors import ZooError
from zoo.explain import explanation
from zoo.explain.options import ExplainOptions, MotifOptions
from zoo.formats import meme
from zoo.motifs import motifs, similarity
from zoo.prediction.model import Model
from zoo.prediction.run import PredictionJob
from zoo.prediction.session import Session
from zoo.spec import ModelSpec

pytest.importorskip("modiscolite")

LENGTH = 81

PLANTED = {"up": "TGACTCA", "down": "CACGTGGT"}
"""Target -> what its activity is made of: the first raises it, the second lowers it."""

SEQUENCES = 240


class Planted:
    """An engine whose activities are how often a word stands in a sequence, and which contributes where it stands."""

    def __init__(self) -> None:
        self.spec = ModelSpec("planted", {}, LENGTH, tuple(PLANTED), "1" * 64, "made here", "none")
        self.provider = "counting"
        self.batch_size = 1000
        self.concurrent_batches = 1

    def places(self, codes: np.ndarray, target: int) -> np.ndarray:
        """bool (N, L): where the word begins."""
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
    """Base codes; each of the first 200 has both words, the rest none."""
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
    explanation.explain(model, PredictionJob(folder / "seqs.fa"), folder / "out", ExplainOptions(shuffles=1, rows=0))
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
    assert motifs.findings(described)[-1].endswith(
        "known.meme: with 3 known motifs, p-values are rough; go by the similarity"
    )


def test_only_the_strongest_are_taken_and_none_of_the_others_is_hit(explained: Path) -> None:
    read = motifs.read(explained / "out")
    numbers, one_hot, hypothetical = read.arrays("up", 200)
    expected = np.argsort(-read.activities["up"], kind="stable")[:200]
    np.testing.assert_array_equal(numbers, np.sort(expected))
    np.testing.assert_array_equal(one_hot[:, :, :LENGTH].transpose(0, 2, 1), ONE_HOT[sequences()[numbers]])
    assert hypothetical.shape == (200, 4, LENGTH + 1)


def test_few_sequences_give_too_few_seqlets_and_what_to_do(zoo: Zoo, explained: Path) -> None:
    message = "up: 20 sequences gave"
    one_line(zoo, message, "motifs", explained / "out", "-o", explained / "none", "--strongest", 20, "--targets", "up")
    assert not (explained / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "none: expected a folder that zoo explain left; none/explain.json cannot be read (No such file"),
        (["."], ".: expected a folder that zoo explain left; explain.json cannot be read (No such file"),
        (["out", "--targets", "hk"], "targets: out explains up, down, got 'hk'"),
        (["out", "--known", "none.meme"], "none.meme: cannot be read (No such file or directory)"),
        (["out", "--known", "seqs.fa"], 'seqs.fa, line 1: expected "MEME version 4" or 5'),
        (["out", "--window", "-2"], "window: expected at least 1, got -2"),
        (["out", "--window", "400"], "up: window: expected at most 82 bases, got 400"),
        (
            ["out", "--window", "21"],
            "up: expected more than the 25 bases of a seqlet, got 20; lower --size and --flank",
        ),
        (["out", "-o", "known.meme"], "known.meme: expected a folder to write to, this is a file or a link"),
        (["out", "--seqlets", "0"], "seqlets: expected at least 1, got 0"),
        (["out", "-o", "out"], "out: holds an input of this command, out; give another name"),
        (["out", "-o", "."], ".: holds an input of this command, out; give another name"),
    ],
)
def test_bad_input_is_told(
    zoo: Zoo, explained: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(explained)
    one_line(zoo, message, "motifs", *arguments)
    assert not (explained / "out" / "motifs").exists()
    assert not list(explained.rglob(".*"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "modisco.ohe.npz").unlink(), "modisco.ohe.npz: no such file"),
        (lambda folder: (folder / "modisco.ohe.npz").write_bytes(b"PK"), "expected an npz file with an array arr_0"),
        (
            lambda folder: np.savez(folder / "modisco.up.hyp.npz", np.zeros((3, 4, 82))),
            "expected an array (240, 4, 82)",
        ),
        (
            lambda folder: (folder / "explain.json").write_text("{}"),
            "explain.json and summary.tsv are of another layout",
        ),
        (
            lambda folder: (folder / "summary.tsv").write_text("x\n"),
            "explain.json and summary.tsv are of another layout",
        ),
    ],
)
def test_a_folder_of_another_layout_is_told(explained: Path, tmp_path: Path, spoil: object, message: str) -> None:
    import shutil

    copied = Path(shutil.copytree(explained / "out", tmp_path / "out"))
    spoil(copied)  # type: ignore[operator]
    with pytest.raises(ZooError) as error:
        motifs.find(copied, tmp_path / "found", MotifOptions(targets=("up",)))
    assert message in str(error.value)
    assert not (tmp_path / "found").exists()


def test_similarity_is_a_correlation_over_places_and_strands() -> None:
    word = ONE_HOT[encode(["TGACTCA"])[0]].astype(float)
    longer = ONE_HOT[encode(["ATGAGTCATT"])[0]].astype(float)  # holds it on the other strand
    assert similarity.similarity(word, longer) == pytest.approx(1)
    assert similarity.similarity(longer, word) == pytest.approx(1)
    soft = 0.5 * word + 0.125
    other = ONE_HOT[encode(["TGACGCA"])[0]].astype(float)
    expected = np.corrcoef(soft.ravel(), other.ravel())[0, 1]
    assert similarity.similarity(soft, other) == pytest.approx(expected)
    assert similarity.similarity(np.full((5, 4), 0.25), word) == 0
