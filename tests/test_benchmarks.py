"""The benchmarks end with the tables of docs/benchmarks.md. Their measurements are not tested."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from zoo.prediction import session

ROOT = Path(__file__).parents[1]
WIDE = 250
PAGE = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")


def page_tables(stem: str) -> list[tuple[str, list[list[str]]]]:
    """Title and rows of cells of every table in a section of the page, in its order."""
    section = PAGE.partition(f"\n## {stem}\n")[2].partition("\n## ")[0]
    tables = []
    for part in section.split("\n### ")[1:]:
        title, *lines = part.splitlines()
        rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
        tables.append((title, [[cell for cell in map(str.strip, row) if cell] for row in rows]))
    return tables


def terminal_tables(text: str) -> list[tuple[str, list[list[str]]]]:
    """Title and rows of cells of every table on a terminal, where two or more spaces separate cells."""
    _, *blocks = text.split("\n\n")
    tables = []
    for title, table in zip(blocks[::2], blocks[1::2], strict=True):
        rows = [line for line in table.splitlines() if not line.startswith("─")]
        tables.append((title, [[cell.strip() for cell in row.split("  ") if cell.strip()] for row in rows]))
    return tables


@pytest.mark.parametrize("path", sorted(report.RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_the_terminal_shows_the_tables_of_the_page_in_its_order(path: Path) -> None:
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    text = report.on_terminal(document, WIDE)
    assert text.startswith(document["machine_info"]["cpu"]["brand_raw"])
    assert terminal_tables(text) == page_tables(path.stem)
    narrow = report.on_terminal(document, 80)
    assert max(map(len, narrow.splitlines())) <= 80


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    # a worker of pytest-xdist runs no benchmarks; this process is not a worker
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    environment = {**own, "COLUMNS": "100", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_a_run_ends_with_machine_tables_and_what_was_skipped(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("pytest_benchmark")
    reason = session.missing("onnx-cuda")
    chosen = "building_the_tables" + (" or onnx-cuda-original" if reason else "")
    stored = tmp_path / "stored.json"
    done = run("benchmarks/test_kmer.py", "benchmarks/test_predict.py", "-k", chosen, f"--benchmark-json={stored}")
    assert done.returncode == 0, done.stdout + done.stderr
    _, _, end = done.stdout.partition(" benchmarks ===")
    machine, title, table = end.split("\n\n")[:3]
    document = json.loads(stored.read_text("utf-8"))
    assert document["machine_info"]["cpu"]["brand_raw"] in machine
    assert title == "Start and latency"
    assert table.splitlines()[0].split("  ")[-1].strip() == "median ms"
    assert all(fact in table.splitlines()[2] for fact in ("tables", "67 MB"))
    assert "Legend:" not in done.stdout
    assert f"\nwritten to {stored}\n" in done.stdout
    if reason:
        assert end.splitlines()[-2] == f"test_predict.py: {reason}"


def test_without_pytest_benchmark_one_line_names_the_extra() -> None:
    done = run("benchmarks", "-p", "no:benchmark")
    assert done.returncode == 4
    assert done.stderr.startswith("ERROR: ")
    assert len(done.stderr.split("\n")) == 3
    for fact in ("pytest-benchmark", "pip install 'deepstarr-zoo[dev]'"):
        assert fact in done.stderr
