"""`zoo explain --clusters`: a planted split is found and named, whatever the heights; without a split there is none."""

from __future__ import annotations

import csv
import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import Zoo, one_line
from pictures import undrawn  # noqa: F401
from refusals import refuses
from scipy import stats

from zoo.dna.encoding import ONE_HOT, encode
from zoo.explain import explanation
from zoo.explain.options import ExplainOptions
from zoo.formats import meme
from zoo.motifs import clustering, clusters, clusters_figure, clusters_page, comparison, features, known_motifs, matches
from zoo.motifs.features import Feature, Features
from zoo.prediction.model import Model
from zoo.prediction.run import PredictionJob
from zoo.prediction.session import Session
from zoo.spec import ModelSpec

pytest.importorskip("sklearn")

LENGTH, SEQUENCES = 81, 60

WORDS = ("TGACTCA", "ACCGGAAGT")
"""AP-1 and ETS. A sequence has one of the two, on either strand, and the same activity with both."""

KNOWN = {one.name: one.probabilities for one in meme.read(known_motifs.FILE).motifs}


class Either:
    """An engine whose activity is the number of occurrences of WORDS on both strands, times the height of a sequence:
    1, or 3 if it begins with A. Contributions lie on the words."""

    def __init__(self) -> None:
        self.spec = ModelSpec("either", {}, LENGTH, ("up",), "1" * 64, "made here", "none")
        self.provider, self.batch_size, self.concurrent_batches = "counting", 1000, 1

    def places(self, codes: np.ndarray) -> list[tuple[int, int, np.ndarray]]:
        """Row and first position of each word, and the word as it stands there."""
        found = []
        for word in (one for text in WORDS for one in (encode([text])[0], 3 - encode([text])[0][::-1])):
            windows = np.lib.stride_tricks.sliding_window_view(codes, len(word), axis=1)
            found += [(row, start, word) for row, start in np.argwhere((windows == word).all(2))]
        return found

    def run(self, codes: np.ndarray) -> np.ndarray:
        return self.contributions(codes, codes, 0, 0).clip(0).sum((1, 2))[:, None].astype(np.float32)

    def contributions(self, codes: np.ndarray, references: np.ndarray, target: int, noise: float = 0.01) -> np.ndarray:  # noqa: ARG002
        out = np.random.default_rng(0).normal(0, noise, (len(codes), LENGTH, 4))
        for row, start, word in self.places(codes):
            height = 3 if codes[row, 0] == 0 else 1
            out[row, start : start + len(word)] += height * (ONE_HOT[word] - 0.25) / len(word)
        return out.astype(np.float32)


def planted() -> tuple[np.ndarray, np.ndarray]:
    """Base codes, and the number of the word in each sequence. A strong sequence is as likely with either word."""
    random = np.random.default_rng(3)
    codes = random.integers(0, 4, (SEQUENCES, LENGTH), np.uint8)
    which = np.arange(SEQUENCES) % 2
    codes[:, 0] = np.where(np.arange(SEQUENCES) % 4 < 2, 0, 1)
    for row, number in zip(codes, which, strict=True):
        word = encode([WORDS[number]])[0]
        start = int(random.integers(1, LENGTH - len(word)))
        row[start : start + len(word)] = word if random.random() < 0.5 else 3 - word[::-1]
    return codes, which


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Fewer numbers of clusters, samples and clouds than users have."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {"MOST_CLUSTERS": 3, "BOOTSTRAPS": 6, "CLOUDS": 19, "STARTS": 3}.items():
            patched.setattr(clustering, name, value)
        yield


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder of zoo explain for the planted sequences, and their FASTA file."""
    folder = tmp_path_factory.mktemp("clusters")
    codes, which = planted()
    rows = zip(codes, which, strict=True)
    lines = (f">s{row}_{number}\n{''.join('ACGT'[code] for code in one)}\n" for row, (one, number) in enumerate(rows))
    (folder / "seqs.fa").write_text("".join(lines))
    options = ExplainOptions(shuffles=1, rows=0, force=True)
    explanation.explain(Model(Session(Either(), "either")), PredictionJob(folder / "seqs.fa"), folder / "out", options)
    return folder / "out"


@pytest.fixture(scope="module")
def found(explained: Path) -> Path:
    clusters.find(explained, explained.parent / "found")
    return explained.parent / "found"


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figure at all."""
    monkeypatch.setattr(clusters_figure, "draw", lambda _: None)


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines(), delimiter="\t"))


