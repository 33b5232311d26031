"""README.md: its commands run as they stand, in order, in one folder; only what needs a network is left out."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zoo.dna.encoding import encode
from zoo.formats import prediction_table
from zoo.inference import predict

torch = pytest.importorskip("torch")
pytest.importorskip("tf_keras")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "README.md").read_text("utf-8")
COMMANDS = [
    line for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) for line in block.splitlines()
]
SHOWN = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0]
PYTHON = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

LEFT = {
    "runs/mine": {"weights.safetensors", "metrics.csv", "run.json", "curves.png"},
    "runs/fine-tuned": {"weights.safetensors", "metrics.csv", "run.json", "curves.png"},
    "runs/student": {"weights.safetensors", "metrics.csv", "run.json", "curves.png"},
    "report": {"metrics.json", "predictions.tsv", "scatter.png", "comparison.png"},
    ".": {
        "scores.tsv.gz", "scores.tsv.gz.json", "scores.tsv", "port.safetensors", "found.safetensors", "original.onnx",
        "letters.onnx", "mine.h5",
    },
}  # fmt: skip
"""Folder -> files that the commands leave there."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader of the page has: sequences, a table of his own, a genome, a port and what it predicts."""
    made = tmp_path_factory.mktemp("readme")
    example = (ROOT / "docs" / "example.fa").read_text()
    (made / "seqs.fa").write_text(example)
    (made / "more.fa").write_text(example)
    (made / "seqs.fa.gz").write_bytes(gzip.compress(example.encode()))
    random = np.random.default_rng(0)
    letters = np.array(list("ACGT"))
    genome = "".join(letters[random.integers(0, 4, 60_000)])
    (made / "genome.fa").write_text(f">contig\n{genome}\n")
    model = predict.load("original", runtime="kmer-cpu")
    starts = random.integers(0, len(genome) - 249, 200)
    sequences = [genome[start : start + 249] for start in starts]
    labels = model.predict(sequences) + random.normal(0, 0.1, (200, 2))
    rows = [f"{sequence}\t{dev:.6g}\t{hk:.6g}" for sequence, (dev, hk) in zip(sequences, labels, strict=True)]
    (made / "mine.tsv").write_text("\n".join(["sequence\tdev\thk", *rows, ""]))
    _write_port(made)
    names = re.findall(r">(\S+)", example)
    predicted = model.predict_codes(encode(re.findall(r"^[ACGTN]+$", example, re.MULTILINE)))
    table = prediction_table.header(model.spec.targets) + prediction_table.rows(names, predicted)
    (made / "predictions.tsv").write_bytes(table)
    return made


def _write_port(folder: Path) -> None:
    """The bundled weights as somebody else's network has them: names of its own, no word about anything."""
    from zoo.weights import named, network

    state = network.from_checkpoint(named.load("original")).state_dict()
    renamed = {f"net.{name.replace('_norm', '_bn')}": tensor for name, tensor in state.items()}
    torch.save(renamed, folder / "port.pth")


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    """In which `zoo` is the code of this clone."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "zoo").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m zoo "$@"\n')
    (programs / "zoo").chmod(0o755)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


@pytest.mark.skipif(shutil.which("bash") is None, reason="the page shows commands of a POSIX shell")
def test_the_commands_run_in_order_and_leave_what_the_page_says(folder: Path, environment: dict[str, str]) -> None:
    assert len(COMMANDS) > 15
    for command in COMMANDS:
        result = subprocess.run(
            ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, f"{command}\n{result.stdout[-2000:]}{result.stderr[-2000:]}"
        assert "Traceback" not in result.stderr, command
    for name, files in LEFT.items():
        assert files <= {path.name for path in (folder / name).iterdir()}, name


def test_the_first_example_prints_what_the_page_shows(environment: dict[str, str]) -> None:
    command = ["bash", "-c", "zoo predict --runtime kmer-cpu docs/example.fa"]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    *rows, note = [line for line in SHOWN.splitlines() if not line.startswith(("$", "..."))]
    assert result.stderr == f"{note}\n"
    for shown, printed in zip(rows[1:], result.stdout.splitlines()[1:], strict=False):
        assert shown.split("\t")[0] == printed.split("\t")[0]
        numbers = [[float(value) for value in line.split("\t")[1:]] for line in (shown, printed)]
        assert numbers[0] == pytest.approx(numbers[1], abs=2e-5)


def test_the_python_of_the_page_runs() -> None:
    pytest.importorskip("pandas")
    for block in PYTHON:
        exec(compile(block, "README.md", "exec"), {})
