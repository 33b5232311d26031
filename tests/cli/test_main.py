"""The command line from end to end: whole files out, and one line and the right exit status for everything else."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from command_line import Zoo
from safetensors.numpy import save_file

import zoo as package
from runtimes.kmer import kernel
from zoo.checks import inventory
from zoo.inference import predict, session
from zoo.spec import SPEC_KEY
from zoo.weights import checkpoint, named

NAMES = ", ".join(sorted(named.variants()))

ROOT = Path(__file__).parents[2]

RUNTIME = ("--runtime", "kmer-cpu")
"""Starts without PyTorch and without an export."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with weights w.safetensors and ten records in seqs.fa."""
    monkeypatch.chdir(tmp_path)
    checkpoint.save(random_checkpoint(ODD), tmp_path / "w.safetensors")
    texts = ["".join("ACGTN"[code] for code in row) for row in random_codes(10, ODD.sequence_length)]
    (tmp_path / "seqs.fa").write_text("".join(f">s{number} x\n{text}\n" for number, text in enumerate(texts)))
    return tmp_path


def expected_table(folder: Path) -> str:
    model = predict.load(weights=folder / "w.safetensors", runtime=RUNTIME[1])
    values = model.predict_codes(random_codes(10, ODD.sequence_length))
    rows = [f"s{number}\t" + "\t".join(str(value) for value in row) for number, row in enumerate(values)]
    return "\n".join(["name\ta\tb\tc", *rows, ""])


class TestPredict:
    def test_the_table_goes_to_standard_output_and_one_line_says_what_ran(self, zoo: Zoo, folder: Path) -> None:
        status, out, err = zoo("predict", "--weights", "w.safetensors", *RUNTIME, "seqs.fa")
        weights_id = random_checkpoint(ODD).spec.weights_id
        assert status == 0
        assert out == expected_table(folder)
        assert err == f"zoo: 10 sequences, 1 mostly unknown; kmer-cpu; weights {weights_id[:12]}\n"

    def test_with_an_output_name_the_table_and_its_description_are_written(self, zoo: Zoo, folder: Path) -> None:
        status, out, _ = zoo("predict", "--weights", "w.safetensors", *RUNTIME, "seqs.fa", "-o", "out.tsv")
        assert (status, out) == (0, "")
        assert Path("out.tsv").read_text() == expected_table(folder)
        described = json.loads(Path("out.tsv.json").read_text())
        assert described["command"] == "zoo predict --weights w.safetensors --runtime kmer-cpu seqs.fa -o out.tsv"
        assert described["inputs"] == [{"file": "seqs.fa", "records": 10}]
        assert sorted(path.name for path in folder.iterdir()) == ["out.tsv", "out.tsv.json", "seqs.fa", "w.safetensors"]

    def test_options_reach_the_reader_and_the_runtime(self, zoo: Zoo, folder: Path) -> None:
        (folder / "other.fa").write_text(">s\nRY\n")
        options = ("--resize", "center", "--ambiguous", "n", "--batch-size", 3, "--threads", 1, "-o", "-")
        status, out, err = zoo("predict", "--weights", "w.safetensors", *RUNTIME, "other.fa", *options)
        assert status == 0
        assert len(out.splitlines()) == 2
        assert "1 sequences, 1 resized, 2 ambiguous letters, 1 mostly unknown;" in err