def test_a_planted_split_is_found_and_named(found: Path) -> None:
    from sklearn.metrics import adjusted_rand_score

    rows = table(found / "clusters.tsv")
    labels = [row["cluster"] for row in rows]
    which = [row["name"].split("_")[1] for row in rows]
    assert adjusted_rand_score(labels, which) > 0.95
    described = json.loads((found / "clusters.json").read_text())
    assert described["chosen"]["clusters"] == 2
    first = {row["cluster"]: row for row in reversed(table(found / "cluster_motifs.tsv"))}
    for number, name in (("0", "AP-1"), ("1", "ETS")):
        row = first[labels[which.index(number)]]
        assert row["name"].startswith(name)
        assert row["distinguishes"] == "True"
        assert (float(row["used"]), float(row["used_elsewhere"])) == (1, 0)
        assert float(row["low"]) < float(row["difference"]) < float(row["high"])
        assert float(row["q"]) < 1e-6


def test_strong_and_weak_sequences_are_in_one_cluster(found: Path) -> None:
    rows = table(found / "clusters.tsv")
    heights = {cluster: [float(row["up"]) > 1.5 for row in rows if row["cluster"] == cluster] for cluster in "12"}
    assert all(any(of_cluster) and not all(of_cluster) for of_cluster in heights.values())
    assert json.loads((found / "clusters.json").read_text())["variance_explained"]["up"] < 0.1


def test_all_files_have_the_same_numbers(found: Path) -> None:
    described = json.loads((found / "clusters.json").read_text())
    rows, motifs = table(found / "clusters.tsv"), table(found / "cluster_motifs.tsv")
    stored = [row for one in described["clusters"] for row in one["motifs"]]
    for text, row in zip(motifs, stored, strict=True):
        for name, value in row.items():
            expected = f"{value:.5g}" if isinstance(value, float) else str(value)
            assert text[name] == expected
    with np.load(found / "clusters.npz") as arrays:
        assert [str(one) for one in arrays["labels"]] == [row["cluster"] for row in rows]
        assert arrays["features"].shape == (SEQUENCES, len(arrays["names"]))
        distances = arrays["distances"][np.arange(SEQUENCES), arrays["labels"] - 1]
        np.testing.assert_allclose(distances, [float(row["distance"]) for row in rows], rtol=1e-4)
    assert [one["sequences"] for one in described["clusters"]] == [SEQUENCES // 2] * 2
    page = (found / "clusters.html").read_text()
    for fact in (clusters_page.headline(described), "Cluster 2: 30 sequences", "AP-1 TGASTCA", "28 known motifs"):
        assert fact in page
    assert page.count("<img") == 1
    assert "{{" not in page
    assert {path.suffix for path in found.glob("clusters.*")} >= {".png", ".svg", ".pdf"}


@pytest.mark.drawn
def test_the_figure_shows_every_cluster_its_predictions_and_its_motifs() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, -1], [6, 3, 1])
    values = random.normal(0, 0.05, (10, 3)) + np.eye(3)[labels]
    made = Features(
        (Feature("up", "AP-1 TGASTCA", True), Feature("up", "GATTAC", False), Feature("up", "none", True)),
        *(values, values > 0, values > 0.5),
    )
    axes = np.eye(2, 3)
    found = clustering.Clusters(labels, np.zeros((10, 2)), values[:, :2], axes, np.array([0.6, 0.3]), (), None)
    rows = comparison.differences(made, labels, 2)
    figure = clusters_figure.draw(clusters_figure.Content(found, made.features, rows, {"up": values[:, 0]}, "log2"))
    points, boxes, bars = figure.axes
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["cluster 1, n = 6", "cluster 2, n = 3"]
    assert {"AP-1", "GATTAC"} <= {text.get_text() for text in points.texts}
    assert len(boxes.patches) == 2
    assert [one.get_text() for one in bars.get_yticklabels()][:2] == ["AP-1", "GATTAC"]
    widths = [bar.get_width() for bar in bars.patches]
    assert widths[0] == pytest.approx(values[labels == 0, 0].mean())


