"""All runtimes and precisions of a GPU, compared with the least time that arithmetic and bus allow.

The floor is the longer of two: the multiplications of the network at the rate of one large matrix product of the same
precision, and the bytes of base codes and activities at the rate of one large copy, both measured in the same run.

    pytest benchmarks/test_gpu.py --weights original.safetensors
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.measure import in_turns, random_fasta, random_weights, run, zoo
from zoo import registry
from zoo.models.deepstarr import Config
from zoo.options import RunOptions
from zoo.prediction import session
from zoo.weights import checkpoint

ENGINES = ("torch", "onnx")
PRECISIONS = ("fp32", "tf32", "bf16")
SEARCHES = ("HEURISTIC", "EXHAUSTIVE", "DEFAULT")
REFERENCE = "onnx-cpu"
CHECKED = 2048
"""Sequences to compare with the predictions of the reference."""

BLOCK = 1_000


class Machine:
    """Weights, sequences and limits of the device, shared by the benchmarks of this file."""

    def __init__(self, options: Any, folder: Path) -> None:
        self.device: str = options.getoption("--device")
        if reason := session.missing(f"torch-{self.device}"):
            pytest.skip(reason)
        given = options.getoption("--weights")
        self.weights = checkpoint.load(given) if given else random_weights("original")
        self.file = folder / "weights.safetensors"
        checkpoint.save(self.weights, self.file)
        self.sequences: int = 200_000 if self.device == "cuda" else 512
        length = self.weights.spec.sequence_length
        self.codes = np.random.default_rng(0).integers(0, 4, (self.sequences, length), np.uint8)
        self.expected = session.open_session(self.weights, REFERENCE).predict(self.codes[:CHECKED])

    def ways(self) -> Iterator[tuple[str, str]]:
        """All available runtimes and precisions."""
        for engine in ENGINES:
            for precision in registry.load("runtimes", engine).PRECISIONS[self.device]:
                if session.missing(f"{engine}-{self.device}") is None:
                    yield f"{engine}-{self.device}", precision

    def floor(self, precision: str) -> float:
        """Sequences a second that no program can exceed."""
        spec = self.weights.spec
        moved = spec.sequence_length + 4 * len(spec.targets)
        return min(self._products(precision) / operations(self.weights.config), self._copies() / moved)

    def _products(self, precision: str, size: int = 8192) -> float:
        """Floating-point operations a second of a large matrix product."""
        import torch

        size = size if self.device == "cuda" else 512
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        left = torch.randn(size, size, device=self.device, dtype=dtype)
        with registry.load("runtimes", "torch").tensor_float_32(precision == "tf32"):
            return 2 * size**3 / self._seconds(lambda: left @ left)

    def _copies(self, size: int = 2**28) -> float:
        """Bytes a second from page-locked memory to the device."""
        import torch

        there = torch.empty(size, dtype=torch.uint8, device=self.device)
        here = torch.empty(size, dtype=torch.uint8, pin_memory=self.device == "cuda")
        return size / self._seconds(lambda: there.copy_(here, non_blocking=True))

    def _seconds(self, work: Any) -> float:
        import torch

        wait = torch.cuda.synchronize if self.device == "cuda" else lambda: None
        return in_turns({"": lambda: (work(), wait())}, 1.0)[""]


@pytest.fixture(scope="module")
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(request.config, tmp_path_factory.mktemp("gpu"))


def operations(config: Config) -> int:
    """Floating-point operations of one forward pass: two for each weight and position, without norms and biases."""
    channels = (4, *config.filters)
    convolutions = sum(
        length * kernel * given * made
        for length, kernel, given, made in zip(
            config.positions, config.kernel_sizes, channels, config.filters, strict=False
        )
    )
    units = (config.flat_features, *config.dense_units, len(config.targets))
    return 2 * (convolutions + sum(given * made for given, made in pairwise(units)))


@pytest.mark.gpu
def test_model_only(benchmark: Any, machine: Machine, budget: float) -> None:
    options = {way: RunOptions(precision=way[1]) for way in machine.ways()}
    running = {way: session.open_session(machine.weights, way[0], options[way]) for way in options}
    difference = {
        way: float(np.abs(one.predict(machine.codes[:CHECKED]) - machine.expected).max())
        for way, one in running.items()
    }
    turns = {" ".join(way): partial(one.predict, machine.codes) for way, one in running.items()}
    best: dict[str, float] = {}
    benchmark.pedantic(lambda: best.update(in_turns(turns, budget)), rounds=1)
    floors = {
        precision: machine.floor(precision) for precision in PRECISIONS if any(precision in way for way in running)
    }
    benchmark.extra_info["table"] = f"GPU, model only, {machine.weights.spec.architecture} original"
    benchmark.extra_info["rows"] = [
        {
            "runtime": way[0],
            "precision": way[1],
            "sequences a second": round(machine.sequences / best[" ".join(way)]),
            "floor, sequences a second": round(floors[way[1]]),
            "time over floor": round(floors[way[1]] * best[" ".join(way)] / machine.sequences, 2),
            "largest difference to float32 on the CPU": f"{difference[way]:.1e}",
        }
        for way in running
    ]


@pytest.mark.gpu
def test_search_for_convolutions(
    benchmark: Any, machine: Machine, budget: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compare the ways in which cuDNN can choose its algorithms; runtimes/zoo_runtimes/onnx/ uses the fastest."""
    runtime = f"onnx-{machine.device}"
    if reason := session.missing(runtime):
        pytest.skip(reason)
    module = registry.load("runtimes", "onnx")
    running = {}
    for search in SEARCHES:
        monkeypatch.setattr(module, "CONVOLUTION_SEARCH", search)
        for precision in module.PRECISIONS[machine.device]:
            options = RunOptions(precision=precision)
            running[f"{search.lower()}, {precision}"] = session.open_session(machine.weights, runtime, options)
    turns = {way: partial(one.predict, machine.codes) for way, one in running.items()}
    best: dict[str, float] = {}
    benchmark.pedantic(lambda: best.update(in_turns(turns, budget)), rounds=1)
    benchmark.extra_info["table"] = f"GPU, cuDNN's search for algorithms, {runtime}"
    benchmark.extra_info["rows"] = [
        {"search": way, "sequences a second": round(machine.sequences / seconds)} for way, seconds in best.items()
    ]


@pytest.mark.gpu
def test_whole_command(benchmark: Any, machine: Machine) -> None:
    """The whole command, FASTA from a pipe to a table. The rate is without the time of a run with one record."""
    records = 1_000_000 if machine.device == "cuda" else 2_000
    block = random_fasta(BLOCK, machine.weights.spec.sequence_length)
    rows: list[dict[str, Any]] = []

    def commands() -> None:
        for runtime, precision in machine.ways():
            command = zoo("predict", "--weights", machine.file, "--runtime", runtime, "--precision", precision, "-")
            start = run(command, random_fasta(1, machine.weights.spec.sequence_length), 1)
            whole = run(command, block, records // BLOCK)
            rows.append(
                {
                    "runtime": runtime,
                    "precision": precision,
                    "start, s": round(start.seconds, 1),
                    "seconds": round(whole.seconds, 1),
                    "records a second, start left out": round(records / max(whole.seconds - start.seconds, 1e-9)),
                    "peak MB": round(whole.memory / 1e6),
                }
            )

    benchmark.pedantic(commands, rounds=1)
    benchmark.extra_info["table"] = f"GPU, the whole command, {records:,} records"
    benchmark.extra_info["rows"] = rows
