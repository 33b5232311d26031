"""The whole command, from FASTA to table: compared with other programs, at growing sizes, and its start."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measure import INSTALL, Usage, needs, random_fasta, random_weights, run, zoo
from benchmarks.peers import naive_graph
from benchmarks.report import LEFT_OUT
from zoo import registry
from zoo.layers import keras_layers
from zoo.prediction import session
from zoo.system import machine
from zoo.weights import checkpoint
from zoo.weights.checkpoint import Checkpoint

WINDOWS = 41_186
"""Records of the published test set."""

ROUNDS = 2
LONG = 15.0
"""A command that takes more seconds than this runs only once, since disturbances matter less in a long run."""

LEAST_STARTS, MOST_STARTS = 5, 20
BLOCK = 1_000
STRETCH = 100
"""Consecutive blocks to give the best rate of, beside that of the whole run."""

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
RUNTIMES = ("kmer-cpu", "onnx-cpu")


@pytest.fixture(scope="module")
def weights() -> Checkpoint:
    return random_weights("original")


@pytest.fixture(scope="module")
def folder(weights: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the weights."""
    path = tmp_path_factory.mktemp("command")
    checkpoint.save(weights, path / "zoo.safetensors")
    return path


@pytest.fixture(scope="module")
def with_peers(weights: Checkpoint, folder: Path) -> Path:
    """The folder, with the same weights also in the format of each other program."""
    needs("torch", "scipy", "Bio", "pandas")
    import torch

    from benchmarks.peers.training_loop import port

    registry.load("exporters", "keras").export(weights, folder / "keras.h5")
    (folder / "keras.json").write_text(json.dumps(keras_layers.graph(weights.spec)))
    (folder / "naive.onnx").write_bytes(naive_graph.graph(weights.config, weights.arrays))
    config = weights.config
    module = port(config.filters, config.kernel_sizes, config.dense_units)
    ours = iter(torch.from_numpy(array) for array in weights.arrays.values())
    names = [name for name in module.state_dict() if not name.endswith("num_batches_tracked")]
    module.load_state_dict(dict(zip(names, ours, strict=True)), strict=False)
    torch.save(module.state_dict(), folder / "port.pt")
    return folder


def peers(folder: Path, fasta: Path) -> tuple[dict[str, list[str]], list[str]]:
    """Command lines of the programs that can run here, and a line for each that cannot."""
    output = folder / "out.tsv"

    def peer(name: str, *arguments: object) -> list[str]:
        return [sys.executable, "-m", f"benchmarks.peers.{name}", *map(str, (*arguments, fasta, output))]

    ways = {
        f"zoo predict, {name}": zoo(
            "predict", "--weights", folder / "zoo.safetensors", "--runtime", name, fasta, "-o", output, "--overwrite"
        )
        for name in RUNTIMES
    }
    ways["ONNX Runtime, naive graph"] = peer("inference_engine", "onnxruntime", folder / "naive.onnx")
    missing = []
    if importlib.util.find_spec("openvino"):
        ways["OpenVINO"] = peer("inference_engine", "openvino", folder / "naive.onnx")
    else:
        missing.append(f"the whole command, OpenVINO: openvino is not installed; {INSTALL}")
    ways["PyTorch port"] = peer("pytorch_port", folder / "port.pt")
    if reason := session.missing("keras-cpu"):
        missing.append(f"the whole command, Keras script: {reason}")
    else:
        ways["Keras script"] = peer("keras_script", folder / "keras.json", folder / "keras.h5")
    return ways, missing


def test_against_the_peers(benchmark: Any, with_peers: Path) -> None:
    """All programs run on the same file, in turns; all write the same table."""
    folder = with_peers
    fasta = folder / "windows.fa"
    fasta.write_bytes(random_fasta(WINDOWS, 249))
    ways, missing = peers(folder, fasta)
    used: dict[str, list[Usage]] = {name: [] for name in ways}

    def turns() -> None:
        for _, (name, command) in itertools.product(range(ROUNDS), ways.items()):
            if used[name] and used[name][0].seconds > LONG:
                continue
            used[name].append(run(command))
            assert (folder / "out.tsv").read_bytes().count(b"\n") == WINDOWS + 1

    benchmark.pedantic(turns, rounds=1)
    seconds = {name: min(usage.seconds for usage in usages) for name, usages in used.items()}
    fastest = seconds[f"zoo predict, {RUNTIMES[0]}"]
    benchmark.extra_info[LEFT_OUT] = missing
    benchmark.extra_info["table"] = f"the whole command, {WINDOWS:,} windows from FASTA to table"
    benchmark.extra_info["rows"] = [
        {
            "way": name,
            "seconds": round(seconds[name], 1),
            "zoo is faster by": round(seconds[name] / fastest, 1),
            "processor seconds": round(min(usage.busy for usage in usages), 1),
            "peak MB": round(max(usage.memory for usage in usages) / 1e6),
        }
        for name, usages in used.items()
    ]


