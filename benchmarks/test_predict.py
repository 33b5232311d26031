"""Prediction: reading, inference and writing by themselves, and the whole command with its peak memory.

Rates differ from machine to machine and from hour to hour; ratios are of two ways that ran in turns.
"""

from __future__ import annotations

import itertools
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dnaio
import numpy as np
import pytest

from zoo import checkpoint, encoding, predict, session, table
from zoo.models import deepstarr
from zoo.models.deepstarr import VARIANTS
from zoo.sequences import Reader

RECORDS = 20_000
LENGTH = VARIANTS["original"].sequence_length
ROUNDS = 5
BATCH_SIZES = (1, 32, 128, 1024)
MODEL_ONLY_SEQUENCES = 1024


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random numbers: what is measured does not depend on them."""
    random = np.random.default_rng(0)
    config = VARIANTS["original"]
    arrays = {
        name: random.uniform(0.5, 1.5, shape) if name.endswith("running_var") else random.normal(0, 0.05, shape)
        for name, shape in deepstarr.array_shapes(config).items()
    }
    arrays = {name: values.astype(np.float32) for name, values in arrays.items()}
    path = tmp_path_factory.mktemp("predict") / "original.safetensors"
    checkpoint.save(checkpoint.make("deepstarr", config, arrays, "random numbers", "none"), path)
    return path


@pytest.fixture(scope="module")
def fasta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("predict") / "random.fa"
    letters = np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(0).integers(0, 4, (RECORDS, LENGTH))]
    path.write_bytes(b"".join(b">record_%d\n%s\n" % (number, row.tobytes()) for number, row in enumerate(letters)))
    return path


def in_turns(ways: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Seconds of the best of ROUNDS turns of each."""
    best = dict.fromkeys(ways, float("inf"))
    for _, (name, way) in itertools.product(range(ROUNDS), ways.items()):
        began = time.perf_counter()
        way()
        best[name] = min(best[name], time.perf_counter() - began)
    return best


def read_with_dnaio(path: Path) -> np.ndarray:
    """A well-kept reader, record by record, and the zoo's own lookup table for all of them at once."""
    with dnaio.open(path) as records:
        return encoding.encode([record.sequence for record in records])


def test_reading_and_encoding(benchmark: Any, fasta: Path) -> None:
    def ours() -> list[tuple[list[str], np.ndarray]]:
        return list(Reader(fasta, LENGTH))

    assert np.array_equal(np.concatenate([codes for _, codes in ours()]), read_with_dnaio(fasta))
    best = in_turns({"zoo": ours, "dnaio": lambda: read_with_dnaio(fasta)})
    benchmark.extra_info["records"] = RECORDS
    benchmark.extra_info["times_faster_than_dnaio"] = best["dnaio"] / best["zoo"]
    benchmark(ours)


def test_writing(benchmark: Any) -> None:
    names = [f"record_{number}" for number in range(RECORDS)]
    values = np.random.default_rng(0).standard_normal((RECORDS, 2)).astype(np.float32)

    def percent() -> bytes:
        cells = tuple(cell for name, row in zip(names, values.tolist(), strict=True) for cell in (name, *row))
        return ("%s\t%.9g\t%.9g\n" * RECORDS % cells).encode()

    best = in_turns({"zoo": lambda: table.rows(names, values), "percent": percent})
    benchmark.extra_info["records"] = RECORDS
    benchmark.extra_info["times_faster_than_percent_formatting"] = best["percent"] / best["zoo"]
    benchmark(table.rows, names, values)


@pytest.mark.parametrize("batch_size", BATCH_SIZES)
@pytest.mark.parametrize("runtime", session.runtime_names())
def test_model_only(benchmark: Any, weights: Path, runtime: str, batch_size: int) -> None:
    reason = session.missing(runtime)
    if reason:
        pytest.skip(reason)
    model = predict.load(weights=weights, runtime=runtime, batch_size=batch_size)
    number = min(MODEL_ONLY_SEQUENCES, 32 * batch_size)
    codes = np.random.default_rng(0).integers(0, 4, (number, LENGTH), np.uint8)
    model.predict_codes(codes)
    benchmark.pedantic(model.predict_codes, (codes,), rounds=ROUNDS)
    benchmark.extra_info["sequences_a_second"] = number / benchmark.stats.stats.min


def test_whole_command(benchmark: Any, weights: Path, fasta: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.tsv"
    command = [sys.executable, "-m", "zoo", "predict", "--weights", str(weights), str(fasta)]
    command += ["-o", str(output), "--overwrite"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    benchmark.pedantic(subprocess.run, (command,), {"check": True, "env": environment}, rounds=2, warmup_rounds=1)
    assert output.read_bytes().count(b"\n") == RECORDS + 1
    benchmark.extra_info["sequences_a_second"] = RECORDS / benchmark.stats.stats.min
    # the largest child so far, in kilobytes on Linux
    benchmark.extra_info["peak_megabytes"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
