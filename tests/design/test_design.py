"""zoo.design.evolve and `zoo design`: the substitutions of each round, constraints of every design, output files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import ODD
from command_line import RUNTIME, Zoo, one_line
from explain import toy_model
from refusals import refuses

import zoo as package
from zoo.design import design as evolution
from zoo.design.design import Design
from zoo.design.files import by_round
from zoo.dna.encoding import encode
from zoo.prediction.model import Model, load

CODES = np.random.default_rng(8).integers(0, 4, (4, ODD.sequence_length), np.uint8)

COMMON = ("design", "--target", "b", "--weights", "w.safetensors", *RUNTIME, "-o", "designs.fa")


@pytest.fixture
def model(folder: Path) -> Model:
    return load(weights=folder / "w.safetensors", runtime=RUNTIME[1])


def pairwise(found: list[Design]) -> np.ndarray:
    """Bases in which any two differ, intp (pairs,)."""
    codes = np.stack([one.codes for one in found])
    return (codes[:, None] != codes).sum(2)[np.triu_indices(len(codes), 1)]


def records(path: Path) -> list[tuple[str, dict[str, str], str]]:
    """Name, facts of the description, sequence."""
    found = re.findall(r"^>(\S+) (.*)\n([ACGT]+)$", path.read_text(), re.MULTILINE)
    return [(name, dict(fact.split("=", 1) for fact in facts.split()), text) for name, facts, text in found]


@pytest.mark.parametrize("lower", [False, True])
def test_each_round_takes_the_best_substitution_of_all(lower: bool) -> None:
    """In a model that is a sum over bases, the best sequence at each distance from a start is known."""
    model = toy_model.model()
    start = np.zeros((1, toy_model.LENGTH), np.uint8)
    (design,) = package.design.evolve(model, "dev", start, rounds=5, lower=lower)
    weights = toy_model.WEIGHTS[..., 0] * (-1 if lower else 1)
    gains = np.sort((weights - weights[:, :1]).max(1))[::-1]
    expected = weights[:, 0].sum() + np.cumsum(gains[:5])
    values = [float(step.activities[0]) * (-1 if lower else 1) for step in design.steps]
    np.testing.assert_allclose(values, expected, atol=1e-4)
    assert [step.round for step in design.steps] == [1, 2, 3, 4, 5]


def test_greedy_designs_end_at_the_maximum() -> None:
    model = toy_model.model()
    found = package.design.evolve(model, "hk", number=6, rounds=100, diverse=0)
    for design in found:
        np.testing.assert_array_equal(design.codes, toy_model.WEIGHTS[..., 1].argmax(1))
        assert len(design.steps) == design.edits


def test_predictions_of_designs_and_steps_are_those_of_whole_sequences(model: Model) -> None:
    found = package.design.evolve(model, "b", number=5, rounds=6)
    codes = np.stack([design.codes for design in found])
    np.testing.assert_allclose(np.stack([design.activities for design in found]), model.predict_codes(codes), atol=1e-6)
    for design in found:
        on_the_way = design.start_codes.copy()
        for step in design.steps:
            assert on_the_way[step.position] == step.before
            on_the_way[step.position] = step.after
            np.testing.assert_allclose(step.activities, model.predict_codes(on_the_way[None])[0], atol=1e-6)
        np.testing.assert_array_equal(on_the_way, design.codes)
        values = [design.activities_at_start[1], *(step.activities[1] for step in design.steps)]
        assert values == sorted(values)


def test_a_wider_beam_reaches_higher(model: Model) -> None:
    scores = {
        beam: [one.activities[1] for one in package.design.evolve(model, "b", CODES, rounds=6, beam=beam)]
        for beam in (1, 12)
    }
    assert np.mean(scores[12]) > np.mean(scores[1])


def test_both_strands_give_the_mean_of_both(folder: Path) -> None:
    model = load(weights=folder / "w.safetensors", runtime=RUNTIME[1], rc="average")
    for design in package.design.evolve(model, "b", CODES, rounds=4):
        expected = model.predict_codes(design.codes[None])[0]
        np.testing.assert_allclose(design.activities, expected, atol=1e-6)


def test_reach_stops_a_design_and_reached_is_false_otherwise() -> None:
    model = toy_model.model()
    start = np.zeros((1, toy_model.LENGTH), np.uint8)
    (whole,) = package.design.evolve(model, "dev", start, rounds=8)
    bound = float(whole.steps[3].activities[0]) - 1e-3
    (design,) = package.design.evolve(model, "dev", start, rounds=8, reach=bound)
    assert design.reached
    assert len(design.steps) == 4
    (design,) = package.design.evolve(model, "dev", start, rounds=8, reach=1e6)
    assert not design.reached
    np.testing.assert_array_equal(design.codes, whole.codes)


def test_reached_is_true_of_every_design_from_one_start_that_comes_to_reach() -> None:
    model = toy_model.model()
    start = np.zeros((1, toy_model.LENGTH), np.uint8)
    (alone,) = package.design.evolve(model, "dev", start, rounds=3)
    bound = float(alone.activities[0]) - 2
    found = package.design.evolve(model, "dev", start, number=3, rounds=12, reach=bound)
    assert all(design.activities[0] >= bound for design in found)
    assert [design.reached for design in found] == [True, True, True]


def random_options(generator: np.random.Generator) -> dict[str, Any]:
    sites = ["GAATTC", "GGWCC", "TATA", "CANNTG", "homopolymer:4", "homopolymer:6"]
    options: dict[str, Any] = {
        "avoid": tuple(generator.choice(sites, generator.integers(0, 4), replace=False)),
        "gc": generator.choice([None, "0.4-0.6", "0.3-0.45", "0.5-0.51"]),  # 27 of 53
        "distance": generator.choice([None, 30, 12]),
        "diverse": int(generator.choice([0, 1, 6])),
        "beam": int(generator.choice([1, 3])),
        "seed": int(generator.integers(1 << 30)),
        "lower": bool(generator.integers(2)),
        "rounds": 5,
    }
    return {name: value for name, value in options.items() if value is not None}


@pytest.mark.parametrize("seed", range(25))
def test_constraints_hold_in_every_design(model: Model, seed: int) -> None:
    """Checked by regular expressions and counting, not by the code that the designs were made with."""
    generator = np.random.default_rng(seed)
    options = random_options(generator)
    given = [None, CODES, np.concatenate([CODES[:2], CODES[:2]])][seed % 3]
    number = 5
    bound = float(np.median(model.predict_codes(CODES)[:, 0])) + 0.05
    found = package.design.evolve(model, "b", given, number=number, keep=(f"a<{bound}",), **options)
    assert len(found) == number
    letters = {"W": "[AT]", "N": "[ACGT]"}
    for design in found:
        text = "".join("ACGT"[code] for code in design.codes)
        other = text.translate(str.maketrans("ACGT", "TGCA"))[::-1]
        for avoided in options["avoid"]:
            if avoided.startswith("homopolymer"):
                size = int(avoided.partition(":")[2])
                assert not re.search(rf"(.)\1{{{size - 1}}}", text)
            else:
                expression = "".join(letters.get(letter, letter) for letter in avoided)
                assert not re.search(expression, text)
                assert not re.search(expression, other)
        if "gc" in options:
            lowest, highest = map(float, options["gc"].split("-"))
            assert lowest <= sum(letter in "GC" for letter in text) / len(text) <= highest + 1e-9
        assert design.edits <= options.get("distance", 53)
        assert model.predict_codes(design.codes[None])[0, 0] < bound
    assert pairwise(found).min() >= options["diverse"]


def test_no_sequences_give_no_designs(model: Model) -> None:
    assert package.design.evolve(model, "b", [], number=3, rounds=1) == []
    assert package.design.evolve(model, "b", CODES[:0], rounds=1) == []
    with refuses("a, b, c", "'d'"):
        package.design.evolve(model, "d", [])


def test_a_protected_n_is_refused_and_another_becomes_a_base(model: Model) -> None:
    codes = CODES[:1].copy()
    codes[0, [6, 30]] = 4
    with refuses("sequence 1", "position 7 ", "1 more", "N", "protected"):
        package.design.evolve(model, "b", codes, protect=("5-40",))
    with refuses("sequence 1, shuffle 1", "1 more", "N", "protected"):
        package.design.evolve(model, "b", codes, protect=("1-53",), shuffled=True)
    (design,) = package.design.evolve(model, "b", codes, protect=("8-30", "32"), rounds=3)
    assert (design.codes[7:30] == codes[0, 7:30]).all()
    assert design.codes.max() < 4


def test_protected_positions_stay(model: Model) -> None:
    found = package.design.evolve(model, "b", CODES, protect=("5-30", "53"), rounds=15)
    for design in found:
        changed = np.flatnonzero(design.codes != design.start_codes)
        assert len(changed)
        assert not set(changed) & {*range(4, 30), 52}


def test_designs_from_one_start_differ_as_requested(model: Model) -> None:
    found = package.design.evolve(model, "b", CODES[:1], number=6, diverse=8, rounds=12)
    assert pairwise(found).min() >= 8
    alike = package.design.evolve(model, "b", CODES[:1], number=3, diverse=0, rounds=4)
    assert pairwise(alike).max() == 0


def test_a_design_depends_on_its_seed_and_number_and_not_on_the_batch(
    model: Model, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = package.design.evolve(model, "b", number=9, rounds=5)
    again = load(weights=folder / "w.safetensors", runtime=RUNTIME[1], batch_size=3)
    monkeypatch.setattr(evolution, "AT_ONCE", 2)
    few = package.design.evolve(again, "b", number=4, rounds=5)
    for one, other in zip(first, few, strict=False):
        np.testing.assert_array_equal(one.codes, other.codes)
    moved = package.design.evolve(model, "b", number=4, rounds=5, seed=5)
    assert all((one.start_codes != other.start_codes).any() for one, other in zip(first, moved, strict=False))


def test_shuffled_starts_keep_the_dinucleotides(model: Model) -> None:
    found = package.design.evolve(model, "b", CODES[:2], number=4, shuffled=True, rounds=2)

    def pairs(codes: np.ndarray) -> list[int]:
        return sorted((codes[:-1] * 4 + codes[1:]).tolist())

    assert [design.start for design in found] == [
        "sequence 1, shuffle 1", "sequence 2, shuffle 1", "sequence 1, shuffle 2", "sequence 2, shuffle 2",
    ]  # fmt: skip
    for design, given in zip(found, CODES[[0, 1, 0, 1]], strict=True):
        assert pairs(design.start_codes) == pairs(given)
        assert (design.start_codes != given).any()
    assert (found[0].start_codes != found[2].start_codes).any()


def test_the_files_agree_with_each_other_and_with_a_prediction(zoo: Zoo, folder: Path) -> None:
    assert zoo(*COMMON, "-n", "3", "--rounds", "4", "--figure", "climb.svg", "--avoid", "TTT")[0] == 0
    found = records(folder / "designs.fa")
    assert [name for name, *_ in found] == ["b_design_1", "b_design_2", "b_design_3"]
    _, out, _ = zoo("predict", "designs.fa", "--weights", "w.safetensors", *RUNTIME)
    predicted = {line.split("\t")[0]: line.split("\t")[1:] for line in out.splitlines()[1:]}
    header, *rows = [line.split("\t") for line in (folder / "designs.fa.trace.tsv").read_text().splitlines()]
    assert header == ["design", "round", "position", "from", "to", *ODD.targets]
    for name, facts, text in found:
        values = [float(facts[target]) for target in ODD.targets]
        assert values == pytest.approx([float(value) for value in predicted[name]], abs=1e-6)
        own = [row for row in rows if row[0] == name]
        assert own[0][1:5] == ["0", "NA", "NA", "NA"]
        assert [float(value) for value in own[-1][5:]] == values
        assert int(facts["rounds"]) == int(own[-1][1]) == len(own) - 1
        assert facts["start"].startswith("random_")
        last = {int(row[2]): row[4] for row in own[1:]}
        assert all(text[position - 1] == base for position, base in last.items())
    described = json.loads((folder / "designs.fa.json").read_text())
    assert described["target"] == "b"
    assert described["options"]["avoid"] == ["TTT"]
    assert described["command"].startswith("zoo design --target b")
    assert (folder / "climb.svg").read_text().startswith("<?xml")


def test_a_repaired_start_is_reported_and_traced(zoo: Zoo, folder: Path) -> None:
    text = "ACGTC" * 10 + "AAA"
    (folder / "start.fa").write_text(f">poly\n{text}\n")
    status, _, err = zoo(*COMMON, "--start", "start.fa", "--avoid", "AAA", "--rounds", "2")
    assert status == 0
    assert re.search(r"^zoo: 1 starts? .*repaired.* round 0", err, re.MULTILINE)
    rows = [line.split("\t") for line in (folder / "designs.fa.trace.tsv").read_text().splitlines()]
    assert rows[2][1] == "0"
    assert int(rows[2][2]) in (51, 52, 53)
    assert rows[2][3] == "A"
    assert records(folder / "designs.fa")[0][1]["start"] == "poly"


def test_an_n_of_a_start_becomes_a_random_base(zoo: Zoo, folder: Path) -> None:
    (folder / "short.fa").write_text(">short\nACGTACGTACG\n")
    words = ("--start", "short.fa", "--crop-or-pad", "--distance", "0", "-n", "2")
    assert zoo(*COMMON, *words)[0] == 0
    first, second = (text for _, _, text in records(folder / "designs.fa"))
    assert first[21:32] == second[21:32] == "ACGTACGTACG"
    assert len(first) == 53
    assert first != second


def test_designs_that_miss_reach_are_reported_and_the_best_are_kept(zoo: Zoo, folder: Path) -> None:
    status, _, err = zoo(*COMMON, "-n", "2", "--rounds", "2", "--reach", "1000")
    assert status == 0
    assert re.search(r"^zoo: 2 of 2 designs .* 1000\b", err, re.MULTILINE)
    assert len(records(folder / "designs.fa")) == 2


def test_the_picture_shows_every_round(folder: Path, zoo: Zoo, model: Model) -> None:
    found = package.design.evolve(model, "b", number=3, rounds=4)
    values = by_round(found)
    assert values.shape == (3, 5, 3)
    for row, design in enumerate(found):
        np.testing.assert_array_equal(values[row, 0], design.activities_at_start)
        np.testing.assert_array_equal(values[row, -1], design.activities)
    assert zoo(*COMMON, "--rounds", "2", "--figure", "climb.png", "--keep", "a<99", "--reach", "99")[0] == 0
    assert (folder / "climb.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (("--target", "x"), ["target", "a, b, c", "'x'"]),
        (("--protect", "50-60"), ["protect: ", "1 to 53", "50-60"]),
        (("--avoid", "S,W"), ["avoid: ", "53 bases", "S,W"]),
        (("--avoid", "GAAXTC"), ["GAAXTC", "IUPAC"]),
        (("--keep", "q<1"), ["target", "a, b, c", "'q'"]),
        (("--keep", "a<-1000"), ["a<-1000 "]),
        (("--start", "none.fa"), ["none.fa"]),
        (("--start", "other.fa"), ["other.fa", "53 bases", "got 4", "--crop-or-pad"]),
        (("--start", "poly.fa", "--avoid", "AAA", "--protect", "1-3"), ["poly: ", "AAA", "protect"]),
        (("--start", "poly.fa", "--avoid", "AAA", "--distance", "2"), ["poly: ", "AAA"]),
        (("--start", "poly.fa", "-n", "9", "--distance", "1", "--diverse", "3"), ["poly", "3 bases"]),
        (("--shuffled",), ["shuffled: ", "--start"]),
        (("--figure", "climb.gif"), ["climb.gif: ", ".png", ".svg"]),
        (("--figure", "designs.fa.json"), ["designs.fa.json: ", ".png", ".svg"]),
        (("-o", "designs.fa.gz"), ["designs.fa.gz: ", "compressed"]),
        (("-o", "there.fa"), ["there.fa: ", "--overwrite"]),
        (("-o", "poly.fa", "--start", "poly.fa", "--overwrite"), ["poly.fa: ", "input"]),
        (("--gc", "0.501-0.502"), ["gc: ", "53 bases", "0.501-0.502"]),
        (("-n", "0"), ["number: ", "at least 1", "got 0"]),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_leaves_nothing(
    zoo: Zoo, folder: Path, arguments: tuple[str, ...], facts: list[str]
) -> None:
    (folder / "poly.fa").write_text(f">poly\n{'A' * 53}\n")
    (folder / "other.fa").write_text(">other\nACGT\n")
    (folder / "there.fa").write_text(">there\nACGT\n")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    one_line(zoo, facts, *COMMON, "--rounds", "3", *arguments)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_picture_needs_matplotlib(zoo: Zoo, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    facts = ["--figure", "matplotlib", "pip install 'deepstarr-zoo[explain]'"]
    one_line(zoo, facts, *COMMON, "--figure", "x.png")


def test_text_starts_equal_code_starts(model: Model) -> None:
    texts = toy_model.texts(CODES[:2])
    one, other = (package.design.evolve(model, 1, given, rounds=2) for given in (texts, CODES[:2]))
    np.testing.assert_array_equal(encode(texts), CODES[:2])
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left.codes, right.codes)
