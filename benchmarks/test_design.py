"""`zoo design` with kmer-cpu compared with plain ONNX Runtime, and the predictions of the designs.

    pytest benchmarks/test_design.py --weights original.safetensors

The default is bundled weights. Both make a few designs in a few rounds, in turns. kmer-cpu also makes all 100 designs
in 20 rounds; the time of ONNX Runtime for these is extrapolated.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from benchmarks.measure import in_turns
from benchmarks.peers import naive_graph
from zoo.design.design import Design, evolve
from zoo.dna import encoding
from zoo.options import RunOptions
from zoo.prediction.model import Model
from zoo.prediction.session import Session, open_session
from zoo.spec import ALPHABET
from zoo.system import machine
from zoo.weights import checkpoint, lookup
from zoo.weights.checkpoint import Checkpoint

TARGET = "dev"

DESIGNS, ROUNDS = 100, 20

FEW_DESIGNS, FEW_ROUNDS = 2, 2

BATCH = 64
"""Batch of plain ONNX Runtime; others are no faster, see the tables of kmer-cpu."""

RANDOM = 100_000
PERCENTILE = 99.9


class Plain:
    """Plain ONNX Runtime as an engine without a method for mutants: each mutant is predicted."""

    def __init__(self, weights: Checkpoint, threads: int) -> None:
        self.spec = weights.spec
        self.provider = "ONNX Runtime"
        self.batch_size = BATCH
        self.concurrent_batches = 1
        self._run = naive_graph.session(weights.config, weights.arrays, threads)

    def run(self, codes: np.ndarray) -> np.ndarray:
        return self._run(encoding.one_hot(codes, channels_first=True))


def few(model: Model) -> list[Design]:
    return evolve(model, TARGET, number=FEW_DESIGNS, rounds=FEW_ROUNDS)


def test_a_climb(benchmark: Any, request: pytest.FixtureRequest, budget: float) -> None:
    given = request.config.getoption("--weights")
    weights = checkpoint.load(given) if given else lookup.load("original")
    threads = machine.cores()
    machine.keep_memory()
    fast = Model(open_session(weights, "kmer-cpu", RunOptions(threads=threads)))
    slow = Model(Session(Plain(weights, threads), "plain ONNX Runtime"))
    for one, other in zip(few(fast), few(slow), strict=True):  # both make the same designs
        np.testing.assert_array_equal(one.codes, other.codes)
    best: dict[str, float] = {}
    ways = {"kmer-cpu": lambda: few(fast), "plain ONNX Runtime": lambda: few(slow)}
    benchmark.pedantic(lambda: best.update(in_turns(ways, budget)), rounds=1)
    began = time.perf_counter()
    designs = evolve(fast, TARGET, number=DESIGNS, rounds=ROUNDS)
    whole = time.perf_counter() - began
    ratio = best["plain ONNX Runtime"] / best["kmer-cpu"]
    benchmark.extra_info["table"] = f"design, {DESIGNS} sequences in {ROUNDS} rounds"
    benchmark.extra_info["rows"] = [
        {
            "way": way,
            f"seconds for {FEW_DESIGNS} in {FEW_ROUNDS} rounds": round(seconds, 3),
            "kmer-cpu is faster by": round(seconds / best["kmer-cpu"], 1),
            "seconds for all": round(whole, 1) if way == "kmer-cpu" else f"{whole * ratio:.0f}, which follows",
        }
        for way, seconds in best.items()
    ]
    benchmark.extra_info["rows"] += _heights(fast, designs)


def _heights(model: Model, designs: list[Design]) -> list[dict[str, Any]]:
    """Predictions of the designs compared with those of random DNA."""
    target = model.spec.targets.index(TARGET)
    reached = np.array([design.activities[target] for design in designs])
    codes = np.random.default_rng(0).integers(0, len(ALPHABET), (RANDOM, model.spec.sequence_length), np.uint8)
    random = model.predict_codes(codes)[:, target]
    high = np.percentile(random, PERCENTILE)
    found = {
        f"percentile {PERCENTILE} of {RANDOM:,} random sequences": high,
        "highest of those": random.max(),
        "lowest design": reached.min(),
        "median design": np.median(reached),
    }
    return [
        {"way": what, f"predicted {TARGET}": round(float(value), 2), "designs above it": int((reached > value).sum())}
        for what, value in found.items()
    ]