@pytest.mark.usefixtures("plain")
def test_words_name_what_no_known_motif_explains(zoo: Zoo, explained: Path, tmp_path: Path) -> None:
    status, _, err = zoo("explain", explained, "--clusters", 2, "--known", "none", "-o", tmp_path / "words")
    assert status == 0
    first = {row["cluster"]: row for row in reversed(table(tmp_path / "words" / "cluster_motifs.tsv"))}
    either = {one for word in WORDS for one in (word, word.translate(str.maketrans("ACGT", "TGCA"))[::-1])}
    for row in first.values():
        assert row["kind"] == "word"
        assert any(row["name"] in word for word in either)
        assert row["name"] in err


def test_shuffled_contributions_are_one_cluster() -> None:
    codes, _ = planted()
    scores = Either().contributions(codes, codes, 0)
    shuffled = np.random.default_rng(1).permuted(scores, axis=1)
    made = features.of(codes, {"up": shuffled}, KNOWN)
    one = clustering.find(made.values)
    assert one.tried
    assert one.chosen is None
    assert set(one.labels) <= {0, -1}
    rows = comparison.differences(made, one.labels, one.number)
    assert {(row.q, row.difference) for row in rows} == {(None, None)}


def test_one_motif_of_all_heights_and_a_continuum_are_one_cluster() -> None:
    random = np.random.default_rng(0)
    noise = random.normal(0, 0.05, (100, 12))
    heights = noise.copy()
    heights[:, 0] += random.choice([1.0, 4.0], 100)
    gradual = noise.copy()
    share = random.random(100)
    gradual[:, 0] += share
    gradual[:, 1] += 1 - share
    for values in (heights, gradual):
        assert clustering.find(values).chosen is None


def test_a_motif_in_half_of_the_sequences_makes_two_clusters() -> None:
    random = np.random.default_rng(0)
    values = random.normal(0, 0.05, (80, 12))
    values[:, 0] += 1
    values[:50, 1] += 1
    values[79] = 0
    two = clustering.find(values)
    assert two.chosen
    assert two.chosen.accepted
    np.testing.assert_array_equal(two.labels, np.repeat([0, 1, -1], [50, 29, 1]))
    np.testing.assert_array_equal(clustering.find(values, seed=0).distances, two.distances)
    assert clustering.find(values, wanted=1).number == 1
    with refuses("clusters: ", "80", "79"):
        clustering.find(values, wanted=80)
    with refuses("clusters: ", "2", "different", "1"):
        clustering.find(np.ones((30, 3)), wanted=2)
    assert clustering.find(np.ones((30, 3))).tried == ()


@pytest.mark.parametrize("consensus", ["WGATA", "NCCAN", "CA"])
def test_the_threshold_is_exact(consensus: str) -> None:
    from zoo.dna import sites

    scores = matches.scores(sites.probabilities(consensus, 0.97))
    every = [
        sum(row[base] for row, base in zip(scores, word, strict=True))
        for word in itertools.product(range(4), repeat=len(scores))
    ]
    share = {score: sum(one >= score for one in every) / len(every) for score in set(every)}
    expected = min((score for score in share if share[score] <= matches.RARE), default=max(every))
    assert matches.threshold(scores) == expected


def test_matches_are_on_both_strands_and_an_n_matches_nothing() -> None:
    codes = encode(["CCTGACTCACC", "CCTATCACTTT", "NNTGNCTCANN", "AATGAGTCAAA"])
    found = matches.find(codes, [KNOWN["AP-1"], KNOWN["GATA"], np.full((40, 4), 0.25)])
    rows = zip(found.sequence.tolist(), found.start.tolist(), found.motif.tolist(), found.reverse.tolist(), strict=True)
    assert {(row, start, motif) for row, start, motif, _ in rows} == {(0, 2, 0), (3, 2, 0), (1, 1, 1)}
    assert found.reverse[found.motif == 1].tolist() == [True]
    for width in range(1, 25):
        assert not len(matches.find(encode(["N" * 30]), [np.tile([1.0, 0, 0, 0], (width, 1))]))


def test_features_have_no_position_and_no_strand() -> None:
    codes, _ = planted()
    scores = Either().contributions(codes, codes, 0)
    made = features.of(codes, {"up": scores}, KNOWN)
    turned = features.of(3 - codes[:, ::-1], {"up": scores[:, ::-1, ::-1]}, KNOWN)
    moved = features.of(np.roll(codes, 1, 0), {"up": np.roll(scores, 1, 0)}, KNOWN)
    assert {one.name for one in turned.features} == {one.name for one in made.features}
    motifs = len(KNOWN)
    np.testing.assert_allclose(turned.values[:, :motifs], made.values[:, :motifs], atol=1e-6)
    np.testing.assert_allclose(np.roll(moved.values, -1, 0)[:, :motifs], made.values[:, :motifs], atol=1e-12)


