"""The public functions of a notebook give the same numbers as the command line."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, random_codes
from refusals import refuses

import zoo
from zoo.dna.encoding import reverse_complement
from zoo.dna.read_options import ReadOptions
from zoo.formats.fasta import Reader

RUNTIME = "kmer-cpu"
LENGTH = ODD.sequence_length


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return ["".join("ACGTN"[code] for code in row) for row in random_codes(6, LENGTH)]


def test_every_public_name_can_be_imported() -> None:
    assert len(zoo.__all__) == 17
    for name in zoo.__all__:
        assert getattr(zoo, name).__name__.rpartition(".")[2] == name
        assert name in dir(zoo)
    assert issubclass(zoo.ZooError, Exception)
    with refuses("'zoo'", "'forecast'", kind=AttributeError):
        _ = zoo.forecast


class TestOneHot:
    def test_the_layout_is_positions_and_channels_in_either_order(self) -> None:
        hot = zoo.one_hot(["ACGTN", "acgtn"])
        assert (hot.shape, hot.dtype) == ((2, 5, 4), np.float32)
        np.testing.assert_array_equal(hot[0], np.vstack([np.eye(4), np.zeros(4)]))
        np.testing.assert_array_equal(hot[1], hot[0])
        first = zoo.one_hot(zoo.encode(["ACGTN"]), channels_first=True)
        assert first.flags.c_contiguous
        np.testing.assert_array_equal(first[0], hot[0].T)
        np.testing.assert_array_equal(zoo.one_hot(np.array(["ACGTN"])), hot[:1])

    @pytest.mark.parametrize(
        ("given", "facts"),
        [
            ("ACGT", ("sequences", "list")),
            (["ACGT", "ACG"], ("sequence 2", "4 bases", "got 3")),
            (np.zeros((2, 3), np.float32), ("codes", "uint8", "(N, 3)", "float32")),
            (np.full((2, 3), 5, np.uint8), ("codes[0, 0]", "0 to 4", "got 5", "zoo.encode")),
        ],
    )
    def test_input_that_is_neither_texts_nor_codes_is_refused(self, given: object, facts: tuple[str, ...]) -> None:
        with refuses(*facts):
            zoo.one_hot(given)  # type: ignore[arg-type]


def test_bare_text_is_refused_everywhere(file: Path) -> None:
    model = zoo.load(weights=file, runtime=RUNTIME)
    for take in (zoo.encode, zoo.one_hot, zoo.predict, model.predict):
        for given, got in (("ACGT", "list"), (None, "got NoneType"), (5, "got int"), ({"ACGT"}, "got set")):
            with refuses("sequences: ", "list", got):
                take(given)
        with refuses("sequence 1", "text", "bytes"):
            take([b"ACGT"])


WRONG = {
    "evolve": [
        ({"round": 1}, ("'round'", "rounds")),
        ({"reach": "5"}, ("reach", "number", "'5'")),
        ({"seed": 1.5}, ("seed", "whole number", 1.5)),
        ({"distance": 1.5}, ("distance", "whole number", 1.5)),
        ({"beam": True}, ("beam", "whole number", True)),
        ({"lower": "no"}, ("lower", "true", "false", "'no'")),
        ({"keep": "hk<0.5"}, ("keep", "list")),
        ({"protect": [(1, 5)]}, ("protect", "list", "[(1, 5)]")),
        ({"gc": 0.5}, ("gc", "text", 0.5)),
        ({"target": 1.5}, ("target", 1.5)),
        ({"target": None}, ("target", None)),
        ({"target": "d"}, ("targets", "a, b, c", "'d'")),
        ({"model": "original"}, ("model", "Model", "'original'")),
    ],
    "contributions": [
        ({"references": None}, ("references", "whole number", None)),
        ({"seed": 1.5}, ("seed", "whole number", 1.5)),
        ({"target": True}, ("target", True)),
        ({"model": "original"}, ("model", "Model", "'original'")),
    ],
    "ism": [({"model": "original"}, ("model", "Model", "'original'"))],
}
"""Function of zoo.explain or zoo.design -> arguments that it refuses, and facts in the message."""


@pytest.mark.parametrize(
    ("function", "wrong", "facts"), [(name, *case) for name, cases in WRONG.items() for case in cases]
)
def test_an_argument_of_a_wrong_type_or_name_is_refused_in_one_line(
    file: Path, texts: list[str], function: str, wrong: dict[str, object], facts: tuple[object, ...]
) -> None:
    arguments = {"model": zoo.load(weights=file, runtime=RUNTIME), "sequences": texts}
    if function != "ism":
        arguments["target"] = "a"
    with refuses(*facts):
        getattr(zoo.design if function == "evolve" else zoo.explain, function)(**arguments | wrong)


@pytest.mark.parametrize(
    ("wrong", "facts"),
    [
        ({"model": Path("original")}, ("original", "text", "Path")),
        ({"weights": 5}, ("weights", "Path", 5)),
        ({"runtime": None}, ("runtime", "text", None)),
        ({"thread": 2}, ("'thread'", "threads", "rc", "resize", "ambiguous")),
    ],
)
def test_names_of_weights_and_runtimes_are_texts(wrong: dict[str, object], facts: tuple[object, ...]) -> None:
    for take in (zoo.load, functools.partial(zoo.predict, ["ACGT"])):
        with refuses(*facts):
            take(**wrong)
    with refuses("weights", "Path", None):
        zoo.torch_module(None)  # type: ignore[arg-type]


def test_numbers_of_numpy_are_numbers(file: Path) -> None:
    model = zoo.load(weights=file, runtime=RUNTIME)
    options = {"number": 1, "rounds": 2, "reach": 0.5, "seed": 3}
    as_numpy = {"number": np.int64(1), "rounds": np.int32(2), "reach": np.float32(0.5), "seed": np.uint8(3)}
    (one,), (other,) = (zoo.design.evolve(model, np.int64(0), **given) for given in (options, as_numpy))
    np.testing.assert_array_equal(one.codes, other.codes)


class TestChoices:
    """rc and resize have the meaning of the command line, whether given to load or to one call."""

    def test_the_mean_of_both_strands(self, file: Path, texts: list[str]) -> None:
        plain, both = (zoo.load(weights=file, runtime=RUNTIME, rc=rc) for rc in (None, "average"))
        codes = random_codes(6, LENGTH)
        expected = (plain.predict_codes(codes) + plain.predict_codes(reverse_complement(codes))) * 0.5
        for found in (
            both.predict(texts),
            both.predict_codes(codes),
            both.submit_codes(codes).result(),
            plain.predict(texts, rc="average"),
            both.predict(texts, rc="average"),
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
        assert not np.allclose(plain.predict(texts), expected)

    def test_other_lengths_and_letters(self, file: Path) -> None:
        plain = zoo.load(weights=file, runtime=RUNTIME)
        taking = zoo.load(weights=file, runtime=RUNTIME, resize="center", ambiguous="n")
        found = taking.predict(["A" * 10 + "C" * LENGTH + "G" * 10, "R" * LENGTH, "T" * (LENGTH - 2)])
        expected = plain.predict(["C" * LENGTH, "N" * LENGTH, f"N{'T' * (LENGTH - 2)}N"])
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(plain.predict(["T" * (LENGTH - 2)], resize="center"), expected[2:])
        with refuses("sequence 1", "53 bases", "got 300", "windows", "zoo scan"):
            taking.predict(["A" * 300])

    @pytest.mark.parametrize(
        ("place", "length"), [(0, LENGTH + 60), (30, LENGTH + 60), (LENGTH + 59, LENGTH + 60), (3, 9)]
    )
    def test_a_wrong_letter_is_refused_with_its_position_even_if_cropped(
        self, file: Path, tmp_path: Path, place: int, length: int
    ) -> None:
        text = "A" * place + "X" + "A" * (length - place - 1)
        model = zoo.load(weights=file, runtime=RUNTIME, resize="center")
        facts = (f"position {place + 1}:", "ACGTN", "'X'")
        with refuses("sequence 2", *facts):
            model.predict(["ACGT" * LENGTH, text])
        (tmp_path / "given.fa").write_text(f">one\n{text}\n")
        with refuses("given.fa", "one", *facts):
            list(Reader(tmp_path / "given.fa", LENGTH, 8, ReadOptions("center")))

    def test_options_survive_a_pickle(self, file: Path, texts: list[str]) -> None:
        model = zoo.load(weights=file, runtime=RUNTIME, rc="average", resize="center", ambiguous="n")
        again = pickle.loads(pickle.dumps(model))
        assert (again.rc, again.reading) == (model.rc, model.reading)
        np.testing.assert_allclose(again.predict(texts), model.predict(texts), rtol=1e-5, atol=1e-5)

    def test_a_wrong_choice_is_refused(self, file: Path, texts: list[str]) -> None:
        with refuses("rc", "average", "'mean'"):
            zoo.load(weights=file, runtime=RUNTIME, rc="mean")
        with refuses("resize", "center", "'left'"):
            zoo.load(weights=file, runtime=RUNTIME, resize="left")
        model = zoo.load(weights=file, runtime=RUNTIME)
        with refuses("rc", "average", "'mean'"):
            model.predict(texts, rc="mean")
        with refuses("resize", "center", "'left'"):
            model.predict(texts, resize="left")


class TestPredict:
    def test_the_rows_have_the_given_names(self, file: Path, texts: list[str]) -> None:
        pandas = pytest.importorskip("pandas")
        model = zoo.load(weights=file, runtime=RUNTIME)
        values = model.predict(texts)
        names = [f"s{number}" for number in range(6)]
        for given, index in (
            (texts, list(range(6))),
            (dict(zip(names, texts, strict=True)), names),
            (pandas.Series(texts, names), names),
        ):
            table = zoo.predict(given, model)
            assert list(table.index) == index
            assert list(table.columns) == ["a", "b", "c"]
            assert set(table.dtypes) == {np.dtype(np.float32)}
            np.testing.assert_array_equal(table.to_numpy(), values)
        one = zoo.predict(texts, weights=file, runtime=RUNTIME, rc="average")
        np.testing.assert_allclose(one.to_numpy(), model.predict(texts, rc="average"), rtol=1e-5, atol=1e-5)

    def test_without_pandas_it_is_a_dictionary_of_arrays(
        self, file: Path, texts: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        find = importlib.util.find_spec
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pandas" else find(name))
        monkeypatch.setitem(sys.modules, "pandas", None)
        model = zoo.load(weights=file, runtime=RUNTIME)
        values = model.predict(texts)
        for given in (texts, dict(enumerate(texts))):
            found = zoo.predict(given, model)
            assert list(found) == ["a", "b", "c"]
            for column, name in enumerate(found):
                np.testing.assert_array_equal(found[name], values[:, column])

    def test_a_loaded_model_takes_no_further_options(self, file: Path, texts: list[str]) -> None:
        model = zoo.load(weights=file, runtime=RUNTIME)
        with refuses("threads", "zoo.load"):
            zoo.predict(texts, model, threads=1)


class TestTorchModule:
    def test_the_network_gives_the_same_numbers(self, file: Path, texts: list[str]) -> None:
        torch = pytest.importorskip("torch")
        model = zoo.load(weights=file, runtime=RUNTIME)
        network = zoo.torch_module(file)
        assert not network.training
        assert {parameter.device.type for parameter in network.parameters()} == {"cpu"}
        with torch.inference_mode():
            found = network(torch.from_numpy(zoo.one_hot(texts, channels_first=True)))
        np.testing.assert_allclose(found.numpy(), model.predict(texts), rtol=1e-4, atol=1e-4)
        assert zoo.torch_module("tuned").config.sequence_length == 249

    def test_an_unknown_name_of_weights_is_refused(self) -> None:
        pytest.importorskip("torch")
        with refuses("tunned: ", "mean tuned", "original"):
            zoo.torch_module("tunned")
