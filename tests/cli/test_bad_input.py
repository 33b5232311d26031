"""One clear line, exit status 2, no traceback and no output file for whatever is wrong with the input."""

from __future__ import annotations

import gzip
import importlib.util
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint
from command_line import RUNTIME, Zoo, one_line
from safetensors.numpy import save_file

from zoo.prediction import session
from zoo.spec import SPEC_KEY
from zoo.weights import lookup

NAMES = ", ".join(sorted(lookup.variants()))


BAD_FASTA = {
    "empty": (b"", "bad.fa: expected FASTA records, found none; the file is empty"),
    "pdf": (b"%PDF-1.4\n", "bad.fa: expected FASTA, whose first line starts with '>', this is a PDF"),
    "fastq": (
        b"@r\nACGT\n+\nIIII\n",
        "bad.fa: expected FASTA, whose first line starts with '>', this looks like FASTQ",
    ),
    "no header": (b"ACGT\n>s\nACGT\n", "'ACGT': a sequence before the first header?"),
    "no sequence": (b">a\n" + b"A" * 53 + b"\n>b\n", "bad.fa: record 2 (b): a header without a sequence"),
    "cut off": (gzip.compress(b">a\n" + b"A" * 53)[:-4], "bad.fa: the compressed file is cut off"),
    "letter": (
        b">a\n" + b"A" * 52 + b"X\n",
        "bad.fa: record 1 (a), position 53: expected a letter of ACGTN, got 'X'; --ambiguous-as-n takes it as N",
    ),
    "length": (
        b">a\n" + b"A" * 54,
        "bad.fa: record 1 (a): expected 53 bases, got 54; --crop-or-pad crops or pads with N",
    ),
}


