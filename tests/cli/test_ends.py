"""A command that ends by a signal, a full disk or lack of memory prints one line and leaves no partial file."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from checkpoints import ODD, random_checkpoint
from command_line import ROOT, RUNTIME, WITHOUT_BYTECODE, Zoo, environment, heed_signals, predicting, run_zoo


def limit_files(size: int) -> Callable[[], None]:
    """Limit the files of a process to `size` bytes, as if the disk were full."""

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
    """Point: a command that is stopped says so in one line and leaves nothing behind."""

    @pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
    def test_a_signal_cleans_up_as_ctrl_c_does(self, folder: Path, number: int, status: int) -> None:
        before = sorted(folder.iterdir())
        with predicting(folder) as process:
            assert process.stderr is not None
            process.send_signal(number)
            assert process.wait() == status
            line, advice = process.stderr.read().decode().splitlines()
            assert signal.Signals(number).name in line
            assert "no output file was written" in advice
        assert sorted(folder.iterdir()) == before

    def test_ctrl_c_while_libraries_are_imported_shows_no_traceback(self, folder: Path) -> None:
        """The library that is imported sends the signal, and one of them hides the exception of the signal."""
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
            assert (result.returncode, result.stdout) == (130, b"")
            line, *more = result.stderr.splitlines()
            assert line == b"zoo: interrupted"
            assert all(b"no output file" in one for one in more)

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
            assert b"kmer-cpu" in process.stderr.readline()
            parent = psutil.Process(process.pid)
            while not (children := parent.children(recursive=True)):
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            assert process.wait() == 143
            assert b"SIGTERM" in process.stderr.read()
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
        result = run_zoo(*command, cwd=folder, preexec_fn=limit_files(4096), env=WITHOUT_BYTECODE)
        assert result.returncode == 2
        output = command[-1]
        text = result.stderr.decode()
        assert text.startswith(f"zoo: {output}: ")
        assert "File too large" in text
        assert text.count("\n") == 1
        assert sorted(folder.iterdir()) == before

    def test_a_full_disk_stops_a_training_and_leaves_nothing(self, folder: Path) -> None:
        pytest.importorskip("torch")
        before = sorted(write_training(folder))
        result = run_zoo(*TRAIN, cwd=folder, preexec_fn=limit_files(2048), env=WITHOUT_BYTECODE)
        assert result.returncode == 2
        last = result.stderr.decode().splitlines()[-1]
        assert re.match(r"zoo: run/(checkpoints/[0-9-]+|weights)\.safetensors: ", last)
        assert "File too large" in last
        assert sorted(folder.iterdir()) == before

    @pytest.mark.parametrize("megabytes", [30, 60])
    def test_lack_of_memory_for_libraries_is_one_line(self, folder: Path, megabytes: int) -> None:
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


@pytest.mark.parametrize(
    ("shard", "words"), [((), "with --resume continues"), (("--shard", "1/2"), "command continues")]
)
def test_a_long_run_says_how_to_go_on(
    zoo: Zoo, folder: Path, monkeypatch: pytest.MonkeyPatch, shard: tuple[str, ...], words: str
) -> None:
    from zoo.genome import scan

    (folder / "genome.fa").write_text(f">chr\n{'ACGTTGCA' * 100}\n")
    common = ("scan", "genome.fa", "--weights", "w.safetensors", *RUNTIME, "--format", "bedgraph", "-o", "out")
    compute, done = scan.Scan.compute, []

    def stopped(work: scan.Scan, part: int, *rest: object) -> object:
        if done:
            raise KeyboardInterrupt
        done.append(part)
        return compute(work, part, *rest)

    monkeypatch.setattr(scan.Scan, "compute", stopped)
    status, _, err = zoo(*common, "--part-size", "100", *shard)
    line, advice = err.splitlines()
    assert (status, line) == (130, "zoo: interrupted")
    assert words in advice
    assert "out.parts" in advice
    done.append(0)
    status, _, err = zoo(*common, "--overwrite", "-o", "whole")
    assert (status, err.splitlines()) == (
        130,
        [line, "zoo: no output file was written; the same command starts again"],
    )
