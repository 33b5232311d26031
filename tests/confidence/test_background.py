"""`zoo background`: which sequences it predicts, and percentiles in tables, by brute force."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import genomes
import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from command_line import RUNTIME, Zoo, one_line
from refusals import refuses

import zoo as package
from zoo.confidence import background
from zoo.confidence.places import CONTEXTS, Draw, Places
from zoo.dna import shuffle
from zoo.dna.encoding import encode
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.prediction import background as backgrounds
from zoo.prediction.model import Model, load
from zoo.weights import checkpoint

L = ODD.sequence_length
WEIGHTS = ("--weights", "w.safetensors", *RUNTIME)
MAKE = ("background", "--genome", "g.fa", *WEIGHTS, "-o", "bg.npz")


def model(rc: str | None = None) -> Model:
    return load(weights="w.safetensors", runtime=RUNTIME[1], rc=rc)


def by_hand(background_values: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Percentiles of (M, T) among (N, T), in the words of their definition."""
    below = (background_values[None] < values[:, None]).sum(axis=1)
    equal = (background_values[None] == values[:, None]).sum(axis=1)
    return 100 * (below + equal / 2) / len(background_values)


def whole_windows(contigs: dict[str, str]) -> list[str]:
    texts = (
        sequence[start : start + L].upper() for sequence in contigs.values() for start in range(len(sequence) - L + 1)
    )
    return [text for text in texts if "N" not in text]


@pytest.fixture(scope="module")
def made() -> backgrounds.Background:
    """10^6 values of two targets, a tenth of them tied."""
    generator = np.random.default_rng(0)
    values = generator.normal(size=(2, 1_000_000)).astype(np.float32)
    values[:, :100_000] = np.round(values[:, :100_000], 2)
    return backgrounds.Background(Path("bg.npz"), {}, np.sort(values, axis=1), np.empty((2, 0), np.float32))


def test_the_tails_of_a_million_values_are_exact(made: backgrounds.Background) -> None:
    highest, lowest = made.values[:, -400::7].T, made.values[:, :400:7].T
    values = np.concatenate([highest, lowest, np.nextafter(highest, np.float32(9)), [[9, -9]]]).astype(np.float32)
    found, at_least = made.ranked(values)
    for target, row in enumerate(made.values):
        expected = [
            by_hand(row[:, None], values[place : place + 1, target, None])[0, 0] for place in range(len(values))
        ]
        np.testing.assert_array_equal(found[:, target], np.array(expected, np.float32))
        np.testing.assert_array_equal(at_least[:, target], [np.count_nonzero(row >= one) for one in values[:, target]])
    assert len(np.unique(found[:, 0])) > 150


def test_a_percentile_is_a_rank(made: backgrounds.Background) -> None:
    """The k-th of n different values has k - 1/2 of n below it."""
    values = made.values[0]
    alone = np.flatnonzero(np.diff(values, prepend=-np.inf, append=np.inf)[:-1] * np.diff(values, append=np.inf) > 0)[
        ::97
    ]
    found = made.percentiles(values[alone, None], [0])[:, 0]
    np.testing.assert_allclose(found, 100 * (alone + 0.5) / len(values), rtol=1e-6)
    assert np.isnan(made.percentiles(np.full((1, 2), np.nan, np.float32))).all()


