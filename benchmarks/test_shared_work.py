"""Mutants and windows on onnx-cpu: with shared work, and one by one on the same runtime.

    pytest benchmarks/test_shared_work.py

A row with the ratio 1 is a network that shares nothing, since its first layers already mix all positions. The weights
are random; the speed does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.measure import in_turns, random_weights
from zoo.dna import windows
from zoo.options import RunOptions
from zoo.prediction.session import Session, open_session
from zoo.spec import ALPHABET
from zoo.system import machine

NETWORKS = {"basset": 600, "original": 249, "legnet": 200}
"""Variant -> bases."""

ONE_BY_ONE = 256
"""Predictions in a turn without shared work."""

WINDOWS = 10_000

Way = Callable[[np.ndarray], Any]


@pytest.fixture(scope="module", params=NETWORKS)
def running(request: pytest.FixtureRequest) -> Session:
    machine.keep_memory()
    weights = random_weights(request.param, NETWORKS[request.param])
    return open_session(weights, "onnx-cpu", RunOptions(threads=machine.cores()))


def _table(benchmark: Any, running: Session, name: str, shared: tuple[Callable[[], Any], int], budget: float) -> None:
    """Measure shared work and predictions one by one in turns. shared: one turn, and its number of predictions."""
    length = running.spec.sequence_length
    codes = np.random.default_rng(0).integers(0, len(ALPHABET), (ONE_BY_ONE, length), np.uint8)
    ways = {"shared": shared, "one by one": (lambda: running.predict(codes), len(codes))}
    best: dict[str, float] = {}
    benchmark.pedantic(lambda: best.update(in_turns({way: turn for way, (turn, _) in ways.items()}, budget)), rounds=1)
    rates = {way: ways[way][1] / seconds for way, seconds in best.items()}
    threads = machine.cores()
    benchmark.extra_info["table"] = f"{name} on onnx-cpu, {threads} thread{'s' * (threads > 1)}"
    benchmark.extra_info["rows"] = [
        {
            "network": f"{running.spec.architecture}, {length} bp",
            f"{name} a second": round(rates["shared"]),
            "one by one": round(rates["one by one"]),
            "faster by": round(rates["shared"] / rates["one by one"], 1),
        }
    ]


def test_mutants(benchmark: Any, running: Session, budget: float) -> None:
    codes = np.random.default_rng(1).integers(0, len(ALPHABET), (1, running.spec.sequence_length), np.uint8)
    mutants = codes.size * (len(ALPHABET) - 1)
    _table(benchmark, running, "mutants", (lambda: running.mutants(codes), mutants), budget)


def test_windows_at_stride_1(benchmark: Any, running: Session, budget: float) -> None:
    number = WINDOWS if running._engine.windows else ONE_BY_ONE
    codes = np.random.default_rng(1).integers(0, len(ALPHABET), number - 1 + running.spec.sequence_length, np.uint8)
    assert windows.count(len(codes), running.spec.sequence_length, 1) == number
    _table(benchmark, running, "windows at stride 1", (lambda: running.windows(codes), number), budget)
