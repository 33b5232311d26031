"""The parts of prediction, compared with common alternatives: reading, writing, and the model of each runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.measure import in_turns, needs, random_fasta, random_weights
from zoo.checks import bench
from zoo.dna import encoding
from zoo.formats import table_writer
from zoo.formats.fasta import Reader
from zoo.models.deepstarr import VARIANTS
from zoo.prediction import session
from zoo.weights import checkpoint

RECORDS = 20_000
LENGTH = VARIANTS["original"].sequence_length
DICTIONARY = {"A": [1, 0, 0, 0], "C": [0, 1, 0, 0], "G": [0, 0, 1, 0], "T": [0, 0, 0, 1], "N": [0, 0, 0, 0]}


@pytest.fixture(scope="module")
def fasta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("predict") / "random.fa"
    path.write_bytes(random_fasta(RECORDS, LENGTH))
    return path


def read_with_dnaio(path: Path) -> np.ndarray:
    import dnaio

    with dnaio.open(path) as records:
        return encoding.encode([record.sequence for record in records])


def read_with_biopython(path: Path) -> np.ndarray:
    from Bio import SeqIO

    return encoding.encode([str(record.seq) for record in SeqIO.parse(path, "fasta")])


def read_with_pyfaidx(path: Path) -> np.ndarray:
    import pyfaidx

    with pyfaidx.Fasta(str(path), as_raw=True) as records:
        return encoding.encode([record[:] for record in records])


def read_with_a_dictionary(path: Path) -> np.ndarray:
    """Biopython and a dictionary of one-hot rows, as in earlier ports."""
    from Bio import SeqIO

    return np.array([[DICTIONARY[base] for base in str(record.seq)] for record in SeqIO.parse(path, "fasta")])


def compare(benchmark: Any, table: str, ways: dict[str, Callable[[], Any]], budget: float) -> None:
    """Measure functions that do the same with all RECORDS, in turns."""
    best: dict[str, float] = {}
    benchmark.pedantic(lambda: best.update(in_turns(ways, budget)), rounds=1)
    benchmark.extra_info["table"] = table
    benchmark.extra_info["rows"] = [
        {"way": name, "records a second": round(RECORDS / seconds), "zoo is faster by": round(seconds / best["zoo"], 1)}
        for name, seconds in best.items()
    ]


def test_reading_and_encoding(benchmark: Any, fasta: Path, budget: float) -> None:
    needs("dnaio", "pyfaidx", "Bio")

    def ours() -> list[tuple[list[str], np.ndarray]]:
        return list(Reader(fasta, LENGTH))

    assert np.array_equal(np.concatenate([codes for _, codes in ours()]), read_with_dnaio(fasta))
    ways = {
        "zoo": ours,
        "dnaio": lambda: read_with_dnaio(fasta),
        "pyfaidx": lambda: read_with_pyfaidx(fasta),
        "Biopython": lambda: read_with_biopython(fasta),
        "Biopython and a dictionary": lambda: read_with_a_dictionary(fasta),
    }
    read_with_pyfaidx(fasta)  # writes its index
    compare(benchmark, "reading FASTA and encoding it", ways, budget)


def test_writing(benchmark: Any, budget: float) -> None:
    needs("pandas")
    names = [f"record_{number}" for number in range(RECORDS)]
    values = np.random.default_rng(0).standard_normal((RECORDS, 2)).astype(np.float32)

    def percent() -> bytes:
        cells = tuple(cell for name, row in zip(names, values.tolist(), strict=True) for cell in (name, *row))
        return ("%s\t%.9g\t%.9g\n" * RECORDS % cells).encode()

    def pandas() -> bytes:
        import pandas as pd

        rows = pd.DataFrame({"name": names, "dev": values[:, 0], "hk": values[:, 1]})
        return rows.to_csv(sep="\t", index=False, header=False).encode()

    ways = {"zoo": lambda: table_writer.rows(names, values), "% formatting": percent, "pandas": pandas}
    compare(benchmark, "writing the table", ways, budget)


@pytest.mark.parametrize("variant", ["original", "tuned"])
@pytest.mark.parametrize("runtime", session.runtime_names())
def test_every_runtime(benchmark: Any, runtime: str, variant: str, tmp_path: Path) -> None:
    """The measurements of `zoo bench`: sequences a second by sequences in a call, and peak memory."""
    if reason := session.missing(runtime):
        pytest.skip(reason)
    path = tmp_path / "weights.safetensors"
    checkpoint.save(random_weights(variant), path)
    results = []
    benchmark.pedantic(lambda: results.append(bench.run(weights=path, runtimes=[runtime], seconds=0.5)), rounds=1)
    (measured,) = results[0].measurements
    benchmark.extra_info["table"] = f"every runtime, {variant}: sequences a second by sequences a call"
    rates = {f"{call:,}": round(measured.rate(call)) for call in measured.seconds}
    memory = {"peak MB": round(measured.memory / 1e6)} if measured.memory else {}
    benchmark.extra_info["rows"] = [{"runtime": runtime, **rates, **memory}]
