"""Model only: sequences a second of kmer-cpu against ONNX Runtime, PyTorch and the matrix products of the machine.

All in one run, in turns, the best turn of each: what else the machine does hits them alike.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from unittest import mock

import numpy as np
import pytest

from benchmarks.peers import naive_graph
from zoo import devices, encoding, network, registry
from zoo.checkpoint import Checkpoint
from zoo.kmer import kernel, tables
from zoo.models.deepstarr import VARIANTS, Config
from zoo.session import Options, open_session

torch = pytest.importorskip("torch")

SEQUENCES = 1024
ROUNDS = 5
NAIVE_BATCHES = (16, 32, 128, 1024)
EAGER_BATCH = 128
SQUARE = 2048
"""Side of the matrices whose product measures the ceiling."""


def operations(config: Config) -> int:
    """Floating-point operations a sequence of the network computed in full, a multiplication and an addition each."""
    channels = (4, *config.filters)
    convolutions = sum(
        length * size * channels[number] * channels[number + 1]
        for number, (length, size) in enumerate(zip(config.positions, config.kernel_sizes, strict=False))
    )
    units = (config.flat_features, *config.dense_units, len(config.targets))
    return 2 * (convolutions + sum(before * after for before, after in itertools.pairwise(units)))


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_model_only(benchmark, variant: str) -> None:
    """Sequences a second and ratios go into extra_info; random weights, whose values do not matter here."""
    config = VARIANTS[variant]
    module = registry.load("models", "deepstarr").network(config)
    weights = network.to_checkpoint(module, "deepstarr", "random numbers", "none")
    codes = np.random.default_rng(0).integers(0, 4, (SEQUENCES, config.sequence_length), np.uint8)
    runs = _contenders(weights, codes)
    best = dict.fromkeys(runs, float("inf"))
    for run in runs.values():
        run()

    def turns() -> None:
        for _, (name, run) in itertools.product(range(ROUNDS), runs.items()):
            began = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - began)

    benchmark.pedantic(turns, rounds=1)
    rates = {name: SEQUENCES / seconds for name, seconds in best.items()}
    products = [rates.pop("matrix product, NumPy"), rates.pop("matrix product, PyTorch")]
    rates["matrix product ceiling"] = max(products) / SEQUENCES * 2 * SQUARE**3 / operations(config)
    naive = [rates.pop(f"naive graph, batch {batch}") for batch in NAIVE_BATCHES]
    rates["naive graph, ONNX Runtime"] = max(naive)
    benchmark.group = f"model only, {variant}"
    benchmark.extra_info["sequences_per_second"] = {name: round(rate) for name, rate in rates.items()}
    ratios = {name: round(rates["kmer-cpu"] / rate, 2) for name, rate in rates.items()}
    benchmark.extra_info["kmer_cpu_is_faster_by"] = ratios
    benchmark.extra_info["threads"] = devices.cores()
    print(f"\nmodel only, {variant}: kmer-cpu {rates['kmer-cpu']:,.0f} sequences a second; faster by {ratios}")


def test_building_the_tables(benchmark) -> None:
    """Seconds from a checkpoint to tables."""
    from zoo.kmer.layers import fold

    config = VARIANTS["original"]
    module = registry.load("models", "deepstarr").network(config)
    layers = fold(config, network.arrays(module))
    built = benchmark.pedantic(lambda: tables.Tables(layers, tables.plan(config)), rounds=5, warmup_rounds=1)
    benchmark.group = "start"
    benchmark.extra_info["megabytes"] = round(built.plan.bytes / 1e6, 1)


def test_latency_of_one_sequence(benchmark) -> None:
    """Median and 99th percentile in a session that is loaded."""
    config = VARIANTS["original"]
    module = registry.load("models", "deepstarr").network(config)
    session = open_session(network.to_checkpoint(module, "deepstarr", "random numbers", "none"), "kmer-cpu")
    codes = np.random.default_rng(0).integers(0, 4, (1, config.sequence_length), np.uint8)
    benchmark.pedantic(session.predict, (codes,), rounds=400, warmup_rounds=5)
    benchmark.group = "latency of one sequence"
    seconds = np.array(benchmark.stats.stats.data)
    benchmark.extra_info["milliseconds"] = {f"p{p}": round(1e3 * np.percentile(seconds, p), 3) for p in (50, 99)}


def _contenders(weights: Checkpoint, codes: np.ndarray) -> dict[str, Callable[[], object]]:
    one_hot = np.ascontiguousarray(encoding.one_hot(codes).transpose(0, 2, 1))
    naive = naive_graph.session(weights.config, weights.arrays, devices.cores())
    runs: dict[str, Callable[[], object]] = {
        f"naive graph, batch {batch}": lambda batch=batch: [
            naive(one_hot[first : first + batch]) for first in range(0, SEQUENCES, batch)
        ]
        for batch in NAIVE_BATCHES
    }
    eager = open_session(weights, "torch-cpu", Options(batch_size=EAGER_BATCH))
    runs["torch-cpu, batch 128"] = lambda: eager.predict(codes)
    onnx = open_session(weights, "onnx-cpu")
    runs["onnx-cpu"] = lambda: onnx.predict(codes)
    square = np.random.default_rng(0).random((SQUARE, SQUARE), np.float32)
    tensor = torch.from_numpy(square)
    runs["matrix product, NumPy"] = lambda: square @ square
    runs["matrix product, PyTorch"] = lambda: tensor @ tensor
    with mock.patch.object(kernel, "instruction_sets", return_value=[]):
        portable = open_session(weights, "kmer-cpu")
    runs["kmer-cpu without its kernel"] = lambda: portable.predict(codes)
    compiled = open_session(weights, "kmer-cpu")
    runs["kmer-cpu"] = lambda: compiled.predict(codes)
    return runs
