"""From sequences to activities: text, base codes and files give the same numbers, in order, whole or not at all."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import zoo
from zoo.contracts import RunOptions
from zoo.errors import CheckFailed, ZooError
from zoo.formats import prediction_table
from zoo.formats.fasta import Reader
from zoo.formats.read_options import ReadOptions
from zoo.inference import description, predict
from zoo.inference.job import Job, description_path
from zoo.inference.predict import Model, predict_file
from zoo.weights import checkpoint, named

RUNTIME = "kmer-cpu"

NAMES = ", ".join(sorted(named.variants()))
"""Needs no PyTorch and starts at once; that all runtimes agree is shown in test_runtimes.py and test_parity.py."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("predict") / "odd.safetensors"
    checkpoint.save(random_checkpoint(ODD), path)
    return path


@pytest.fixture(scope="module")
def model(file: Path) -> Model:
    return zoo.load(weights=file, runtime=RUNTIME, batch_size=7)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return ["".join("ACGTN"[code] for code in row) for row in random_codes(40, ODD.sequence_length)]


@pytest.fixture
def fasta(tmp_path: Path, texts: list[str]) -> Path:
    path = tmp_path / "seqs.fa"
    path.write_text("".join(f">s{number} of 40\n{text}\n" for number, text in enumerate(texts)))
    return path


def read_table(path: Path) -> tuple[list[str], list[str], np.ndarray]:
    header, *rows = [line.split("\t") for line in path.read_text().split("\n")[:-1]]
    return header, [row[0] for row in rows], np.array([row[1:] for row in rows], np.float32)


def test_text_codes_and_a_file_give_the_same_numbers(
    model: Model, texts: list[str], fasta: Path, tmp_path: Path
) -> None:
    from_codes = model.predict_codes(random_codes(40, ODD.sequence_length))
    assert from_codes.dtype == np.float32
    assert from_codes.shape == (40, 3)
    assert np.array_equal(model.predict(texts), from_codes)
    assert np.array_equal(model.predict([text.lower() for text in texts]), from_codes)
    predict_file(model, Job(fasta, tmp_path / "out.tsv"))
    header, names, values = read_table(tmp_path / "out.tsv")
    assert header == ["name", "a", "b", "c"]
    assert names == [f"s{number}" for number in range(40)]
    assert np.array_equal(values, from_codes)


def test_a_model_says_what_it_is(model: Model) -> None:
    assert model.runtime == RUNTIME
    assert model.provider.startswith("cpu")
    assert model.spec == random_checkpoint(ODD).spec


def test_no_sequences_are_no_rows(model: Model) -> None:
    assert model.predict([]).shape == (0, 3)
    assert model.predict_codes(np.empty((0, ODD.sequence_length), np.uint8)).shape == (0, 3)


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        (["A" * 53, "A" * 52], 'sequence 2: expected 53 bases, got 52; resize="center" crops or pads with N'),
        (
            ["A" * 52 + "R"],
            "sequence 1, position 53: expected a letter of ACGTN, got 'R'; ambiguous=\"n\" takes it as N",
        ),
        (["A" * 53, 5], "sequence 2: expected a text, got int"),
        ("A" * 53, "sequences: expected a list of texts, got one text; put it in a list"),
    ],
)
def test_sequences_that_the_model_does_not_take_are_refused(model: Model, sequences: list[str], message: str) -> None:
    with pytest.raises(ZooError) as refused:
        model.predict(sequences)
    assert str(refused.value) == message


def test_unknown_options_and_bad_values_are_refused(file: Path) -> None:
    with pytest.raises(
        ZooError, match="no option is called 'batch', did you mean batch_size\\?; there are rc, resize, ambiguous, "
    ):
        zoo.load(weights=file, batch=3)
    with pytest.raises(ZooError, match="batch size: expected at least 1, got 0"):
        zoo.load(weights=file, batch_size=0)
    with pytest.raises(ZooError, match="precision: expected one of fp32, tf32, bf16, got 'fp8'"):
        zoo.load(weights=file, precision="fp8")


def test_auto_picks_a_runtime_and_says_which(file: Path, texts: list[str], model: Model) -> None:
    automatic = zoo.load(weights=file, runtime="auto")
    assert automatic.runtime != "auto"
    assert np.allclose(automatic.predict(texts), model.predict(texts), rtol=1e-4, atol=1e-4)