class TestBadInput:
    """One clear line, exit status 2, no traceback, no output file."""

    @pytest.fixture(autouse=True)
    def _nothing_is_written(self, folder: Path) -> Iterator[None]:
        yield
        assert not (folder / "out.tsv").exists()
        assert not [path for path in folder.iterdir() if path.name.startswith(".")]

    @pytest.mark.parametrize("kind", BAD_FASTA)
    def test_sequences(self, zoo: Zoo, folder: Path, kind: str) -> None:
        content, message = BAD_FASTA[kind]
        (folder / "bad.fa").write_bytes(content)
        one_line(zoo, message, "predict", "--weights", "w.safetensors", *RUNTIME, "bad.fa", "-o", "out.tsv")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["none.fa"], "none.fa: no such file"),
            (["."], ".: expected a file, this is a folder"),
            (["seqs.fa", "--model", "small"], f"no model is called 'small'; there are {NAMES}"),
            (
                ["seqs.fa", "--runtime", "tensorrt-cuda"],
                "no runtime is called 'tensorrt-cuda', did you mean torch-cuda?; ",
            ),
            (
                ["seqs.fa", "--runtime", "onnx"],
                "no runtime is called 'onnx', did you mean onnx-cpu?; there ",
            ),
            (["seqs.fa", "--weights", "none.onnx"], f"none.onnx: no such weights file; names are {NAMES}"),
            (["seqs.fa", "--batch-size", "0"], "batch size: expected at least 1, got 0"),
            (
                ["seqs.fa", "--batch-size", str(2**63)],
                "batch size: expected at most 1,048,576, got 9223372036854775808",
            ),
            (["seqs.fa", "--threads", str(2**63)], "threads: expected at most 1,024, got 9223372036854775808"),
            (["seqs.fa", "--threads", "10000"], "threads: expected at most 1,024, got 10000"),
            (["seqs.fa", "--threads", "0"], "threads: expected at least 1, got 0"),
            (["seqs.fa", "--resize", "left"], "--crop-or-pad: expected center, got 'left'; see zoo predict --help"),
            (["seqs.fa", "--ambiguous", "x"], "--ambiguous-as-n: expected n, got 'x'; see zoo predict --help"),
            (["seqs.fa", "-o", "seqs.fa"], "seqs.fa: is an input of this command, which is never replaced; give "),
            (["seqs.fa", "-o", "no/out.tsv"], "no/out.tsv: the folder no does not exist; make it first"),
            (["seqs.fa", "-o", "."], ".: expected a file name to write to, this is a folder"),
            (["seqs.fa", "--nonsense"], "no option is called --nonsense; see zoo predict --help"),
            ([], "FILE is missing; see zoo predict --help"),
            (["seqs.fa", "--batch-size", "many"], "see zoo predict --help"),
        ],
    )
    def test_usage(self, zoo: Zoo, arguments: list[str], message: str) -> None:
        defaults = ["--weights", "w.safetensors", *RUNTIME, "-o", "out.tsv"]
        one_line(zoo, message, "predict", *defaults, *arguments)

    @pytest.mark.parametrize(
        ("arguments", "output"),
        [
            (["predict", "seqs.fa", "--weights", "w.safetensors", *RUNTIME, "-o", "seqs.fa"], "seqs.fa"),
            (["predict", "seqs.fa", "--weights", "w.safetensors", *RUNTIME, "-o", "w.safetensors"], "w.safetensors"),
            (["import", "w.safetensors", "-o", "w.safetensors"], "w.safetensors"),
            (["import", "w.h5", "--graph", "g.safetensors", "-o", "g.safetensors"], "g.safetensors"),
            (["export", "original", "--weights", "w.onnx", "--onnx", "-o", "w.onnx"], "w.onnx"),
        ],
    )
    def test_overwrite_never_replaces_an_input(self, zoo: Zoo, folder: Path, arguments: list[str], output: str) -> None:
        for name in ("g.safetensors", "w.onnx", "w.h5"):
            (folder / name).write_bytes(b"mine")
        before = (folder / output).read_bytes()
        message = f"{output}: is an input of this command, which is never replaced; give another name"
        one_line(zoo, message, *arguments, "--overwrite")
        assert (folder / output).read_bytes() == before

    @pytest.mark.parametrize(
        "inputs",
        [
            ["--weights", "w.safetensors", "--data", "report/predictions.tsv", "--split", "all"],
            ["--weights", "report/w.safetensors", "--data", "measured.tsv", "--split", "all"],
            ["--weights", "w.safetensors", "--sequences", "seqs.fa", "--labels", "report/predictions.tsv"],
        ],
    )
    def test_evaluate_never_replaces_a_folder_with_an_input(self, zoo: Zoo, folder: Path, inputs: list[str]) -> None:
        report = folder / "report"
        report.mkdir()
        (report / "predictions.tsv").write_text("mine")
        (report / "w.safetensors").write_bytes((folder / "w.safetensors").read_bytes())
        one_line(zoo, "report: holds an input of this command, ", "evaluate", *inputs, "-o", "report", "--overwrite")
        assert (report / "predictions.tsv").read_text() == "mine"

    def test_a_command_that_does_not_exist(self, zoo: Zoo) -> None:
        one_line(zoo, "no command is called 'prophesy'; see zoo --help", "prophesy")

    def test_weights_that_are_damaged_or_foreign(self, zoo: Zoo, folder: Path) -> None:
        def refused(message: str) -> None:
            one_line(zoo, message, "predict", "--weights", "bad.safetensors", *RUNTIME, "seqs.fa", "-o", "out.tsv")

        bad, good = folder / "bad.safetensors", folder / "w.safetensors"
        bad.write_bytes(good.read_bytes()[:-9])
        refused("bad.safetensors: cannot be read as a .safetensors file, cut off or of another kind")
        save_file({"x": np.zeros(3, np.float32)}, bad)
        refused("bad.safetensors: has no deepstarr-zoo model spec in its header; weights of another program go through")
        arrays = random_checkpoint(ODD).arrays
        metadata = {SPEC_KEY: random_checkpoint(ODD).spec.to_json()}
        save_file({**arrays, "head.bias": np.zeros(4, np.float32)}, bad, metadata=metadata)
        refused("bad.safetensors: array head.bias: expected shape [3], got [4]")

    def test_an_onnx_file_that_is_none_or_not_ours(self, zoo: Zoo, folder: Path) -> None:
        import onnx

        def refused(message: str) -> None:
            one_line(
                zoo, message, "predict", "--weights", "bad.onnx", "--runtime", "onnx-cpu", "seqs.fa", "-o", "out.tsv"
            )

        (folder / "bad.onnx").write_bytes(b"not a graph")
        refused("bad.onnx: ")
        value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
        graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", value[:1], value[1:])
        opset = [onnx.helper.make_opsetid("", 18)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "bad.onnx")
        refused("bad.onnx: has no deepstarr-zoo model spec in its metadata_props")

    def test_foreign_weights_have_to_be_imported_first(self, zoo: Zoo, folder: Path) -> None:
        (folder / "w.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
        message = "w.h5: weights of another program; zoo import w.h5 -o w.safetensors first"
        one_line(zoo, message, "predict", "--weights", "w.h5", *RUNTIME, "seqs.fa", "-o", "out.tsv")

    def test_an_h5_of_another_network(self, zoo: Zoo, folder: Path) -> None:
        h5py = pytest.importorskip("h5py")
        with h5py.File(folder / "other.h5", "w") as file:
            file["numbers"] = np.zeros(3)
        one_line(zoo, "other.h5: ", "import", "other.h5", "-o", "out.safetensors")
        assert not (folder / "out.safetensors").exists()

    def test_a_pickle_is_never_loaded(self, zoo: Zoo, folder: Path) -> None:
        (folder / "weights.pt").write_bytes(pickle.dumps(Bomb()))
        one_line(zoo, "weights.pt: ", "import", "weights.pt", "-o", "out.safetensors")
        assert not (folder / "out.safetensors").exists()
        assert not (folder / "exploded").exists()

    def test_a_gpu_runtime_without_a_gpu(self, zoo: Zoo) -> None:
        if session.missing("onnx-cuda") is None:
            pytest.skip("there is a GPU here")
        arguments = ("--weights", "w.safetensors", "--runtime", "onnx-cuda", "seqs.fa", "-o", "out.tsv")
        one_line(zoo, "onnx-cuda cannot run here: ", "predict", *arguments)

    @pytest.mark.parametrize(
        ("library", "runtime", "extra"),
        [("torch", "torch-cpu", "deepstarr-zoo[train]"), ("tensorflow", "keras-cpu", "deepstarr-zoo[keras]")],
    )
    def test_an_extra_that_is_not_installed_is_named(
        self, zoo: Zoo, monkeypatch: pytest.MonkeyPatch, library: str, runtime: str, extra: str
    ) -> None:
        find = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *rest: None if name == library else find(name, *rest)
        )
        arguments = ("--weights", "w.safetensors", "--runtime", runtime, "seqs.fa", "-o", "out.tsv")
        one_line(zoo, f"pip install '{extra}'", "predict", *arguments)

    def test_a_full_disk(self, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
        def fill(*_: object) -> bytes:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("zoo.formats.table_writer.rows", fill)
        arguments = ("--weights", "w.safetensors", *RUNTIME, "seqs.fa", "-o", "out.tsv")
        one_line(zoo, "No space left on device", "predict", *arguments)

    def test_memory_that_runs_out(self, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
        def exhaust(*_: object) -> bytes:
            raise MemoryError

        monkeypatch.setattr("zoo.formats.table_writer.rows", exhaust)
        arguments = ("--weights", "w.safetensors", *RUNTIME, "seqs.fa", "-o", "out.tsv")
        one_line(zoo, "zoo: out of memory\n", "predict", *arguments)


class Bomb:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("exploded",)
