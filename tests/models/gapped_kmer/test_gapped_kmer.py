"""Gapped k-mer counts are those of plain Python, on both strands and with Ns, whichever way they are computed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
import traced
from checkpoints import random_checkpoint, random_codes
from refusals import refuses
from toy import Toy, trainer

from zoo import registry
from zoo.data.labelled import Split
from zoo.dna.encoding import encode, one_hot, reverse_complement
from zoo.models import gapped_kmer
from zoo.models.gapped_kmer import Config, words
from zoo.prediction import session
from zoo.prediction.session import open_session

torch = pytest.importorskip("torch")

SETTINGS = [(5, 3), (6, 4), (7, 6), (4, 4), (5, 5), (3, 1), (1, 1)]
"""Word length and informative positions: even and odd, with and without gaps, with and without palindromes."""

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def pair(word: str) -> str:
    """A gapped word or its reverse complement, whichever comes first; a gap is a point."""
    return min(word, word.translate(COMPLEMENT)[::-1])


def gapped_words(bases: tuple[str, ...] | str, mask: tuple[int, ...], length: int) -> str:
    word = ["."] * length
    for position, base in zip(mask, bases, strict=True):
        word[position] = base
    return "".join(word)


def brute_force(sequence: str, length: int, informative: int) -> Counter[str]:
    """Pair -> windows that hold one of the two."""
    counts: Counter[str] = Counter()
    for start in range(len(sequence) - length + 1):
        window = sequence[start : start + length]
        if "N" not in window:
            for mask in combinations(range(length), informative):
                counts[pair(gapped_words([window[position] for position in mask], mask, length))] += 1
    return counts


def columns(length: int, informative: int) -> dict[str, int]:
    """Pair -> its column of the weights: masks in lexicographic order, then words, each pair where it first appears."""
    found: dict[str, int] = {}
    for mask in combinations(range(length), informative):
        for bases in product("ACGT", repeat=informative):
            found.setdefault(pair(gapped_words(bases, mask, length)), len(found))
    return found


def texts(codes: np.ndarray) -> list[str]:
    return ["".join("ACGTN"[code] for code in row) for row in codes]


def counted(config: Config, codes: np.ndarray) -> np.ndarray:
    """What the brute force counts, as a row a sequence in the order of the weights."""
    column = columns(config.word_length, config.informative)
    found = np.zeros((len(codes), len(column)))
    for row, sequence in zip(found, texts(codes), strict=True):
        for word, count in brute_force(sequence, config.word_length, config.informative).items():
            row[column[word]] = count
    return found


def counted_by_network(config: Config, codes: np.ndarray) -> np.ndarray:
    """The counts that the network multiplies its weights with: its derivative by them."""
    module = gapped_kmer.network(dataclasses.replace(config, targets=("a",))).double()
    activity = module(torch.from_numpy(one_hot(codes)).double().mT)
    rows = [torch.autograd.grad(one, module.readout.weight, retain_graph=True)[0] for one in activity[:, 0]]
    return torch.cat(rows).numpy() * config.choices


@pytest.mark.parametrize(("length", "informative"), SETTINGS)
def test_the_counts_are_those_of_a_brute_force_with_ns_and_on_both_strands(length: int, informative: int) -> None:
    config = Config(word_length=length, informative=informative, sequence_length=40)
    codes = random_codes(12, 40)
    assert 0 < (codes[:-1] == 4).mean() < 0.1
    expected = counted(config, codes)
    assert expected.sum() > 0
    np.testing.assert_allclose(counted_by_network(config, codes), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(counted_by_network(config, reverse_complement(codes)), expected, rtol=0, atol=1e-12)


def test_the_counts_of_the_usual_words_are_those_of_a_brute_force() -> None:
    config = Config()
    codes = random_codes(4, 249)
    expected = counted(config, codes)
    assert expected.shape == (4, 57_472)
    assert expected[0].max() > 1
    np.testing.assert_allclose(counted_by_network(config, codes), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("runtime", ["torch-cpu", "onnx-cpu"])
@pytest.mark.parametrize(("length", "informative"), [(6, 4), (5, 3), (4, 4)])
def test_a_runtime_gives_the_counts_of_a_brute_force_times_the_weights(
    length: int, informative: int, runtime: str
) -> None:
    config = Config(word_length=length, informative=informative, sequence_length=40, targets=("a", "b", "c"))
    weights = random_checkpoint(config)
    codes = random_codes(30, 40)
    weight, bias = (weights.arrays[f"readout.{end}"].astype(np.float64) for end in ("weight", "bias"))
    expected = counted(config, codes) @ weight.T / config.choices + bias
    assert expected.std() > 0.1
    np.testing.assert_allclose(open_session(weights, runtime).predict(codes), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(
        gapped_kmer.activities(config, weights.arrays, one_hot(codes)), expected, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("runtime", ["torch-cpu", "onnx-cpu"])
@pytest.mark.parametrize("variant", gapped_kmer.VARIANTS)
def test_both_strands_get_the_same_number(variant: str, runtime: str) -> None:
    weights = random_checkpoint(gapped_kmer.VARIANTS[variant])
    weights.arrays["readout.weight"] /= weights.arrays["readout.weight"].std()
    codes = random_codes(20, 249)
    running = open_session(weights, runtime)
    numbers = running.predict(codes)
    assert numbers[:-1].std() > 0.1
    np.testing.assert_allclose(running.predict(reverse_complement(codes)), numbers, rtol=0, atol=2e-6)


def test_a_palindrome_counts_once_in_a_window() -> None:
    config = Config(word_length=4, informative=4, sequence_length=5)
    (row,) = counted_by_network(config, encode(["GACGT"]))
    assert sorted(row[row > 0]) == [1, 1]
    assert row[columns(4, 4)["ACGT"]] == 1
    assert row[columns(4, 4)[pair("GACG")]] == 1


@pytest.mark.parametrize("runtime", ["torch-cpu", "onnx-cpu"])
def test_a_window_that_touches_an_n_contributes_nothing_in_a_gap_either(runtime: str) -> None:
    weights = random_checkpoint(Config(word_length=3, informative=2, sequence_length=5))
    running = open_session(weights, runtime)
    bias, cut, without = running.predict(encode(["ANGNA", "ACGNA", "ACGNN"]))
    np.testing.assert_array_equal(bias, weights.arrays["readout.bias"])
    np.testing.assert_array_equal(cut, without)
    assert (cut != bias).all()


def test_the_table_of_all_windows_holds_the_sums_of_their_words() -> None:
    config = Config(word_length=5, informative=3, sequence_length=5)
    weights = random_checkpoint(config)
    every = np.array(list(product(range(4), repeat=5)), np.uint8)
    table = words.window_table(config, weights.arrays["readout.weight"])
    expected = gapped_kmer.activities(config, weights.arrays, one_hot(every)) - weights.arrays["readout.bias"]
    np.testing.assert_allclose(table, expected, rtol=0, atol=1e-12)


def test_pytorchs_exporter_traces_it_to_the_same_numbers() -> None:
    config = Config(word_length=5, informative=3, sequence_length=30)
    weights = random_checkpoint(config)
    hot = one_hot(random_codes(9, 30), channels_first=True)
    expected = gapped_kmer.activities(config, weights.arrays, hot.transpose(0, 2, 1))
    np.testing.assert_allclose(traced.activities(weights, hot), expected, rtol=0, atol=1e-5)


def test_its_graph_looks_windows_up_and_has_no_convolution() -> None:
    from zoo_exporters.onnx import OPSET, TENSORS

    weights = random_checkpoint(Config(word_length=5, informative=3, sequence_length=30))
    graph = gapped_kmer.onnx_model(weights.config, weights.arrays, TENSORS, OPSET).graph
    assert {node.op_type for node in graph.node} == {"Mul", "ReduceSum", "Add", "Cast", "Gather", "Min"}
    (table,) = (tensor for tensor in graph.initializer if tensor.name == "window_sums_table")
    assert list(table.dims) == [4**5 + 1, 2]


def test_as_many_weights_as_the_first_lines_say() -> None:
    assert [words.features(config) for config in gapped_kmer.VARIANTS.values()] == [57_472, 2_703_360]
    assert words.features(Config(word_length=6, informative=6)) == (4**6 + 4**3) // 2  # pairs, and 64 palindromes


def test_training_finds_a_word(tmp_path: Path) -> None:
    """Labels are the number of GATAs on both strands."""

    class Words(Toy):
        def _split(self, seed: int, size: int) -> Split:
            codes = np.random.default_rng((5, seed)).integers(0, 4, (4 * size, 40), np.uint8)
            counts = [brute_force(text, 4, 4)[pair("GATA")] for text in texts(codes)]
            return Split(codes, np.array([counts, counts], np.float32).T, None)

    config = Config(word_length=4, informative=4, sequence_length=40)
    training = trainer(tmp_path / "run", config, Words(), **{**registry.recipe(gapped_kmer, config), "epochs": 40})
    assert training.run()["validation_pearson_dev"] > 0.98
    weight = training.model.readout.weight[0].detach().numpy()
    assert weight.argmax() == columns(4, 4)[pair("GATA")]
    assert weight.max() > 2 * np.sort(weight)[-2]


@pytest.mark.parametrize(
    ("wrong", "facts"),
    [
        ({"word_length": 0}, ["word_length", 1, 0]),
        ({"word_length": 13}, ["word_length", 12, 13]),
        ({"word_length": 8.0}, ["word_length", "8.0"]),
        ({"word_length": True}, ["word_length", "True"]),
        ({"informative": 9}, ["informative", "word_length", 8, 9]),
        ({"informative": 0}, ["informative", 1, 0]),
        ({"informative": "6"}, ["informative", "'6'"]),
        ({"sequence_length": 7}, ["sequence_length", "word_length", 8, 7]),
        ({"targets": "dev"}, ["targets", "dev"]),
        ({"word_length": 12, "informative": 10}, [12, 10, "69,206,016", "33,554,432"]),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_line(wrong: dict[str, object], facts: list[object]) -> None:
    with refuses(*facts):
        Config(**wrong)


def test_engines_of_convolutions_refuse_it_in_one_line() -> None:
    spec = random_checkpoint(Config(word_length=3, informative=2, sequence_length=5)).spec
    reason = session.refuses("kmer-cpu", spec)
    assert reason
    assert "gapped_kmer" in reason
    assert "onnx-cpu" in reason


def test_the_recipe_is_as_good_as_the_best_ridge_regression(tmp_path: Path) -> None:
    """Few sequences, a noisy label, and words of which most never matter."""
    config = Config(word_length=6, informative=4, sequence_length=60)

    class Noisy(Toy):
        def _split(self, seed: int, size: int) -> Split:
            generator = np.random.default_rng((7, seed))
            codes = generator.integers(0, 4, (3 * size, 60), np.uint8)
            counts = np.array([brute_force(text, 4, 4)[pair("GATA")] for text in texts(codes)], np.float64)
            labels = counts + counts.std() * generator.normal(size=(2, len(codes)))
            return Split(codes, labels.T.astype(np.float32), None)

    source = Noisy(sequence_length=60)
    found = trainer(tmp_path / "run", config, source, **{**registry.recipe(gapped_kmer, config), "epochs": 100}).run()
    features = [counted(config, split.codes) / config.choices for split in (source.train, source.validation)]
    train, validation = (one - features[0].mean(0) for one in features)
    labels, observed = source.train.targets[:, 0], source.validation.targets[:, 0]
    kernel = train @ train.T
    correlations = []
    for penalty in np.geomspace(0.1, 1000, 13):
        dual = np.linalg.solve(kernel + penalty * np.eye(len(kernel)), labels - labels.mean())
        correlations.append(np.corrcoef(validation @ (train.T @ dual), observed)[0, 1])
    assert found["validation_pearson_dev"] > max(correlations) - 0.03
    assert max(correlations) > 0.5


def test_the_learning_rate_fits_words_of_any_length() -> None:
    rates = [
        registry.recipe(gapped_kmer, Config(word_length=sizes[0], informative=sizes[1]))["learning_rate"]
        for sizes in ((6, 6), (8, 6), (11, 7))
    ]
    assert rates == pytest.approx([4 / 244, 4 * 28 / 242, gapped_kmer.FASTEST])