def test_beside_the_table_stands_how_it_was_made(model: Model, fasta: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.tsv"
    returned = predict_file(model, Job(fasta, output, command="zoo predict seqs.fa -o out.tsv"))
    described = json.loads(description_path(output).read_text())
    assert described == returned
    assert described["command"] == "zoo predict seqs.fa -o out.tsv"
    assert described["version"] == zoo.__version__
    assert described["runtime"] == RUNTIME
    assert described["provider"] == model.provider
    assert described["weights"]["id"] == model.spec.weights_id
    assert described["weights"]["source"] == "random numbers"
    assert described["targets"] == ["a", "b", "c"]
    unknown = int(((random_codes(40, ODD.sequence_length) == 4).mean(axis=1) > 0.5).sum())
    counts = {"records": 40, "resized": 0, "ambiguous_letters": 0, "mostly_unknown": unknown}
    assert described["counts"] == counts


def test_what_was_changed_is_counted(model: Model, tmp_path: Path) -> None:
    source = tmp_path / "seqs.fa"
    source.write_text(f">a\n{'A' * 60}\n>b\n{'C' * 53}\n>c\n{'R' * 53}\n")
    described = predict_file(model, Job(source, tmp_path / "out.tsv", ReadOptions("center", "n")))
    assert described["counts"] == {"records": 3, "resized": 1, "ambiguous_letters": 53, "mostly_unknown": 1}
    assert "3 sequences, 1 resized, 53 ambiguous letters, 1 mostly unknown; " in description.summary(described)
    _, _, values = read_table(tmp_path / "out.tsv")
    assert np.array_equal(values, model.predict(["A" * 53, "C" * 53, "N" * 53]))


@pytest.mark.parametrize("records_before", [0, 1, 20_000])
def test_an_error_in_the_last_record_leaves_no_file(model: Model, tmp_path: Path, records_before: int) -> None:
    source = tmp_path / "seqs.fa"
    source.write_text(f">good\n{'A' * 53}\n" * records_before + ">bad\nACGT\n")
    with pytest.raises(ZooError, match=rf"record {records_before + 1} \(bad\): expected 53 bases, got 4"):
        predict_file(model, Job(source, tmp_path / "out.tsv"))
    assert list(tmp_path.iterdir()) == [source]


def test_an_output_that_cannot_be_written_is_known_before_the_work(model: Model, fasta: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.tsv"
    output.write_text("mine")
    with pytest.raises(ZooError, match=r"out.tsv: exists already; give another name or --overwrite"):
        predict_file(model, Job(fasta, output))
    assert output.read_text() == "mine"
    output.unlink()
    description_path(output).write_text("mine")
    with pytest.raises(ZooError, match=r"out.tsv.json: exists already"):
        predict_file(model, Job(fasta, output))
    predict_file(model, Job(fasta, output, overwrite=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.tsv", "out.tsv.json", "seqs.fa"]


def test_names_pass_through_byte_by_byte(model: Model, tmp_path: Path) -> None:
    source = tmp_path / "seqs.fa"
    names = [b"caf\xe9", "café".encode(), b"a,b", b'"q"', b"]", b"[x]", b"", b"twice", b"twice"]
    source.write_bytes(b"".join(b">" + name + b"\n" + b"A" * 53 + b"\n" for name in names))
    predict_file(model, Job(source, tmp_path / "out.tsv"))
    rows = (tmp_path / "out.tsv").read_bytes().split(b"\n")[1:-1]
    assert [row.split(b"\t")[0] for row in rows] == names
    assert {row.count(b"\t") for row in rows} == {3}


@pytest.mark.parametrize("letter", list("\t\n\r\v\f\0\x1b"))
def test_a_name_that_would_not_stay_in_its_field_is_an_error(letter: str) -> None:
    with pytest.raises(ZooError) as refused:
        prediction_table.rows(["x", f"y{letter}z"], np.zeros((2, 2), np.float32))
    shown = ascii(letter)[1:-1].replace("\\", "\\\\")
    assert str(refused.value) == (f"'y{shown}z': expected a name without tabs, line ends and other control characters")


def test_a_file_that_shrinks_while_it_is_read_leaves_no_table(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "seqs.fa"
    source.write_text(f">s\n{'A' * 53}\n" * 100_000)
    original = Reader._texts

    def cut_off(reader: Reader) -> Iterator[bytes]:
        for number, text in enumerate(original(reader)):
            if number == 1:
                os.truncate(source, 3_000_004)
            yield text

    monkeypatch.setattr(Reader, "_texts", cut_off)
    line = r"seqs\.fa: had 5,700,000 bytes when it was opened and 3,000,004 at the end; read it when it is written$"
    with pytest.raises(ZooError, match=line):
        predict_file(model, Job(source, tmp_path / "out.tsv"))
    assert list(tmp_path.iterdir()) == [source]


def test_progress_is_told_while_it_works(model: Model, fasta: Path, tmp_path: Path) -> None:
    told: list[int] = []

    def on_progress(reader: Reader) -> None:
        told.append(reader.counts.records)

    predict_file(model, Job(fasta, tmp_path / "out.tsv"), on_progress)
    assert told == [40]


every_float32 = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 3)),
    elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
)


def test_the_description_names_its_table(model: Model, fasta: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.tsv"
    described = predict_file(model, Job(fasta, output))
    table = output.read_bytes()
    assert described["table"] == {"bytes": len(table), "sha256": hashlib.sha256(table).hexdigest()}


def test_a_description_that_a_killed_run_left_alone_is_replaced(model: Model, fasta: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.tsv"
    predict_file(model, Job(fasta, output, command="the first"))
    output.unlink()
    predict_file(model, Job(fasta, output, command="the second"))
    assert json.loads(description_path(output).read_text())["command"] == "the second"
    assert output.is_file()
    with pytest.raises(ZooError, match=r"out.tsv.json: exists already|out.tsv: exists already"):
        Job(fasta, output).check_output()


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"table": 3}', b'{"table": {}}', b"\xff"])
def test_a_file_of_something_else_in_its_place_is_not(fasta: Path, tmp_path: Path, content: bytes) -> None:
    output = tmp_path / "out.tsv"
    description_path(output).write_bytes(content)
    with pytest.raises(ZooError, match=r"out.tsv.json: exists already; give another name or --overwrite"):
        Job(fasta, output).check_output()


def test_neither_input_is_replaced(fasta: Path, file: Path) -> None:
    for output in (fasta, file):
        with pytest.raises(ZooError, match=f"{output}: is an input of this command, which is never replaced; give"):
            Job(fasta, output, overwrite=True, weights=file).check_output()


def in_a_process(method: str, work: Callable[..., object], *arguments: object) -> object:
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        return pool.submit(work, *arguments).result()


KEPT: dict[str, Model] = {}
"""What a process that is forked finds."""


def use_what_was_kept(texts: list[str]) -> np.ndarray:
    return KEPT["model"].predict(texts)


def use(model: Model, texts: list[str]) -> np.ndarray:
    return model.predict(texts)


class TestProcesses:
    """Point: a Model can be pickled and is loaded again; a process that was forked says so instead of hanging."""

    @pytest.fixture
    def model(self, file: Path) -> Model:
        """Fresh: k-mer tables are built after some sequences, and round otherwise."""
        return zoo.load(weights=file, runtime=RUNTIME, batch_size=7)

    def test_a_pickled_model_gives_the_same_numbers(self, model: Model, texts: list[str]) -> None:
        again = pickle.loads(pickle.dumps(model))
        assert (again.runtime, again.batch_size, again.spec) == (model.runtime, model.batch_size, model.spec)
        assert np.array_equal(again.predict(texts), model.predict(texts))

    def test_it_goes_to_a_process_that_is_spawned(self, model: Model, texts: list[str]) -> None:
        assert np.array_equal(in_a_process("spawn", use, model, texts), model.predict(texts))

    @pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
    @pytest.mark.parametrize("runtime", ["kmer-cpu", "onnx-cpu"])
    def test_a_process_that_is_forked_says_what_to_do(self, file: Path, texts: list[str], runtime: str) -> None:
        KEPT["model"] = zoo.load(weights=file, runtime=runtime)
        KEPT["model"].predict(texts)
        with pytest.raises(ZooError) as caught:
            in_a_process("fork", use_what_was_kept, texts)
        assert str(caught.value) == (
            "this process was forked after the model was loaded, and the model's threads do not survive a fork; start "
            "processes with spawn, as in multiprocessing.get_context('spawn') or "
            "DataLoader(multiprocessing_context='spawn'), or load the model in each process"
        )

    def test_what_was_given_to_load_is_kept(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(file.parent)
        content = pickle.dumps(zoo.load(weights=file.name, runtime=RUNTIME, batch_size=7, threads=1))
        monkeypatch.chdir("/")
        again = pickle.loads(content)
        assert again.batch_size == 7
        assert again.spec == random_checkpoint(ODD).spec

    def test_a_file_that_has_changed_is_noticed(self, tmp_path: Path) -> None:
        path = tmp_path / "w.safetensors"
        checkpoint.save(random_checkpoint(ODD), path)
        loaded = zoo.load(weights=path, runtime=RUNTIME)
        content = pickle.dumps(loaded)
        path.write_bytes(path.read_bytes() + b" ")
        message = "w.safetensors: has changed since the model was loaded from it; load the model anew"
        with pytest.raises(ZooError, match=message):
            pickle.loads(content)
        with pytest.raises(ZooError, match=message):
            pickle.dumps(loaded)
        path.unlink()
        with pytest.raises(ZooError, match=message):
            pickle.loads(content)

    def test_bundled_weights_go_by_their_name(self) -> None:
        loaded = zoo.load("tuned", runtime=RUNTIME)
        assert pickle.loads(pickle.dumps(loaded)).spec == loaded.spec
        assert len(pickle.dumps(loaded)) < 2000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 10_000}, "threads: expected at most 1,024, got 10000"),
        ({"threads": 2**63}, "threads: expected at most 1,024, got 9223372036854775808"),
        ({"batch_size": 2**63}, "batch size: expected at most 1,048,576, got 9223372036854775808"),
        ({"threads": 1.5}, "threads: expected a whole number, got 1.5"),
        ({"batch_size": True}, "batch size: expected a whole number, got True"),
        ({"batch_size": "8"}, "batch size: expected a whole number, got '8'"),
    ],
)
def test_numbers_that_no_machine_has_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ZooError) as caught:
        RunOptions(**options)  # type: ignore[arg-type]
    assert str(caught.value) == message