def test_scaling(benchmark: Any, folder: Path, request: pytest.FixtureRequest) -> None:
    """Time and memory at growing sizes, from a pipe. The rate is without the time of a run with one record.

    The rate of the fastest 100,000 consecutive records shows whether a long run slows down.
    """
    runtime = request.config.getoption("--runtime")
    block = random_fasta(BLOCK, 249)
    command = zoo("predict", "--weights", folder / "zoo.safetensors", "--runtime", runtime, "-")
    sizes = [size for size in SIZES if size <= request.config.getoption("--records")]
    used: dict[int, Usage] = {}

    def sizes_in_turn() -> None:
        used[0] = run(command, random_fasta(1, 249), 1)
        for size in sizes:
            used[size] = run(command, block, size // BLOCK)

    benchmark.pedantic(sizes_in_turn, rounds=1)
    benchmark.extra_info["table"] = f"scaling of zoo predict, {runtime}"
    benchmark.extra_info["rows"] = []
    for size in sizes:
        pace = used[size].best_pace(STRETCH)
        row = {
            "records": size,
            "seconds": round(used[size].seconds, 1),
            "records a second, start left out": round(size / max(used[size].seconds - used[0].seconds, 1e-9)),
            f"in the fastest {STRETCH * BLOCK:,}": round(STRETCH * BLOCK / pace) if pace else "",
            "peak MB": round(used[size].memory / 1e6),
        }
        benchmark.extra_info["rows"].append(row)


@pytest.mark.parametrize("threads", sorted({1, machine.cores()}))
def test_threads(benchmark: Any, folder: Path, threads: int) -> None:
    size = 100_000
    command = zoo(
        "predict", "--weights", folder / "zoo.safetensors", "--runtime", "kmer-cpu", "--threads", threads, "-"
    )
    used: list[Usage] = []
    block = random_fasta(BLOCK, 249)
    benchmark.pedantic(lambda: used.append(run(command, block, size // BLOCK)), rounds=ROUNDS)
    benchmark.extra_info["table"] = f"threads, {size:,} records, kmer-cpu"
    best = min(used, key=lambda usage: usage.seconds)
    benchmark.extra_info["rows"] = [
        {"threads": threads, "seconds": round(best.seconds, 1), "processor seconds": round(best.busy, 1)}
    ]


@pytest.mark.parametrize("what", ["zoo --help", "zoo predict of one sequence, cold", "zoo export --onnx"])
def test_start(benchmark: Any, folder: Path, what: str, budget: float) -> None:
    one = random_fasta(1, 249)
    weights = folder / "zoo.safetensors"
    command, block = {
        "zoo --help": (zoo("--help"), b""),
        "zoo predict of one sequence, cold": (zoo("predict", "--weights", weights, "-"), one),
        "zoo export --onnx": (
            zoo("export", "original", "--onnx", "--weights", weights, "-o", folder / "x.onnx", "--overwrite"),
            b"",
        ),
    }[what]
    run(command, block, 1)
    used: list[Usage] = []

    def runs() -> None:
        end = time.perf_counter() + budget
        while len(used) < LEAST_STARTS or (len(used) < MOST_STARTS and time.perf_counter() < end):
            used.append(run(command, block, 1))

    benchmark.pedantic(runs, rounds=1)
    milliseconds = sorted(1e3 * usage.seconds for usage in used)
    benchmark.extra_info["table"] = "start and latency"
    benchmark.extra_info["rows"] = [
        {
            "what": what,
            "best ms": round(milliseconds[0]),
            "median ms": round(milliseconds[len(milliseconds) // 2]),
            "runs": len(used),
        }
    ]
