"""Thresholds and hits of motif-counts are those of an enumeration of all words; the motifs travel with the weights."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import traced
from checkpoints import random_checkpoint, random_codes
from command_line import Zoo
from refusals import refuses
from toy import Toy, trainer

from zoo import registry
from zoo.dna.encoding import encode, one_hot, reverse_complement
from zoo.dna.sites import IUPAC
from zoo.formats import meme
from zoo.models import motif_counts
from zoo.models.motif_counts import Config, fly_motifs, scoring
from zoo.models.motif_counts.scoring import ScoredMotif
from zoo.prediction.session import open_session
from zoo.weights import checkpoint, lookup

pytest.importorskip("torch")

BACKGROUND = np.array([0.3, 0.2, 0.2, 0.3])


def random_motifs(*widths: int) -> tuple[ScoredMotif, ...]:
    generator = np.random.default_rng(1)
    given = [(f"motif {width}", generator.dirichlet(np.full(4, 0.3), width), 25.0) for width in widths]
    return scoring.scored(given, BACKGROUND, 0.02)


def score(word: np.ndarray, motif: ScoredMotif) -> int:
    return sum(row[base] for row, base in zip(motif.scores, word, strict=True))


def brute_force(codes: np.ndarray, motif: ScoredMotif) -> int:
    """Hits on both strands of one sequence."""
    width, count = len(motif.scores), 0
    for start in range(len(codes) - width + 1):
        word = codes[start : start + width]
        if (word < 4).all():
            count += (score(word, motif) >= motif.threshold) + (score(3 - word[::-1], motif) >= motif.threshold)
    return count


@pytest.mark.parametrize("width", [1, 4, 6])
def test_p_values_are_those_of_all_words(width: int) -> None:
    generator = np.random.default_rng(width)
    scores = scoring.whole_scores("m", generator.dirichlet(np.full(4, 0.5), width), 20.0, BACKGROUND)
    assert (scores.min(), scores.max()) == (0, 100)
    chances = scoring.p_values(scores, BACKGROUND)
    exact = np.zeros(width * 100 + 1)
    for word in itertools.product(range(4), repeat=width):
        total = sum(scores[place, base] for place, base in enumerate(word))
        exact[: total + 1] += math.prod(BACKGROUND[base] for base in word)
    np.testing.assert_allclose(chances, exact, rtol=1e-9, atol=1e-15)
    assert chances[0] == pytest.approx(1)


def test_the_threshold_is_the_smallest_score_that_is_rare_enough() -> None:
    (motif,) = random_motifs(6)
    chances = scoring.p_values(np.array(motif.scores), BACKGROUND)
    assert chances[motif.threshold] <= 0.02 < chances[motif.threshold - 1]


def test_scores_are_log_odds_with_a_tenth_of_a_site_of_background() -> None:
    probabilities = np.array([[0.7, 0.1, 0.1, 0.1], [0, 0, 0, 1]])
    scores = scoring.whole_scores("m", probabilities, 20.0, BACKGROUND)
    odds = [
        [math.log2((20 * share + 0.1 * chance) / 20.1 / chance) for share, chance in zip(row, BACKGROUND, strict=True)]
        for row in probabilities
    ]
    lowest, highest = min(map(min, odds)), max(map(max, odds))
    expected = [[round(100 * (one - lowest) / (highest - lowest)) for one in row] for row in odds]
    assert scores.tolist() == expected


def test_the_background_is_averaged_with_its_complement() -> None:
    given = [("m", np.eye(4)[[0, 1, 2, 3, 0, 0]], 20.0)]
    (one,), (other,) = (scoring.scored(given, shares, 0.01) for shares in ((0.4, 0.1, 0.3, 0.2), (0.2, 0.3, 0.1, 0.4)))
    assert one == other


@pytest.mark.parametrize("runtime", ["torch-cpu", "onnx-cpu"])
def test_hits_are_those_of_a_brute_force_on_both_strands_with_ns(runtime: str) -> None:
    motifs = random_motifs(4, 6, 11)
    config = Config(motifs=motifs, sequence_length=60, targets=tuple(motif.name for motif in motifs))
    codes = random_codes(80, 60)
    expected = np.array([[brute_force(row, motif) for motif in motifs] for row in codes])
    assert (expected.sum(0) > 30).all()
    assert (scoring.hits(motifs, one_hot(codes)) == expected).all()
    arrays = {"effects.weight": np.eye(3, dtype=np.float32), "effects.bias": np.zeros(3, np.float32)}
    weights = checkpoint.make("motif_counts", config, arrays, "", "")
    running = open_session(weights, runtime)
    np.testing.assert_array_equal(running.predict(codes), expected)
    np.testing.assert_array_equal(running.predict(reverse_complement(codes)), expected)


@pytest.mark.parametrize("runtime", ["torch-cpu", "onnx-cpu"])
def test_a_site_with_an_n_and_one_beyond_the_end_are_no_hits(runtime: str) -> None:
    given = [
        ("DRE", fly_motifs.probabilities("TATCGATA"), 100.0),
        ("wide", fly_motifs.probabilities("ACGTTGCAACCA"), 9.0),
    ]
    motifs = scoring.scored(given, BACKGROUND, 1e-4)
    arrays = {"effects.weight": np.eye(2, dtype=np.float32), "effects.bias": np.zeros(2, np.float32)}
    config = Config(motifs=motifs, sequence_length=12, targets=("DRE", "wide"))
    running = open_session(checkpoint.make("motif_counts", config, arrays, "", ""), runtime)
    sequences = [
        "CCCCTATCGATA",
        "TATCGATACCCC",
        "CCCCTATCGATN",
        "NNNNTATCGATA",
        "CCCCCTATCGAT",
        "TGGTTGCAACGT",
        "NNNNNNNNNNNN",
    ]
    # DRE is its own reverse complement: a hit on each strand
    expected = [[2, 0], [2, 0], [0, 0], [2, 0], [0, 0], [0, 1], [0, 0]]
    assert running.predict(encode(sequences)).tolist() == expected


def test_the_widest_motif_and_the_usual_scores_are_exact_in_float32() -> None:
    motif = ScoredMotif("wide", ((100, 99, 98, 97),) * scoring.WIDEST, 1)
    kernels, limits = scoring.kernels([motif])
    assert kernels.max() * scoring.WIDEST < 2**24
    assert limits.max() == 1 + scoring.WIDEST * motif.without_n - 0.5


def test_pytorchs_exporter_traces_it_to_the_same_numbers() -> None:
    config = Config(motifs=random_motifs(4, 7), sequence_length=40)
    weights = random_checkpoint(config)
    hot = one_hot(random_codes(9, 40), channels_first=True)
    expected = motif_counts.activities(config, weights.arrays, hot.transpose(0, 2, 1))
    np.testing.assert_allclose(traced.activities(weights, hot), expected, rtol=0, atol=1e-5)


def test_bfloat16_changes_no_hit() -> None:
    import torch

    config = Config(motifs=random_motifs(4, 6, 11), sequence_length=60)
    module = motif_counts.network(config)
    hot = torch.from_numpy(one_hot(random_codes(40, 60), channels_first=True))
    seen = []
    module.effects.register_forward_pre_hook(lambda _, taken: seen.append(taken[0]))
    module(hot)
    with torch.autocast("cpu", torch.bfloat16):
        module(hot)
    assert seen[0].sum() > 30
    assert torch.equal(seen[0], seen[1])


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
def test_names_and_matrices_travel_with_the_weights(suffix: str, tmp_path: Path) -> None:
    weights = random_checkpoint(Config(motifs=random_motifs(4, 6), sequence_length=30))
    path = tmp_path / f"weights{suffix}"
    if suffix == ".onnx":
        registry.load("exporters", "onnx").export(weights, path)
    else:
        checkpoint.save(weights, path)
    read = checkpoint.config_of(lookup.read_spec(path))
    assert read == weights.config
    assert read.names == ("motif 4", "motif 6")


def test_training_changes_the_effects_alone(tmp_path: Path) -> None:
    config = Config(motifs=random_motifs(4, 6), sequence_length=40)
    training = trainer(tmp_path / "run", config, Toy(), **{**motif_counts.RECIPE, "epochs": 2})
    assert [name for name, _ in training.model.named_parameters()] == ["effects.weight", "effects.bias"]
    training.run()
    weights = checkpoint.load(tmp_path / "run" / "weights.safetensors")
    assert weights.config.motifs == config.motifs
    assert np.abs(weights.arrays["effects.weight"]).min() > 0


def test_the_usual_motifs_are_their_published_consensus() -> None:
    config = motif_counts.VARIANTS["motif-counts"]
    assert config.names == tuple(fly_motifs.CONSENSUS)
    for motif, consensus in zip(config.motifs, fly_motifs.CONSENSUS.values(), strict=True):
        word = encode(["".join(IUPAC[letter][0] for letter in consensus)])[0]
        assert score(word, motif) >= motif.threshold, motif.name
    expected = [[0.97, 0.01, 0.01, 0.01], [0.485, 0.015, 0.015, 0.485], [0.25] * 4]
    np.testing.assert_allclose(fly_motifs.probabilities("AWN"), expected)


MEME = meme.Motifs(
    (meme.Motif("DRE", fly_motifs.probabilities("TATCGATA")), meme.Motif("AP-1", fly_motifs.probabilities("TGACTCA")))
)


def test_motifs_come_from_a_file_with_a_p_value(tmp_path: Path) -> None:
    path = tmp_path / "known.meme"
    meme.write(path, MEME)
    assert motif_counts.configure() == {}
    usual, loose = (Config(**motif_counts.configure(motifs=path, **more)) for more in ({}, {"p_value": 0.01}))
    assert usual.names == loose.names == ("DRE", "AP-1")
    assert all(one.threshold > other.threshold for one, other in zip(usual.motifs, loose.motifs, strict=True))
    assert Config(**motif_counts.configure(p_value=1e-4)) == Config()
    with refuses(path, "motif DRE", "1 more", "1e-05", "1.5e-05", "6.1e-05"):
        motif_counts.configure(motifs=path, p_value=1e-5)
    for wrong in (0, 1, -1.0, math.nan, True):
        with refuses("p_value", repr(wrong)):
            motif_counts.configure(p_value=wrong)


def test_a_matrix_that_is_the_background_is_refused() -> None:
    with refuses("motif flat"):
        scoring.scored([("flat", np.tile(BACKGROUND, (5, 1)), 20.0)], BACKGROUND, 0.01)


ONE = {"name": "m", "scores": [[0, 0, 0, 100]] * 3, "threshold": 250}


@pytest.mark.parametrize(
    ("wrong", "facts"),
    [
        ({"motifs": []}, ["motifs", "2,000", 0]),
        ({"motifs": "known.meme"}, ["motifs", "known.meme"]),
        ({"motifs": 3}, ["motifs", 3]),
        ({"motifs": ["DRE"]}, ["motifs", "name", "scores", "threshold", "DRE"]),
        ({"motifs": [ONE, ONE]}, ["motifs", "m, m"]),
        ({"motifs": [{**ONE, "name": " "}]}, ["motifs", "' '"]),
        ({"motifs": [{**ONE, "name": 3}]}, ["name", 3]),
        ({"motifs": [{**ONE, "scores": []}]}, ["motif m", "1 to 100", 0]),
        ({"motifs": [{**ONE, "scores": [[0, 0, 101, 0]]}]}, ["motif m", 4, "0 to 100", "0, 0, 101, 0"]),
        ({"motifs": [{**ONE, "scores": [[0, 0, 1]]}]}, ["motif m", 4, "0 to 100", "0, 0, 1"]),
        ({"motifs": [{**ONE, "scores": [[0, 0, 1.5, 0]]}]}, ["scores", "0, 0, 1.5, 0"]),
        ({"motifs": [{**ONE, "threshold": 301}]}, ["motif m", "1 to 300", 301]),
        ({"motifs": [ONE], "sequence_length": 2}, ["sequence_length", 3, 2]),
        ({"targets": "dev"}, ["targets", "dev"]),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_line(wrong: dict[str, object], facts: list[object]) -> None:
    with refuses(*facts):
        Config(**wrong)


def test_the_command_trains_on_the_motifs_of_a_file_and_no_other_model_takes_one(
    zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    meme.write(tmp_path / "known.meme", MEME)
    codes = random_codes(60, 249)
    rows = ["sequence\tdev\thk\tsplit"]
    for number, row in enumerate(codes):
        split = ("train", "train", "validation", "test")[number % 4]
        rows.append(f"{''.join('ACGTN'[code] for code in row)}\t{number}\t1.5\t{split}")
    (tmp_path / "mine.tsv").write_text("\n".join(rows) + "\n")
    given = ["--motifs", "known.meme", "--data", "mine.tsv", "-o", "run", "--epochs", "1"]
    code, _, err = zoo("train", "motif-counts", *given)
    assert code == 0, err
    assert checkpoint.load(tmp_path / "run" / "weights.safetensors").config.names == ("DRE", "AP-1")
    code, _, err = zoo("train", "gapped-kmer", *given[:4], "-o", "other")
    assert code == 2
    assert err.count("\n") == 1
    assert "--motifs" in err
    assert "gapped-kmer" in err
    assert not (tmp_path / "other").exists()
