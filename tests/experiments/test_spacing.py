"""`zoo spacing`: the curve of the network with known rules, and equality with plain predictions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import planted
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from command_line import Zoo, one_line
from refusals import refuses

from zoo.card import Card
from zoo.dna.encoding import encode, reverse_complement
from zoo.experiments import arrangements, inserts, spacing
from zoo.experiments.measure import Found
from zoo.experiments.motif_spacing import Spacing
from zoo.experiments.options import InsertOptions, PairOptions, SpacingOptions
from zoo.prediction import session
from zoo.prediction.members import as_one
from zoo.prediction.model import Model
from zoo.prediction.session import open_session
from zoo.prediction.strands import BothStrands
from zoo.weights import checkpoint
from zoo.weights.ensembles import combined

SITES = {"x": "TGASTCA", "y": "GANAT"}
"""With two letters of one probability, and one that keeps the base of the background."""

WORDS = {"x": encode(["TGACTCA"])[0], "y": encode(["GANAT"])[0]}

NAMED = [f"{name}={site}" for name, site in planted.MOTIFS.items()]


def changed(codes: np.ndarray, *placed: tuple[str, str, int]) -> np.ndarray:
    """Sequences with motifs, each a name, a strand and a position counted from 1."""
    out = codes.copy()
    for name, strand, position in placed:
        word = reverse_complement(WORDS[name]) if strand == "-" else WORDS[name]
        for place, base in enumerate(word, position - 1):
            out[:, place] = out[:, place] if base == 4 else base
    return out


def by_hand(model: Model, codes: np.ndarray, found: Found) -> dict[str, np.ndarray]:
    """Quantity -> its numbers by predictions of whole sequences, float64 (B, C, M, T)."""
    members = max(1, len(model.spec.members))

    def predicted(sequences: np.ndarray) -> np.ndarray:
        return model.members(sequences).swapaxes(0, 1).astype(np.float64)

    frame = found.frame()
    results: dict[str, list[np.ndarray]] = {}
    before = predicted(codes)
    assert before.shape[1] == members
    for row in frame.itertuples():
        first = (row.first, row.first_orientation, row.first_position)
        second = (row.second, row.second_orientation, row.second_position)
        both, a, b = (predicted(changed(codes, *those)) - before for those in ([first, second], [first], [second]))
        numbers = {
            "cooperativity": both - a - b,
            "additive_cooperativity": 2**both - (2**a + 2**b - 1),
            "effect": both,
            "first_alone": a,
            "second_alone": b,
        }
        for name, one in numbers.items():
            results.setdefault(name, []).append(one)
    return {name: np.stack(one, 1) for name, one in results.items()}


def compare(model: Model, **options: Any) -> None:
    codes = random_codes(5, ODD.sequence_length, seed=3) % 4
    motifs = [f"{name}={site}" for name, site in SITES.items()]
    found = spacing(model, motifs, codes, distances=[0, 3, 11], **options)
    expected = by_hand(model, codes, found)
    assert len(found.frame()) == 3 * 2 * 4
    for name, numbers in expected.items():
        measured = found.table.interval(name)
        np.testing.assert_allclose(measured.mean, numbers.mean((0, 2)), rtol=0, atol=2e-5, err_msg=name)
        np.testing.assert_allclose(measured.sd, numbers.mean(2).std(0, ddof=1), rtol=0, atol=5e-5, err_msg=name)
        if len(model.spec.members):
            spread = numbers.mean(0).std(1, ddof=1)
            np.testing.assert_allclose(measured.members_sd, spread, rtol=0, atol=5e-5, err_msg=name)
    kept = "additive_cooperativity" if options.get("expectation") == "additive" else "cooperativity"
    np.testing.assert_allclose(found.effects, expected[kept].mean(2), rtol=0, atol=2e-5)
    assert abs(found.effects).max() > 0.01, "nothing to compare"


@pytest.mark.parametrize("runtime", [name for name in session.automatic() if session.missing(name) is None])
def test_numbers_are_those_of_plain_predictions(runtime: str) -> None:
    weights = random_checkpoint(ODD)
    compare(Model(open_session(weights, runtime)))


def test_both_strands_and_ensembles_too(small: Model) -> None:
    compare(Model(BothStrands(open_session(random_checkpoint(ODD), "kmer-cpu"))), centred="pair")
    sessions = [open_session(random_checkpoint(ODD, seed), "kmer-cpu") for seed in range(3)]
    spec = combined(["a", "b", "c"], [one.spec for one in sessions])
    compare(Model(as_one(sessions, spec)), expectation="additive")
    compare(small, centred="pair", expectation="additive")


def rows(found: Found, target: str) -> Any:
    frame = found.frame()
    return [
        (
            row.distance, planted.near(row.first_position - 1, row.second_position - 1),
            row.first_orientation + row.second_orientation, row.order,
            *(getattr(row, f"{target}_cooperativity{end}") for end in ("", "_low", "_high")),
        )
        for row in frame.itertuples()
    ]  # fmt: skip


def test_the_planted_curve_is_found(known: Model) -> None:
    found = spacing(known, NAMED[:2], distances=range(51), backgrounds=200, seed=1)
    helped = rows(found, "helped")
    assert len(helped) == 51 * 2 * 4
    for distance, near, strands, order, mean, low, high in helped:
        written = near and strands == "++"
        # the base before an A that follows B without a gap is a G, the last base of B on either strand: strength 1.1
        touching = (distance, order) == (0, "B,A") and strands[0] == "+"
        value = float(written) + (0.1 * written + 0.5 * 0.1) * touching
        assert low - 1e-5 <= value <= high + 1e-5, (distance, strands, order, mean, low, high)
        assert mean > 0.9 if written else abs(mean) < 0.1
        assert near == (distance < 30) or distance == 30
    apart = [mean for distance, *_, mean, _, _ in rows(found, "plain") if distance]
    assert max(map(abs, apart)) < 0.01  # in some background, both change a motif that is there by chance
    effect = found.table.interval("effect").mean[:, 0]
    alone = [found.table.interval(name).mean[:, 0] for name in ("first_alone", "second_alone")]
    np.testing.assert_allclose(effect[:30].mean(), 0.5 + 0.3 + 1, atol=0.05)
    np.testing.assert_allclose([one[:30].mean() for one in alone], [0.5, 0.3], atol=0.03)


def test_averages_are_made_in_each_background(known: Model) -> None:
    options = {"distances": [5, 20], "backgrounds": 70}
    single = spacing(known, NAMED[:2], **options)
    mean = spacing(known, NAMED[:2], average=True, **options)
    frame = mean.frame()
    assert frame["distance"].tolist() == [5, 20]
    assert list(frame.columns[:3]) == ["first", "second", "distance"]
    expected = single.effects.reshape(70, 8, 2, 2).mean(1)
    np.testing.assert_allclose(mean.effects, expected, atol=1e-6)
    measured = mean.table.interval("cooperativity")
    np.testing.assert_allclose(measured.sd, expected.std(0, ddof=1), atol=1e-6)
    np.testing.assert_allclose(measured.mean[:, 0], 0.25, atol=0.05)  # one of four orientations


def test_a_motif_may_stand_beside_itself(small: Model) -> None:
    frame = spacing(small, ["TGACTCA", "TGACTCA"], distances=[4], order="given", orientations="given").frame()
    assert frame[["first", "second", "order"]].to_numpy().tolist() == [["TGACTCA", "TGACTCA", "TGACTCA,TGACTCA"]]
    assert frame["second_position"].tolist() == [23 + 7 + 4 + 1]


def test_by_default_all_distances_that_fit(small: Model, known: Model) -> None:
    motifs = ["TGACTCA", "AAC"]
    fits = spacing(small, motifs, backgrounds=2, order="given").frame()["distance"].max()
    last = spacing(small, motifs, backgrounds=2, order="given", orientations="given").frame()["second_position"].max()
    assert (fits, last) == (53 - 23 - 7 - 3, 53 - 3 + 1)
    pair = spacing(small, motifs, backgrounds=2, centred="pair", orientations="given").frame()
    assert pair["distance"].max() == 53 - 7 - 3
    assert pair.query("distance == 43")["first_position"].tolist() == [1, 47]
    assert spacing(known, motifs, backgrounds=2, orientations="given", centred="pair").frame()["distance"].max() == 100


def test_steps_of_ranges() -> None:
    pair = inserts.motifs(InsertOptions(("AC", "GT")), 99)

    def of(options: PairOptions, usual: range = range(10, 51, 10)) -> list[int]:
        return arrangements.distances_of(options, usual, 60, pair)

    assert of(PairOptions()) == [10, 20, 30, 40, 50]
    assert of(PairOptions(step=20)) == [10, 30, 50]
    assert of(PairOptions(("7-20", "3", "8"), step=5)) == [3, 7, 8, 12, 17]
    assert of(SpacingOptions(step=30), range(101)) == [0, 30, 60]


@pytest.mark.parametrize(
    ("motifs", "options", "facts"),
    [
        (["GATA"], {}, ["--motifs", "two", 1]),
        (["GATA", "ETS", "DRE"], {}, ["--motifs", "two", 3]),
        (["GATA", "unknown"], {}, ["--motifs", "unknown"]),
        (["A" * 60, "GATA"], {}, ["--motifs", 53, 60]),
        (["A" * 30, "C" * 30], {}, ["--motifs", "30 bases", "do not fit"]),
        (["GATA", "DRE"], {"distances": [40]}, ["--distances 40", "GATA (6 bases)", "DRE", 15]),
        (["GATA", "DRE"], {"distances": [40], "centred": "pair"}, ["--distances 40", 39]),
        (["GATA", "DRE"], {"distances": [-1]}, ["--distances -1", "ranges"]),
        (["GATA", "DRE"], {"targets": ["z"]}, ["targets", "z"]),
        (["GATA", "DRE"], {"centred": "second"}, ["centred", "first", "pair"]),
        (["GATA", "DRE"], {"sizes": 1}, ["sizes"]),
    ],
)
def test_motifs_and_distances_that_do_not_fit(
    small: Model, motifs: Sequence[str], options: dict[str, Any], facts: list[object]
) -> None:
    with refuses(*facts):
        spacing(small, motifs, **options)


def test_both_orders_of_one_motif_are_drawn(small: Model) -> None:
    options = SpacingOptions(("0", "5"), orientations="given")
    drawn = Spacing(small, InsertOptions(("TGA", "TGA")), options, 1)
    table = spacing(small, ["TGA", "TGA"], distances=[0, 5], orientations="given", backgrounds=3).table
    panel = drawn.draw(table, "log2").axes[0]
    expected = table.interval("cooperativity").mean[:, 0].reshape(2, 2)
    np.testing.assert_array_equal([line.get_ydata() for line in panel.get_lines()[1:]], expected)


@pytest.mark.parametrize("unit", ["counts", "log2(counts + 1)"])
def test_an_additive_expectation_needs_log2(unit: str) -> None:
    made = random_checkpoint(ODD)
    weights = checkpoint.make("deepstarr", ODD, made.arrays, "random", "none", card=Card(unit=unit))
    model = Model(open_session(weights, "kmer-cpu"))
    with refuses("--expectation additive", "log2", unit):
        spacing(model, ["GATA", "DRE"], expectation="additive")
    columns = spacing(model, ["GATA", "DRE"], distances=[3], backgrounds=3).frame().columns
    assert "a_cooperativity" in columns
    assert "a_additive_cooperativity" not in columns


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "odd.safetensors"
    checkpoint.save(random_checkpoint(ODD), path)
    return path


@pytest.mark.drawn
def test_the_same_seed_gives_the_same_bytes_whatever_the_threads(zoo: Zoo, weights: Path, tmp_path: Path) -> None:
    files = ("spacing.tsv", "spacing.npz", "spacing.svg")
    command = (
        "spacing",
        "--motifs",
        "GATA,DRE",
        "--distances",
        "0-4",
        "--step",
        2,
        "--backgrounds",
        70,
        "--orientations",
        "given",
    )
    shown = ("--letters", "drawn", "--targets", "b", "--figure-format", "svg")
    found = []
    for name, options in (("a", ["--threads", 1]), ("b", ["--threads", 2, "--batch-size", 3]), ("c", ["--seed", 2])):
        source = ("--weights", weights, "--runtime", "kmer-cpu", "-o", tmp_path / name)
        status, out, err = zoo(*command, *shown, *source, *options)
        assert (status, out) == (0, ""), err
        found.append([(tmp_path / name / file).read_bytes() for file in files])
    assert found[0] == found[1]
    assert found[0][0] != found[2][0]
    described = json.loads((tmp_path / "a" / "spacing.json").read_text())
    assert described["options"]["distances"] == ["0-4"]
    assert described["counts"] == {"records": 70, "conditions": 6}
    lines = [line.split("\t") for line in found[0][0].decode().splitlines()]
    assert [row["distance"] for row in described["rows"]] == [int(line[5]) for line in lines[1:]]
    arrays = np.load(tmp_path / "a" / "spacing.npz")
    column = lines[0].index("b_cooperativity")
    np.testing.assert_allclose(arrays["effects"].mean(0)[:, 0], [float(line[column]) for line in lines[1:]], atol=1e-6)


def test_bad_options_are_one_line(zoo: Zoo, weights: Path, tmp_path: Path) -> None:
    command = ("spacing", "--weights", weights, "--runtime", "kmer-cpu", "-o", tmp_path / "out", "--motifs", "GATA,DRE")
    one_line(zoo, ["--distances x", "5,10,20-40"], *command, "--distances", "x")
    one_line(zoo, ["--distances 9-2", "smaller"], *command, "--distances", "9-2")
    one_line(zoo, ["--step", "ranges", "3,4"], *command, "--distances", "3,4", "--step", 2)
    one_line(zoo, ["--step", "ranges"], "pairs", *command[1:], "--distances", "3", "--step", 2)
    assert not (tmp_path / "out").exists()