@settings(deadline=None)
@given(every_float32)
def test_numbers_come_back_bit_for_bit(values: np.ndarray) -> None:
    names = [f"n{row}" for row in range(len(values))]
    lines = prediction_table.rows(names, values).decode().split("\n")
    assert lines.pop() == ""
    cells = [line.split("\t") for line in lines]
    assert [row[0] for row in cells] == names
    read = np.array([row[1:] for row in cells], np.float64).astype(np.float32)
    assert read.tobytes() == values.tobytes()


def test_numbers_are_as_short_as_they_can_be() -> None:
    values = np.array([[0.1, 1.0], [5.82522774, -1e-7]], np.float32)
    assert prediction_table.rows(["x", "y"], values) == b"x\t0.1\t1.0\ny\t5.8252277\t-1e-7\n"
    assert prediction_table.header(["dev", "hk"]) == b"name\tdev\thk\n"
    assert prediction_table.rows([], np.empty((0, 2), np.float32)) == b""


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_result_that_is_no_number_is_an_error(value: float) -> None:
    with pytest.raises(CheckFailed, match=f"y: output 2 of the model came out as {value}"):
        prediction_table.rows(["x", "y"], np.array([[1, 2], [3, value]], np.float32))


class TestWeights:
    """Names and files that `--model` and `--weights` take."""

    @pytest.fixture
    def bundled(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(named, "PRETRAINED", tmp_path)
        checkpoint.save(random_checkpoint(ODD), tmp_path / "tuned.safetensors")
        (tmp_path / "tuned.onnx").write_bytes(b"a graph")
        sums = {path.suffix: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()}
        table = "".join(f'"{suffix}" = "{value}"\n' for suffix, value in sums.items())
        weights_id = random_checkpoint(ODD).spec.weights_id
        text = f'[tuned]\nfile = "tuned"\nsource = "a test"\nweights_id = "{weights_id}"\n[tuned.sha256]\n{table}'
        (tmp_path / "catalog.toml").write_text(text)
        return tmp_path

    def test_a_name_means_the_bundled_weights_in_the_form_that_the_runtime_takes(self, bundled: Path) -> None:
        loaded = named.resolve("tuned")
        assert isinstance(loaded, checkpoint.Checkpoint)
        assert loaded.spec == random_checkpoint(ODD).spec
        assert named.resolve("tuned", None, (".onnx",)) == bundled / "tuned.onnx"
        assert isinstance(named.resolve("tuned"), checkpoint.Checkpoint)
        assert isinstance(named.resolve("original", "tuned"), checkpoint.Checkpoint)

    def test_damaged_bundled_weights_are_refused(self, bundled: Path) -> None:
        (bundled / "tuned.onnx").write_bytes(b"another graph")
        with pytest.raises(ZooError, match=r"tuned\.onnx: the bundled weights are damaged \(sha256 differs\); install"):
            named.resolve("tuned", None, (".onnx",))
        (bundled / "tuned.safetensors").unlink()
        with pytest.raises(ZooError, match="the bundled weights of tuned are not there; install deepstarr-zoo again"):
            named.resolve("tuned")

    def test_who_runs_bundled_weights_hears_how_to_get_the_published_ones(self, bundled: Path) -> None:
        fasta = bundled / "one.fa"
        fasta.write_text(f">one\n{'A' * ODD.sequence_length}\n")
        model = predict.load("tuned", runtime="kmer-cpu")
        line = description.summary(predict.predict_file(model, Job(fasta, bundled / "out.tsv")))
        assert line == (
            "1 sequences; kmer-cpu; bundled weights, which imitate the published model; zoo pull original brings that"
        )

    def test_the_published_weights_are_the_pulled_ones(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ZOO_HOME", str(tmp_path))
        checkpoint.save(random_checkpoint(ODD), named.published_path("original"))
        loaded = named.resolve("original:published")
        assert isinstance(loaded, checkpoint.Checkpoint)
        assert loaded.spec == random_checkpoint(ODD).spec

    def test_a_file_decides_over_the_name(self, file: Path) -> None:
        loaded = named.resolve("tuned", file)
        assert isinstance(loaded, checkpoint.Checkpoint)
        assert loaded.config == ODD

    @pytest.fixture
    def refusal(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
        monkeypatch.setattr(named, "PRETRAINED", tmp_path)
        for name in ("w.onnx", "w.h5", "w.pt", "w.txt", "w"):
            (tmp_path / name).touch()

        def refuse(*arguments: str) -> str:
            with pytest.raises(ZooError) as refused:
                named.resolve(*arguments)
            return str(refused.value)

        return refuse

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("small",), f"no model is called 'small'; there are {NAMES}"),
            (("small", "w.onnx"), f"no model is called 'small'; there are {NAMES}"),
            (
                ("original:mine",),
                "expected original for the bundled weights or original:published for those of the paper, "
                "got 'original:mine'",
            ),
            (
                ("tuned:published",),
                "expected tuned for the bundled weights or original:published for those of the paper, "
                "got 'tuned:published'",
            ),
            (
                ("original:published",),
                "the published weights of original are not on this machine yet; zoo pull original brings them",
            ),
            (
                ("tuned",),
                "no weights for tuned are bundled with this release; give a file with --weights, "
                "or zoo pull original and use original:published",
            ),
            (("original", "none.onnx"), f"none.onnx: no such weights file; names are {NAMES}"),
            (("original", "."), ".: expected a weights file, this is a folder"),
            (("original", "w.h5"), "w.h5: weights of another program; zoo import w.h5 -o w.safetensors first"),
            (("original", "w.pt"), "w.pt: weights of another program; zoo import w.pt -o w.safetensors first"),
            (
                ("original", "w.onnx"),
                "w.onnx: this runtime does not run .onnx files; give the .safetensors, or see zoo list",
            ),
            (("original", "w.txt"), "w.txt: expected a .safetensors file, got .txt"),
            (("original", "w"), "w: expected a .safetensors file, got no suffix"),
        ],
    )
    def test_what_cannot_be_run_is_refused(
        self, refusal: Callable[..., str], arguments: tuple[str, ...], message: str
    ) -> None:
        assert refusal(*arguments) == message