def test_each_base_counts_once_and_an_ignored_motif_not_at_all() -> None:
    codes, _ = planted()
    scores = Either().contributions(codes, codes, 0, 0)
    made = features.of(codes, {"up": scores}, KNOWN)
    contributions = (scores * ONE_HOT[codes]).sum((1, 2))
    assert (made.values.sum(1) <= contributions + 1e-6).all()
    np.testing.assert_allclose(made.values.sum(1), contributions, rtol=0.3)
    ignored = features.of(codes, {"up": np.zeros_like(scores)}, KNOWN)
    assert ignored.present[:, : len(KNOWN)].any()
    assert not ignored.used.any()
    assert not ignored.values.any()


def test_differences_are_those_of_scipy() -> None:
    random = np.random.default_rng(0)
    values = random.normal(0, 1, (40, 2))
    values[:15, 0] += 2
    labels = np.repeat([0, 1, -1], [15, 24, 1])
    made = Features((Feature("up", "a", True), Feature("up", "b", True)), values, values > 0, values > 1)
    rows = comparison.differences(made, labels, 2)
    one = next(row for row in rows if row.cluster == 0 and row.feature.name == "a")
    inside, outside = values[:15, 0], values[15:39, 0]
    welch = stats.ttest_ind(inside, outside, equal_var=False).confidence_interval()
    assert (one.low, one.high) == pytest.approx((welch.low, welch.high))
    assert one.difference == pytest.approx(inside.mean() - outside.mean())
    assert one.p == pytest.approx(stats.mannwhitneyu(inside, outside, method="asymptotic").pvalue)
    q = stats.false_discovery_control([row.p for row in rows])
    assert [row.q for row in rows] == pytest.approx(list(q))
    assert (one.present, one.used_elsewhere) == ((inside > 0).mean(), (outside > 1).mean())
    interval = comparison.mean(inside)
    low, high = stats.t.interval(0.95, 14, inside.mean(), stats.sem(inside))
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert comparison.variance_explained(np.array([1.0, 1, 3, 3]), np.array([0, 0, 1, 1])) == 1
    assert math.isclose(comparison.variance_explained(np.array([1.0, 3, 1, 3]), np.array([0, 0, 1, 1])), 0)


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["out", "--clusters", "61"], ["clusters: ", "32", "61"]),
        (["out", "--clusters=2.5"], ["--clusters", "2.5"]),
        (["out", "--clusters", "--targets", "hk"], ["targets: ", "up", "'hk'"]),
        (["out", "--clusters", "--shuffles", "3"], ["out: ", "--targets", "--seed"]),
        (["out", "--clusters", "--known", "none.meme"], ["none.meme: "]),
        (["out", "--known", "none"], ["--known: ", "--clusters"]),
        (["--clusters", "."], [".: ", "zoo explain", "explain.json"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    zoo: Zoo, explained: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], facts: list[str]
) -> None:
    monkeypatch.chdir(explained.parent)
    one_line(zoo, facts, "explain", *arguments, "-o", "none")
    assert not Path("none").exists()


@pytest.mark.usefixtures("plain")
def test_clusters_lie_in_the_folder_and_are_replaced_with_it(
    zoo: Zoo, explained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = Model(Session(Either(), "either"))
    monkeypatch.setattr("zoo.prediction.model.load", lambda *_, **__: model)
    words = ("explain", explained.parent / "seqs.fa", "--shuffles", 1, "--force", "--rows", 0, "-o", tmp_path / "out")
    for _ in range(2):
        status, _, err = zoo(*words, "--clusters", 2, "--overwrite")
        assert status == 0, err
        assert "2 clusters of 60 sequences" in err
    assert sorted(path.name for path in (tmp_path / "out" / "clusters").iterdir()) == [
        *("cluster_motifs.tsv", "clusters.html", "clusters.json", "clusters.npz"),
        *("clusters.pdf", "clusters.png", "clusters.svg", "clusters.tsv"),
    ]
