"""Bad input of every kind gives one clear line and exit status 2, no traceback and no output file."""

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

NAMES = ", ".join(sorted(lookup.variants())[:4])


BAD_FASTA = {
    "empty": (b"", ["FASTA", "empty"]),
    "pdf": (b"%PDF-1.4\n", ["FASTA", "'>'", "PDF"]),
    "fastq": (b"@r\nACGT\n+\nIIII\n", ["'>'", "FASTQ"]),
    "no header": (b"ACGT\n>s\nACGT\n", ["'ACGT'", "header"]),
    "no sequence": (b">a\n" + b"A" * 53 + b"\n>b\n", ["record 2 (b)", "without a sequence"]),
    "cut off": (gzip.compress(b">a\n" + b"A" * 53)[:-4], ["cut off"]),
    "letter": (b">a\n" + b"A" * 52 + b"X\n", ["record 1 (a)", "position 53", "ACGTN", "'X'", "--ambiguous-as-n"]),
    "length": (b">a\n" + b"A" * 54, ["record 1 (a)", "53 bases", "54", "--crop-or-pad"]),
}
"""Kind -> content of bad.fa, and facts in the message."""


class TestBadInput:
    """One clear line, exit status 2, no traceback, no output file."""

    @pytest.fixture(autouse=True)
    def _nothing_is_written(self, folder: Path) -> Iterator[None]:
        yield
        assert not (folder / "out.tsv").exists()
        assert not [path for path in folder.iterdir() if path.name.startswith(".")]

    @pytest.mark.parametrize("kind", BAD_FASTA)
    def test_sequences(self, zoo: Zoo, folder: Path, kind: str) -> None:
        content, facts = BAD_FASTA[kind]
        (folder / "bad.fa").write_bytes(content)
        arguments = ("predict", "--weights", "w.safetensors", *RUNTIME, "bad.fa", "-o", "out.tsv")
        one_line(zoo, ["bad.fa: ", *facts], *arguments)

    @pytest.mark.parametrize(
        ("arguments", "facts"),
        [
            (["none.fa"], ["none.fa: ", "no such file"]),
            (["."], [".: ", "folder"]),
            (["seqs.fa", "--model", "small"], ["small: ", NAMES]),
            (["seqs.fa", "--runtime", "tensorrt-cuda"], ["'tensorrt-cuda'", "torch-cuda?"]),
            (["seqs.fa", "--runtime", "onnx"], ["'onnx'", "onnx-cpu?"]),
            (["seqs.fa", "--weights", "none.onnx"], ["none.onnx: ", NAMES]),
            (["seqs.fa", "--batch-size", "0"], ["batch-size: ", "at least 1", "got 0"]),
            (["seqs.fa", "--batch-size", str(2**63)], ["batch-size: ", "at most 1048576", "9223372036854775808"]),
            (["seqs.fa", "--threads", str(2**63)], ["threads: ", "at most 1024", "9223372036854775808"]),
            (["seqs.fa", "--threads", "10000"], ["threads: ", "at most 1024", "10000"]),
            (["seqs.fa", "--threads", "0"], ["threads: ", "at least 1", "got 0"]),
            (["seqs.fa", "--resize", "left"], ["--crop-or-pad: ", "center", "'left'", "zoo predict --help"]),
            (["seqs.fa", "--ambiguous", "x"], ["--ambiguous-as-n: ", "expected n", "'x'", "zoo predict --help"]),
            (["seqs.fa", "-o", "seqs.fa"], ["seqs.fa: ", "input"]),
            (["seqs.fa", "-o", "no/out.tsv"], ["no/out.tsv: ", "folder no "]),
            (["seqs.fa", "-o", "."], [".: ", "folder"]),
            (["seqs.fa", "--nonsense"], ["--nonsense", "zoo predict --help"]),
            ([], ["FILE", "missing", "zoo predict --help"]),
            (["seqs.fa", "--batch-size", "many"], ["--batch-size", "'many'", "zoo predict --help"]),
        ],
    )
    def test_usage(self, zoo: Zoo, arguments: list[str], facts: list[str]) -> None:
        defaults = ["--weights", "w.safetensors", *RUNTIME, "-o", "out.tsv"]
        one_line(zoo, facts, "predict", *defaults, *arguments)

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
        one_line(zoo, [f"{output}: ", "input"], *arguments, "--overwrite")
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
        one_line(zoo, ["report: ", "input"], "evaluate", *inputs, "-o", "report", "--overwrite")
        assert (report / "predictions.tsv").read_text() == "mine"

    def test_a_command_that_does_not_exist(self, zoo: Zoo) -> None:
        one_line(zoo, ["'prophesy'", "zoo --help"], "prophesy")

    def test_weights_that_are_damaged_or_foreign(self, zoo: Zoo, folder: Path) -> None:
        def refused(*facts: str) -> None:
            arguments = ("predict", "--weights", "bad.safetensors", *RUNTIME, "seqs.fa", "-o", "out.tsv")
            one_line(zoo, ["bad.safetensors: ", *facts], *arguments)

        bad, good = folder / "bad.safetensors", folder / "w.safetensors"
        bad.write_bytes(good.read_bytes()[:-9])
        refused("safetensors", "damaged")
        save_file({"x": np.zeros(3, np.float32)}, bad)
        refused("model spec", "zoo import")
        arrays = random_checkpoint(ODD).arrays
        metadata = {SPEC_KEY: random_checkpoint(ODD).spec.to_json()}
        save_file({**arrays, "head.bias": np.zeros(4, np.float32)}, bad, metadata=metadata)
        refused("head.bias", "[3]", "[4]")

    def test_an_onnx_file_that_is_damaged_or_of_another_program(self, zoo: Zoo, folder: Path) -> None:
        import onnx

        def refused(*facts: str) -> None:
            arguments = ("predict", "--weights", "bad.onnx", "--runtime", "onnx-cpu", "seqs.fa", "-o", "out.tsv")
            one_line(zoo, ["bad.onnx: ", *facts], *arguments)

        (folder / "bad.onnx").write_bytes(b"not a graph")
        refused()
        value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
        graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", value[:1], value[1:])
        opset = [onnx.helper.make_opsetid("", 18)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "bad.onnx")
        refused("model spec", "metadata_props")

    def test_foreign_weights_have_to_be_imported_first(self, zoo: Zoo, folder: Path) -> None:
        (folder / "w.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
        facts = ["w.h5: ", "zoo import w.h5 -o w.safetensors"]
        one_line(zoo, facts, "predict", "--weights", "w.h5", *RUNTIME, "seqs.fa", "-o", "out.tsv")

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
        one_line(zoo, "onnx-cuda", "predict", *arguments)

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
        one_line(zoo, "out of memory", "predict", *arguments)


class Bomb:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("exploded",)
