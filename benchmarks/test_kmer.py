"""Model only: sequences a second of kmer-cpu, ONNX Runtime and PyTorch, and the rate of matrix products.

kmer-cpu computes with each instruction set of the processor. ONNX Runtime always uses the fastest one: it chooses its
kernels from the processor alone, without an option or a variable (onnxruntime/core/mlas/lib/platform.cpp).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import numpy as np
import pytest
from zoo_runtimes.kmer import kernel, tables

from benchmarks.measure import in_turns, needs, random_weights
from benchmarks.peers import naive_graph
from zoo.dna import encoding
from zoo.models import deepstarr
from zoo.models.deepstarr import VARIANTS, Config
from zoo.options import RunOptions
from zoo.prediction.session import Session, open_session
from zoo.system import machine
from zoo.weights.checkpoint import Checkpoint

needs("torch")

import torch  # noqa: E402

SEQUENCES = 256
"""Sequences in a turn, unless a program has another batch size."""

NAIVE_BATCHES = (8, 16, 64, 256)
EAGER_BATCH = 128
SQUARE = 1024
"""Rows of the square matrices whose product measures the ceiling."""

THREADS = sorted({1, machine.cores()})


def operations(config: Config) -> int:
    """Multiplications and additions of the whole network for one sequence."""
    channels = (4, *config.filters)
    convolutions = sum(
        length * size * channels[number] * channels[number + 1]
        for number, (length, size) in enumerate(zip(config.positions, config.kernel_sizes, strict=False))
    )
    units = (config.flat_features, *config.dense_units, len(config.targets))
    return 2 * (convolutions + sum(before * after for before, after in itertools.pairwise(units)))


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("variant", [name for name, config in VARIANTS.items() if config.pool_size == tables.POOL])
def test_against_the_peers(benchmark: Any, variant: str, threads: int, budget: float) -> None:
    weights = random_weights(variant)
    config = weights.config
    codes = np.random.default_rng(0).integers(0, 4, (SEQUENCES, config.sequence_length), np.uint8)
    before = torch.get_num_threads()
    machine.keep_memory()
    try:
        ways = _ways(weights, codes, threads)
        torch.set_num_threads(threads)
        best: dict[str, float] = {}
        turns = {name: turn for name, (turn, _) in ways.items()}
        benchmark.pedantic(lambda: best.update(in_turns(turns, budget)), rounds=1)
    finally:
        torch.set_num_threads(before)
    rates = {name: ways[name][1] / seconds for name, seconds in best.items()}
    naive = {batch: rates.pop(naive_name(batch)) for batch in NAIVE_BATCHES}
    fastest = max(naive, key=lambda batch: naive[batch])
    rates[naive_name(fastest)] = naive[fastest]
    benchmark.extra_info["table"] = f"model only, {variant}, {threads} thread{'s' * (threads > 1)}"
    benchmark.extra_info["rows"] = [
        {"way": name, "sequences a second": round(rate), "kmer-cpu is faster by": round(rates["kmer-cpu"] / rate, 2)}
        for name, rate in rates.items()
    ]


def naive_name(batch: int) -> str:
    return f"ONNX Runtime, naive graph, batch {batch}"


def _ways(weights: Checkpoint, codes: np.ndarray, threads: int) -> dict[str, tuple[Callable[[], object], float]]:
    """Name -> function of one turn, and its number of sequences."""
    one_hot = np.ascontiguousarray(encoding.one_hot(codes).transpose(0, 2, 1))
    compiled = open_session(weights, "kmer-cpu", RunOptions(threads=threads))
    others: dict[str, Session] = {}
    # NumPy alone computes where the kernel is not compiled, as on Windows
    slower = {name: [name] for name in kernel.compiled_sets()[1:]} | {"without its kernel": []}
    for name, sets in slower.items():
        with mock.patch.object(kernel, "instruction_sets", return_value=sets):
            others[f"kmer-cpu, {name}"] = open_session(weights, "kmer-cpu", RunOptions(threads=threads))
    onnx = open_session(weights, "onnx-cpu", RunOptions(threads=threads))
    naive = naive_graph.session(weights.config, weights.arrays, threads)
    eager = open_session(weights, "torch-cpu", RunOptions(batch_size=EAGER_BATCH, threads=threads))
    square = torch.rand(SQUARE, SQUARE)
    product = 2 * SQUARE**3 / operations(weights.config)
    for session in (compiled, *others.values()):
        session.predict(np.repeat(codes, 4, axis=0))  # builds its tables
    ways: dict[str, tuple[Callable[[], object], float]] = {
        "kmer-cpu": (lambda: compiled.predict(codes), SEQUENCES),
        **{name: (lambda session=session: session.predict(codes), SEQUENCES) for name, session in others.items()},
        "onnx-cpu": (lambda: onnx.predict(codes[: onnx.batch_size]), min(SEQUENCES, onnx.batch_size)),
        f"PyTorch, eager, batch {EAGER_BATCH}": (lambda: eager.predict(codes[:EAGER_BATCH]), EAGER_BATCH),
        "float32 matrix products at full speed, dense": (lambda: square @ square, product),
    }
    for batch in NAIVE_BATCHES:
        ways[naive_name(batch)] = (lambda batch=batch: naive(one_hot[:batch]), batch)
    return ways


def test_latency_of_one_sequence(benchmark: Any) -> None:
    """Latency of one sequence in a loaded session."""
    session = open_session(random_weights("original"), "kmer-cpu")
    codes = np.random.default_rng(0).integers(0, 4, (1, session.spec.sequence_length), np.uint8)
    benchmark.pedantic(session.predict, (codes,), rounds=2000, warmup_rounds=5)
    seconds = np.array(benchmark.stats.stats.data)
    benchmark.stats.stats.data[:] = [seconds.min(), seconds.max()]
    benchmark.extra_info["table"] = "start and latency"
    row = {"what": "one sequence in a loaded session, kmer-cpu"}
    quantiles = {"best ms": 0, "median ms": 50, "p99 ms": 99}
    benchmark.extra_info["rows"] = [
        {**row, **{n: round(1e3 * np.percentile(seconds, q), 3) for n, q in quantiles.items()}}
    ]


def test_building_the_tables(benchmark: Any) -> None:
    weights = random_weights("original")
    layers = deepstarr.plain_layers(weights.config, weights.arrays)
    plan = tables.plan(layers.shape)
    with ThreadPoolExecutor(machine.cores()) as pool:
        build = lambda: tables.Tables(layers, plan, pool.map).fill()  # noqa: E731
        benchmark.pedantic(build, rounds=5, warmup_rounds=1)
    benchmark.extra_info["table"] = "start and latency"
    milliseconds = 1e3 * np.array(benchmark.stats.stats.data)
    row = {"what": f"k-mer tables of {plan.bytes / 1e6:.0f} MB from the weights"}
    timing = {"best ms": milliseconds.min(), "median ms": np.median(milliseconds)}
    benchmark.extra_info["rows"] = [{**row, **{name: round(float(value), 1) for name, value in timing.items()}}]
