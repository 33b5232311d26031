"""All windows along a contig: with shared work, one by one, with ONNX Runtime, and the limit of the arithmetic.

The speed depends on the weights, since zero inputs after ReLU are skipped. The default is bundled weights, see
--weights. The last row is the arithmetic that remains with sharing, at the fastest rate of the run: that of a large
matrix product of PyTorch, or of kmer-cpu one by one. kmer-cpu can be faster than that, since it skips zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zoo_runtimes.kmer import sharing, tables

from benchmarks.measure import in_turns, needs
from benchmarks.peers import naive_graph
from zoo.dna import encoding, windows
from zoo.models import deepstarr
from zoo.models.deepstarr import VARIANTS
from zoo.options import RunOptions
from zoo.prediction.session import Session, open_session
from zoo.system import machine
from zoo.weights import checkpoint, lookup
from zoo.weights.checkpoint import Checkpoint

needs("torch")

import torch  # noqa: E402

STRIDES = (1, 8, 16, 50)
MOST_WINDOWS = 200_000
BASES = 1_000_000
ONE_BY_ONE = 4096
"""Windows in a turn of predictions one by one."""

NAIVE = 64
"""Batch of the naive graph, about its fastest."""

SQUARE = 1024
"""Rows of the square matrices whose product measures the arithmetic of the machine."""

ONE_WAY, PRODUCT = "kmer-cpu, one by one", "a matrix product"
FLOOR = "what sharing leaves, none of it skipped, at the fastest arithmetic"


def weights_of(variant: str, given: Path | None) -> Checkpoint:
    weights = checkpoint.load(given) if given else lookup.load(variant)
    if weights.config != VARIANTS[variant]:
        pytest.skip(f"{given} holds another network than {variant}")
    return weights


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_windows_along_a_contig(
    benchmark: Any, variant: str, stride: int, budget: float, request: pytest.FixtureRequest
) -> None:
    weights = weights_of(variant, request.config.getoption("--weights"))
    length = weights.spec.sequence_length
    bases = min(BASES, (MOST_WINDOWS - 1) * stride + length)
    codes = np.random.default_rng(0).integers(0, 4, bases, np.uint8)
    threads, before = machine.cores(), torch.get_num_threads()
    machine.keep_memory()
    torch.set_num_threads(threads)
    try:
        running = open_session(weights, "kmer-cpu", RunOptions(threads=threads))
        difference = _difference(running, codes, stride)
        ways = _ways(weights, running, codes, stride)
        best: dict[str, float] = {}
        turns = {name: turn for name, (turn, _) in ways.items()}
        benchmark.pedantic(lambda: best.update(in_turns(turns, budget)), rounds=1)
    finally:
        torch.set_num_threads(before)
    rates = {name: ways[name][1] / seconds for name, seconds in best.items()}
    rates[FLOOR] = _floor(weights, stride, rates[ONE_WAY], rates.pop(PRODUCT))
    shared = rates["kmer-cpu, windows"]
    benchmark.extra_info["table"] = f"windows along a contig, stride {stride}, {variant}, {threads} threads"
    benchmark.extra_info["rows"] = [
        {"way": name, "windows a second": round(rate), "kmer-cpu, windows, is faster by": round(shared / rate, 2)}
        for name, rate in rates.items()
    ]
    benchmark.extra_info["rows"][0]["largest difference to one by one"] = f"{difference:.1e}"


def _difference(running: Session, codes: np.ndarray, stride: int) -> float:
    few = codes[: (ONE_BY_ONE - 1) * stride + running.spec.sequence_length]
    each = np.ascontiguousarray(windows.cut(few, running.spec.sequence_length, stride))
    return float(np.abs(running.windows(few, stride) - running.predict(each)).max())


def _ways(
    weights: Checkpoint, running: Session, codes: np.ndarray, stride: int
) -> dict[str, tuple[Callable[[], object], float]]:
    """Name -> function of one turn, and its number of windows."""
    threads = machine.cores()
    length = weights.spec.sequence_length
    each = np.ascontiguousarray(windows.cut(codes, length, stride)[:ONE_BY_ONE])
    onnx = open_session(weights, "onnx-cpu", RunOptions(threads=threads))
    naive = naive_graph.session(weights.config, weights.arrays, threads)
    one_hot = encoding.one_hot(each[:NAIVE], channels_first=True)
    square = torch.rand(SQUARE, SQUARE)
    few = each[: 8 * onnx.batch_size]
    return {
        "kmer-cpu, windows": (lambda: running.windows(codes, stride), windows.count(len(codes), length, stride)),
        ONE_WAY: (lambda: running.predict(each), len(each)),
        "onnx-cpu": (lambda: onnx.predict(few), len(few)),
        f"ONNX Runtime, naive graph, batch {NAIVE}": (lambda: naive(one_hot), NAIVE),
        PRODUCT: (lambda: square @ square, 1),
    }


def _floor(weights: Checkpoint, stride: int, one_by_one: float, products: float) -> float:
    """Windows a second at the limit of the arithmetic, from the rates one by one and of matrix products."""
    layers = deepstarr.plain_layers(weights.config, weights.arrays)
    shared = sharing.sharing(layers, tables.plan(layers.shape), stride)
    if shared is None:
        raise ValueError("the published networks share their work at any stride")
    return max(2 * SQUARE**3 * products, shared.operations_one_by_one * one_by_one) / shared.operations
