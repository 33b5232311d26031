"""The base install, as a process in which PyTorch and others are hidden: every runtime gives what Keras printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sites import stand_in

ROOT = Path(__file__).parents[1]

HIDDEN = ("torch", "onnxscript", "starlette")

HIDE = f"import sys\nsys.modules.update(dict.fromkeys({HIDDEN!r}))\n"
"""sitecustomize.py, which Python runs when it starts: a module that is None can be neither found nor imported."""

TOLERANCE = 2e-5
"""Largest absolute difference to what real Keras printed."""

FILES = ("Sequences_example", "enhancers_500", "test_first10", "edge_cases")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables of a process in which PyTorch is hidden, with a cache of its own."""
    folder = tmp_path_factory.mktemp("without_pytorch")
    (folder / "sitecustomize.py").write_text(HIDE)
    path = os.pathsep.join([str(folder), str(ROOT)])
    return {**os.environ, "PYTHONPATH": path, "ZOO_HOME": str(folder / "home")}


def zoo(environment: dict[str, str], *arguments: object) -> str:
    command = [sys.executable, "-m", "zoo", *map(str, arguments)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def usable_runtimes(environment: dict[str, str]) -> list[str]:
    runtimes = json.loads(zoo(environment, "list", "--json"))["runtimes"]
    return [entry["name"] for entry in runtimes if not entry["obstacle"]]


@pytest.fixture(scope="module")
def published(data: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("published") / "published.safetensors"
    zoo(environment, "import", data / "DeepSTARR.model.h5", "-o", path)
    return path


def numbers(table: str) -> np.ndarray:
    return np.array([line.split("\t")[1:] for line in table.splitlines()[1:]], np.float64)


def test_pytorch_is_hidden(environment: dict[str, str]) -> None:
    for library in HIDDEN:
        command = [sys.executable, "-c", f"import {library}"]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
        assert f"ModuleNotFoundError: import of {library} halted" in done.stderr
    usable = usable_runtimes(environment)
    assert {"kmer-cpu", "onnx-cpu"} <= set(usable)
    assert not [name for name in usable if name.startswith("torch-")]


def test_every_usable_runtime_predicts_the_published_weights(
    data: Path, published: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    sequences = tmp_path / "all.fa"  # in one file, since Keras takes seconds to start
    sequences.write_text("".join((data / f"{name}.fa").read_text("utf-8") for name in FILES))
    expected = np.concatenate([numbers((data / f"{name}.keras.tsv").read_text("utf-8")) for name in FILES])
    for runtime in usable_runtimes(environment):
        path = tmp_path / f"{runtime}.tsv"
        zoo(environment, "predict", "--weights", published, "--runtime", runtime, sequences, "-o", path)
        difference = np.abs(numbers(path.read_text("utf-8")) - expected)
        assert difference.max() <= TOLERANCE, runtime


@pytest.mark.parametrize("name", ["original", "tuned"])
def test_bundled_weights_given_as_a_file_predict_on_onnx_cpu(
    name: str, environment: dict[str, str], tmp_path: Path
) -> None:
    weights = ROOT / "zoo" / "weights" / "pretrained" / f"{name}.safetensors"
    example, path = ROOT / "tests" / "data" / "sequences.fa", tmp_path / "table.tsv"
    zoo(environment, "predict", "--weights", weights, "--runtime", "onnx-cpu", example, "-o", path)
    expected = numbers((ROOT / "tests" / "data" / f"{name}.keras.tsv").read_text("utf-8"))
    np.testing.assert_allclose(numbers(path.read_text("utf-8")), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("kind", ["onehot", "bytes"])
def test_an_onnx_file_is_written_and_gives_the_numbers_of_keras(
    kind: str, data: Path, published: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    model, table = tmp_path / "published.onnx", tmp_path / "table.tsv"
    zoo(environment, "export", "original", "--onnx", "--weights", published, "--input", kind, "-o", model)
    zoo(environment, "predict", "--weights", model, "--runtime", "onnx-cpu", data / "enhancers_500.fa", "-o", table)
    expected = numbers((data / "enhancers_500.keras.tsv").read_text("utf-8"))
    np.testing.assert_allclose(numbers(table.read_text("utf-8")), expected, rtol=0, atol=TOLERANCE)


def test_the_static_page_is_written(environment: dict[str, str], tmp_path: Path) -> None:
    zoo(environment, "page", "tuned", "-o", tmp_path / "site", "--ort", stand_in(tmp_path / "dist"))
    assert (tmp_path / "site/models/tuned.onnx").stat().st_size > 100_000