def run_zoo(*arguments: object, **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "zoo", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, env=environment(), **options)  # type: ignore[call-overload]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def heed_signals() -> None:
    """In a process that is started from one that ignores them, as by `make test &` or nohup."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class TestProcess:
    """What only a process of its own shows: pipes and signals."""

    def test_standard_input_is_read_compressed_or_not(self, folder: Path) -> None:
        content = (folder / "seqs.fa").read_bytes()
        for given in (content, gzip.compress(content)):
            result = run_zoo("predict", "--weights", "w.safetensors", *RUNTIME, "-", input=given, cwd=folder)
            assert result.returncode == 0
            assert result.stdout.decode() == expected_table(folder)

    def test_a_closed_pipe_is_silent(self, folder: Path) -> None:
        (folder / "many.fa").write_text(f">s\n{'A' * ODD.sequence_length}\n" * 50_000)
        command = [sys.executable, "-m", "zoo", "predict", "--weights", "w.safetensors", *RUNTIME, "many.fa"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, cwd=folder, env=environment()) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == b"name\ta\tb\tc\n"
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait() == 0

    @pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
    def test_ctrl_c_leaves_nothing_and_exits_130(self, folder: Path) -> None:
        before = sorted(folder.iterdir())
        command = [sys.executable, "-m", "zoo", "predict", "--weights", "w.safetensors", *RUNTIME, "-", "-o", "out.tsv"]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=folder, env=environment(), preexec_fn=heed_signals
        ) as process:
            assert process.stdin is not None
            assert process.stderr is not None
            process.stdin.write(f">s\n{'A' * ODD.sequence_length}\n".encode())
            process.stdin.flush()
            # it has begun to write, and waits for more input, which does not come
            while not list(folder.glob(".out.tsv.*")) and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            assert process.wait() == 130
            assert process.stderr.read() == b"zoo: interrupted\n"
        assert sorted(folder.iterdir()) == before


def limit_files(size: int) -> Callable[[], None]:
    """For a process: no file of more than `size` bytes, as if the disk were full."""

    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def limit_memory(size: int) -> Callable[[], None]:
    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size, size))

    return limit


@pytest.mark.skipif(sys.platform == "win32", reason="limits and signals as on POSIX")
class TestEnds:
    """Point: whatever ends a command, it says so in one line and leaves nothing behind."""

    @pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
    def test_a_signal_cleans_up_as_ctrl_c_does(self, folder: Path, number: int, status: int) -> None:
        before = sorted(folder.iterdir())
        command = [sys.executable, "-m", "zoo", "predict", "--weights", "w.safetensors", *RUNTIME, "-", "-o", "out.tsv"]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=folder, env=environment(), preexec_fn=heed_signals
        ) as process:
            assert process.stderr is not None
            while not list(folder.glob(".out.tsv.*")) and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(number)
            assert process.wait() == status
            assert process.stderr.read() == f"zoo: ended by {signal.Signals(number).name}\n".encode()
        assert sorted(folder.iterdir()) == before

    def test_ctrl_c_while_libraries_are_imported_is_one_line(self, folder: Path) -> None:
        """The library that is being imported is one that sends the signal and loses the exception that comes of it."""
        for name, body in {
            "cyclopts": "os.kill(os.getpid(), signal.SIGINT)",
            "h5py": "try:\n    os.kill(os.getpid(), signal.SIGINT)\nexcept BaseException: raise ImportError('no')",
        }.items():
            path = folder / name
            path.mkdir()
            (path / f"{name}.py").write_text(f"import os, signal\n{body}\n")
            (folder / "w.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
            result = subprocess.run(
                [sys.executable, "-m", "zoo", "import", "w.h5", "-o", "out.safetensors"],
                capture_output=True,
                check=False,
                cwd=folder,
                env={**environment(), "PYTHONPATH": os.pathsep.join([str(path), str(ROOT)])},
                preexec_fn=heed_signals,
            )
            assert (result.returncode, result.stderr, result.stdout) == (130, b"zoo: interrupted\n", b"")

    def test_bench_leaves_no_process_behind(self, folder: Path) -> None:
        command = [sys.executable, "-m", "zoo", "bench", "--weights", "w.safetensors"]
        command += ["--runtimes", "kmer-cpu", "--seconds", "1000"]
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=environment(),
            preexec_fn=heed_signals,
        ) as process:
            assert process.stderr is not None
            assert process.stderr.readline() == b"zoo: measuring kmer-cpu\n"
            parent = psutil.Process(process.pid)
            while not (children := parent.children(recursive=True)):
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            assert process.wait() == 143
            assert process.stderr.read() == b"zoo: ended by SIGTERM\n"
        _, alive = psutil.wait_procs(children, timeout=60)
        assert not alive

    @pytest.mark.parametrize(
        "command",
        [
            ("predict", "many.fa", "--weights", "w.safetensors", *RUNTIME, "-o", "out.tsv"),
            (
                "import",
                "port.pt",
                "--flatten",
                "channel",
                "--targets",
                "a,b,c",
                "--length",
                "53",
                "--alphabet",
                "ACGT",
                "--epsilon",
                "0.001",
                "-o",
                "out.safetensors",
            ),
            ("export", "original", "--weights", "w.safetensors", "--keras", "-o", "out.h5"),
            ("export", "original", "--weights", "w.safetensors", "--onnx", "-o", "out.onnx"),
        ],
        ids=["predict", "import", "export keras", "export onnx"],
    )
    def test_a_full_disk_leaves_nothing(self, folder: Path, command: tuple[str, ...]) -> None:
        (folder / "many.fa").write_text(f">s\n{'A' * ODD.sequence_length}\n" * 500)
        if command[0] == "import":
            torch = pytest.importorskip("torch")
            from zoo.weights import network

            torch.save(network.from_checkpoint(random_checkpoint(ODD)).state_dict(), folder / "port.pt")
        before = sorted(folder.iterdir())
        result = run_zoo(*command, cwd=folder, preexec_fn=limit_files(4096))
        assert result.returncode == 2
        output = command[-1]
        assert result.stderr.decode() == f"zoo: {output}: cannot be written (File too large)\n"
        assert sorted(folder.iterdir()) == before

    def test_a_full_disk_ends_a_training_and_leaves_nothing(self, folder: Path) -> None:
        pytest.importorskip("torch")
        before = sorted(write_training(folder))
        result = run_zoo(*TRAIN, cwd=folder, preexec_fn=limit_files(2048))
        assert result.returncode == 2
        assert re.fullmatch(
            r"zoo: run/checkpoints/[0-9-]+\.safetensors: cannot be written \(File too large\)\n"
            r"|zoo: run/weights\.safetensors: cannot be written \(File too large\)\n",
            result.stderr.decode().splitlines(keepends=True)[-1],
        )
        assert sorted(folder.iterdir()) == before

    @pytest.mark.parametrize("megabytes", [30, 60])
    def test_libraries_that_want_more_memory_are_one_line(self, folder: Path, megabytes: int) -> None:
        result = run_zoo("predict", "seqs.fa", cwd=folder, preexec_fn=limit_memory(megabytes << 20))
        assert result.returncode == 2
        text = result.stderr.decode()
        assert text.startswith("zoo: ")
        assert text.count("\n") == 1
        assert "memory" in text


TRAIN = ("train", "small.toml", "--data", "data.tsv", "--split-by", "fraction", "-o", "run")


def write_training(folder: Path) -> list[Path]:
    """A small network and its data; all files of the folder."""
    generator = np.random.default_rng(0)
    rows = ["".join("ACGT"[code] for code in row) for row in generator.integers(0, 4, (200, 40))]
    table = "".join(f"{row}\t{row.count('G') / 10}\t{row.count('A') / 10}\n" for row in rows)
    (folder / "data.tsv").write_text(f"sequence\tdev\thk\n{table}")
    (folder / "small.toml").write_text(
        "[model]\narchitecture = 'deepstarr'\nfilters = [8, 6]\nkernel_sizes = [5, 4]\ndense_units = [8]\n"
        "sequence_length = 40\n[train]\nepochs = 3\nbatch_size = 16\n"
    )
    return list(folder.iterdir())


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


def one_line(zoo: Zoo, message: str, *arguments: object) -> None:
    status, out, err = zoo(*arguments)
    assert status == 2
    assert out == ""
    assert err.startswith("zoo: ")
    assert err.count("\n") == 1
    assert message in err


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

        monkeypatch.setattr("zoo.formats.prediction_table.rows", fill)
        arguments = ("--weights", "w.safetensors", *RUNTIME, "seqs.fa", "-o", "out.tsv")
        one_line(zoo, "No space left on device", "predict", *arguments)

    def test_memory_that_runs_out(self, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
        def exhaust(*_: object) -> bytes:
            raise MemoryError

        monkeypatch.setattr("zoo.formats.prediction_table.rows", exhaust)
        arguments = ("--weights", "w.safetensors", *RUNTIME, "seqs.fa", "-o", "out.tsv")
        one_line(zoo, "zoo: out of memory\n", "predict", *arguments)


class Bomb:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("exploded",)


class TestLookingAround:
    def test_help_without_arguments_and_the_version(self, zoo: Zoo) -> None:
        status, out, _ = zoo()
        assert status == 0
        for name in ("predict", "import", "export", "parity", "list", "info", "doctor"):
            assert f"\n  {name} " in out
        assert zoo("--version") == (0, f"zoo {package.__version__}\n", "")

    def test_debug_shows_the_traceback(self, folder: Path) -> None:
        result = run_zoo("--debug", "predict", "--weights", "w.safetensors", *RUNTIME, "none.fa", cwd=folder)
        assert result.returncode == 1
        assert b"Traceback" in result.stderr
        assert b"none.fa: no such file" in result.stderr

    def test_list_shows_every_runtime_and_why_it_cannot_be_used(self, zoo: Zoo, folder: Path) -> None:  # noqa: ARG002
        status, out, _ = zoo("list")
        assert status == 0
        for name in session.runtime_names():
            mark = "-" if session.missing(name) else "+"
            assert f"  {mark} {name}" in out
            assert (session.missing(name) or "") in out
        assert "+ original  deepstarr, 249 bases to dev, hk, 624,738 numbers" in out
        listed = json.loads(zoo("list", "--json")[1])
        assert listed.keys() == {"models", "weights", "runtimes", "formats"}
        assert {entry["name"] for entry in listed["formats"]} >= {"keras", "onnx"}

    def test_info_says_what_a_weights_file_is(self, zoo: Zoo, folder: Path) -> None:
        status, out, _ = zoo("info", "w.safetensors")
        spec = random_checkpoint(ODD).spec
        assert status == 0
        for text in (spec.weights_id, "53 bases, alphabet ACGT", "a, b, c", "random numbers", "[9, 5, 7]"):
            assert text in out
        described = json.loads(zoo("info", "w.safetensors", "--json")[1])
        assert described == inventory.describe(folder / "w.safetensors") | {"file": "w.safetensors"}
        assert described["numbers"] == sum(array.size for array in random_checkpoint(ODD).arrays.values())

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("none.onnx", "none.onnx: no such file"),
            ("seqs.fa", "seqs.fa: expected a .safetensors or .onnx file, got .fa"),
            (".", ".: expected a weights file, this is a folder"),
        ],
    )
    def test_info_refuses_what_says_nothing(self, zoo: Zoo, folder: Path, name: str, message: str) -> None:  # noqa: ARG002
        one_line(zoo, message, "info", name)

    def test_doctor_reports_this_machine(self, zoo: Zoo, folder: Path) -> None:  # noqa: ARG002
        status, out, _ = zoo("doctor")
        assert status == 0
        for text in (sys.executable, "onnxruntime", "CPUExecutionProvider", os.environ["ZOO_HOME"], "cores usable"):
            assert text in out
        report = json.loads(zoo("doctor", "--json")[1])
        assert report["runtimes"] == {name: session.missing(name) or "ready" for name in session.runtime_names()}
        sets = kernel.instruction_sets()
        assert report["kmer"]["k-mer tables"].startswith(sets[0] if sets else "not built")
        assert report["deepstarr"]["training step"].startswith(("ready", "not built", "needs a processor"))
        if not shutil.which("nvidia-smi"):
            assert report["machine"]["GPU"] == "none: nvidia-smi is not there"


def test_the_progress_bar_shows_on_a_terminal_when_the_work_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.cli import progress

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def drawn(patience: float, terminal: io.StringIO) -> str:
        monkeypatch.setattr(progress, "PATIENCE_SECONDS", patience)
        monkeypatch.setattr(sys, "stderr", terminal)
        with progress.Bar("sequences", 100) as bar:
            bar.update(50, 1234)
        return terminal.getvalue()

    assert "1,234 sequences" in drawn(0, Terminal())
    assert drawn(1000, Terminal()) == ""
    assert drawn(0, io.StringIO()) == ""