def test_places_are_drawn_uniformly_from_those_without_an_n(
    contigs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.confidence.places.BLOCK_BASES", 100)
    there: dict[str, set[tuple[str, int]]] = {context: set() for context in CONTEXTS}
    for name, sequence in contigs.items():
        for place in range(20, len(sequence) - 7 + 1):
            if "N" not in sequence[place - 20 : place + 7].upper():
                there[sequence[place - 1 : place + 2].upper()].add((name, place))
    every = set().union(*there.values())
    with IndexedFasta("g.fa") as genome:
        places = Places(genome, 20, 7)
        assert {context: places.count(number) for number, context in enumerate(CONTEXTS)} == {
            context: len(found) for context, found in there.items()
        }
        number = CONTEXTS.index("CGT")
        found = list(places.draw([Draw(100 * len(every)), Draw(30, number)], seed=3))
        counts = Counter((one.contig, int(place)) for one in found if not one.draw for place in one.positions)
        assert set(counts) == every
        spread = sum((count - 100) ** 2 for count in counts.values()) / 100 / len(every)  # chi-squared, about 1
        assert 0.8 < spread < 1.2
        second = [(one.contig, int(place)) for one in found if one.draw for place in one.positions]
        assert len(second) == 30
        assert set(second) <= there["CGT"]
        for one in found:
            text = contigs[one.contig].upper()
            for place in one.positions[:3]:
                expected = encode([text[place - 20 : place + 7]])[0]
                np.testing.assert_array_equal(one.codes[place - one.start :][:27], expected)


def test_random_windows_of_a_genome(zoo: Zoo, contigs: dict[str, str]) -> None:
    assert zoo(*MAKE, "--windows", 500, "--seed", 4, "--rc", "average")[0] == 0
    every = model("average").predict(whole_windows(contigs))
    found = backgrounds.read(Path("bg.npz"))
    assert found.values.shape == (3, 500)
    for place in range(3):
        nearest = np.abs(found.values[place][:, None] - every[None, :, place]).min(axis=1)
        assert nearest.max() < 1e-5
        error = every[:, place].std() / 500**0.5
        np.testing.assert_allclose(found.values[place].mean(), every[:, place].mean(), atol=4 * error)
    first = Path("bg.npz").read_bytes()
    for seed, same in ((4, True), (5, False)):
        background("bg.npz", model("average"), genome="g.fa", windows=500, seed=seed, overwrite=True)
        assert (Path("bg.npz").read_bytes() == first) is same


def test_files_intervals_and_shuffles(zoo: Zoo, contigs: dict[str, str]) -> None:
    codes = random_codes(20, L, seed=1)
    texts = ["".join("ACGTN"[code] for code in row) for row in codes]
    Path("s.fa").write_text("".join(f">s{number}\n{text}\n" for number, text in enumerate(texts)))
    Path("p.bed").write_text("chr2\t100\t200\nchr10\t50\t70\ta\t0\t-\n")
    cases: list[tuple[tuple[object, ...], np.ndarray]] = [
        (("s.fa",), codes),
        (
            ("--genome", "g.fa", "--bed", "p.bed"),
            encode([genomes.window(contigs["chr2"], 150, L), genomes.window(contigs["chr10"], 60, L, "-")]),
        ),
        (("s.fa", "--shuffles", 3, "--seed", 7), shuffle.references(codes, 3, 7).reshape(-1, L)),
    ]
    for words, expected in cases:
        assert zoo("background", *words, *WEIGHTS, "-o", "b.npz", "--overwrite")[0] == 0
        found = backgrounds.read(Path("b.npz"))
        np.testing.assert_allclose(found.values, np.sort(model().predict_codes(expected), axis=0).T, atol=2e-5)
        assert found.about["sequences"] == len(expected)
    words = ("background", "s.fa", *WEIGHTS, "-o", "b.npz", "--overwrite", "--shuffles", 3, "--seed", 7, "--figure")
    one_line(zoo, ["f.txt", ".png"], *words, "f.txt")
    assert zoo(*words, "f.svg")[0] == 0
    drawn = Path("f.svg").read_text()
    values = backgrounds.read(Path("b.npz")).values
    assert all(f"{target}: 60 sequences" in drawn for target in "abc")
    assert all(f"50th: {np.median(row):.2f}".replace("-", "\u2212") in drawn.replace("-", "\u2212") for row in values)
    assert "99th" not in drawn  # above it there would be no value
    again = background("c.npz", model(), fasta="s.fa", shuffles=3, seed=7)
    assert again.read_bytes() == Path("b.npz").read_bytes()


def test_percentiles_stand_beside_numbers(zoo: Zoo, contigs: dict[str, str]) -> None:  # noqa: ARG001
    codes = random_codes(20, L, seed=1)
    texts = ["".join("ACGTN"[code] for code in row) for row in codes]
    Path("s.fa").write_text("".join(f">s{number}\n{text}\n" for number, text in enumerate(texts)))
    assert zoo(*MAKE, "--windows", 300)[0] == 0
    among = backgrounds.read(Path("bg.npz")).values.T
    assert zoo("predict", "s.fa", *WEIGHTS, "--background", "bg.npz", "-o", "p.tsv")[0] == 0
    header, *lines = [line.split("\t") for line in Path("p.tsv").read_text().splitlines()]
    assert header == ["name", "a", "a_percentile", "b", "b_percentile", "c", "c_percentile"]
    numbers = np.array(lines)[:, 1:].astype(np.float32)
    np.testing.assert_allclose(numbers[:, 1::2], by_hand(among, numbers[:, ::2]), rtol=1e-6)
    described = json.loads(Path("p.tsv.json").read_text())
    assert described["background"]["sequences"] == 300
    assert described["targets"] == ["a", "b", "c"]
    frame = package.predict(texts, model(), background="bg.npz")
    np.testing.assert_array_equal(frame.to_numpy(), numbers)

    Path("p.bed").write_text("chr2\t100\t200\nchr10\t50\t250\n")
    words = ("predict", "--bed", "p.bed", "--genome", "g.fa", *WEIGHTS, "--background", "bg.npz")
    status, out, _ = zoo(*words, "--summary", "max")
    assert status == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert rows[0][5:9] == ["a", "a_percentile", "b", "b_percentile"]
    numbers = np.array([row[5:11] for row in rows[1:]], np.float32)
    np.testing.assert_allclose(numbers[:, 1::2], by_hand(among, numbers[:, ::2]), rtol=1e-6)
    one_line(zoo, ["--background", "mean"], *words, "--summary", "mean")
    frame = package.predict_intervals("p.bed", "g.fa", model(), summary="max", background="bg.npz")
    assert list(frame)[5:7] == ["a", "a_percentile"]
    np.testing.assert_array_equal(frame["a_percentile"], numbers[:, 1])
    with refuses("--background", "mean"):
        package.predict_intervals("p.bed", "g.fa", model(), summary="mean", background="bg.npz")


def test_a_background_belongs_to_a_model(zoo: Zoo, contigs: dict[str, str]) -> None:  # noqa: ARG001
    assert zoo(*MAKE, "--windows", 50)[0] == 0
    Path("s.fa").write_text(f">s\n{'ACGTA' * (L // 5)}ACG\n")
    predict = ("predict", "s.fa", *WEIGHTS, "--background")
    one_line(zoo, ["bg.npz", "one strand", "--both-strands"], *predict, "bg.npz", "--both-strands")
    checkpoint.save(random_checkpoint(ODD, seed=1), Path("other.safetensors"))
    other = ("predict", "s.fa", "--weights", "other.safetensors", *RUNTIME, "--background", "bg.npz")
    one_line(zoo, ["bg.npz", model().spec.weights_id[:12], "zoo background"], *other)
    about, values = dict(backgrounds.read(Path("bg.npz")).about), backgrounds.read(Path("bg.npz")).values
    none = np.empty((3, 0), np.float32)
    backgrounds.write(Path("targets.npz"), about | {"targets": ["a", "b", "d"]}, values, none)
    one_line(zoo, ["targets.npz", "targets", "'d'"], *predict, "targets.npz")
    backgrounds.write(Path("new.npz"), about | {"format": ["background", 2]}, values, none)
    one_line(zoo, ["new.npz", "version 2"], *predict, "new.npz")
    backgrounds.write(Path("other.npz"), about | {"format": ["calibration", 1]}, values, none)
    one_line(zoo, ["other.npz", "background", "calibration"], *predict, "other.npz")
    Path("cut.npz").write_bytes(Path("bg.npz").read_bytes()[:-40])
    Path("text.npz").write_text("x")
    np.savez("arrays.npz", values=values)
    backgrounds.write(Path("unsorted.npz"), about, values[:, ::-1], none)
    backgrounds.write(Path("short.npz"), about, values[:2], none[:2])
    for name, entry in (("a", [1]), ("b", {"x": "1"}), ("c", {"x": 2}), ("d", {"x": -1, "y": 1}), ("e", {"x": True})):
        backgrounds.write(Path(f"kinds_{name}.npz"), {**about, backgrounds.KINDS: entry}, values, none)
        one_line(zoo, [f"kinds_{name}.npz"], *predict, f"kinds_{name}.npz")
    for name in ("cut.npz", "text.npz", "arrays.npz", "unsorted.npz", "short.npz", ".", "absent.npz"):
        one_line(zoo, [name], *predict, name)


def test_what_is_refused(zoo: Zoo, contigs: dict[str, str]) -> None:  # noqa: ARG001
    make = ("background", *WEIGHTS)
    Path("s.fa").write_text(">s\nACGT\n")
    Path("n.fa").write_text(f">c\n{('A' * 40 + 'N') * 9}\n")
    one_line(zoo, ["bg.txt", ".npz"], *make, "--genome", "g.fa", "-o", "bg.txt")
    one_line(zoo, ["FILE"], *make, "-o", "bg.npz")
    one_line(zoo, ["--genome", "FASTA"], *make, "s.fa", "--genome", "g.fa", "-o", "bg.npz")
    one_line(zoo, ["--windows", "--genome"], *make, "s.fa", "--windows", 9, "-o", "bg.npz")
    one_line(zoo, ["windows", "0"], *make, "--genome", "g.fa", "--windows", 0, "-o", "bg.npz")
    one_line(zoo, ["n.fa", f"{L} bases", "N"], *make, "--genome", "n.fa", "-o", "bg.npz")
    one_line(zoo, ["s.fa", "4"], *make, "s.fa", "-o", "bg.npz")
    one_line(zoo, ["windows", str(1 << 28)], *make, "--genome", "g.fa", "--windows", (1 << 28) + 1, "-o", "bg.npz")
    one_line(zoo, ["g.fa"], *make, "--genome", "g.fa", "-o", "g.fa", "--overwrite")
    assert not Path("bg.npz").exists()
    with refuses("FASTA", "genome"):
        background("bg.npz", model())
