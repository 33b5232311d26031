"""`zoo bench` runs every runtime in its own process and recommends only one with the numbers of the reference."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint
from command_line import Zoo
from refusals import refuses

from zoo.checks import agreement, bench
from zoo.checks.bench import CALLS, CHECKED, Measurement, Result
from zoo.errors import ZooError
from zoo.prediction import session
from zoo.weights import checkpoint

pytestmark = pytest.mark.skipif(session.missing("torch-cpu") is not None, reason=str(session.missing("torch-cpu")))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "odd.safetensors"
    checkpoint.save(random_checkpoint(ODD), path)
    return path


def measured(runtime: str, seconds: float, predictions: np.ndarray) -> Measurement:
    return Measurement(runtime, "cpu", "0" * 64, ("a",), 0.1, {1: 1.0, 100: seconds}, 10**8, predictions)


def test_runtimes_are_measured_and_compared(weights: Path) -> None:
    heard: list[str] = []
    result = bench.run(weights=weights, runtimes=["kmer-cpu", "torch-cpu"], seconds=0.01, report=heard.append)
    assert heard == ["kmer-cpu", "torch-cpu"]
    assert result.reference == "torch-cpu"
    assert result.reports["kmer-cpu"].passed
    assert result.reports["kmer-cpu"].records == CHECKED
    assert result.recommended.runtime in heard
    for row in result.measurements:
        assert list(row.seconds) == list(CALLS)
        assert all(seconds > 0 for seconds in row.seconds.values())
        assert row.memory is None or row.memory > 10_000_000


def test_a_runtime_that_refuses_the_model_is_skipped_with_the_reason(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "runtime_names", lambda: ["kmer-cpu", "onnx-cpu"])

    def refuse(model: str, path: Path, runtime: str, *_: object) -> Measurement:  # noqa: ARG001
        if runtime == "kmer-cpu":
            raise ZooError("kmer-cpu: it has other poolings")
        return measured(runtime, 0.1, np.zeros((CHECKED, 1), np.float32))

    monkeypatch.setattr(bench, "_in_a_process", refuse)
    result = bench.run(weights=weights)
    assert result.skipped == {"kmer-cpu": "it has other poolings"}
    assert [row.runtime for row in result.measurements] == ["onnx-cpu"]
    with pytest.raises(ZooError, match=r"^kmer-cpu: it has other poolings$"):
        bench.run(weights=weights, runtimes=["kmer-cpu"])


def test_the_fastest_is_not_recommended_if_its_numbers_differ() -> None:
    right = np.arange(4, dtype=np.float32)[:, None]
    rows = [measured("torch-cpu", 0.5, right), measured("kmer-cpu", 0.01, right + 1), measured("onnx-cpu", 0.1, right)]
    reports = {row.runtime: agreement.compare(right, row.predictions, list("wxyz"), ["a"]) for row in rows[1:]}
    result = Result("torch-cpu", rows, reports, {"onnx-cuda": "no GPU"})
    assert result.recommended.runtime == "onnx-cpu"
    document = json.loads(result.to_json())
    assert document["recommended"] == "onnx-cpu"
    assert [row["sequences_per_second"]["100"] for row in document["runtimes"]] == [200.0, 10000.0, 1000.0]
    assert document["skipped"] == {"onnx-cuda": "no GPU"}
    alone = dataclasses.replace(result, measurements=rows[:2], reports={"kmer-cpu": reports["kmer-cpu"]})
    assert alone.recommended.runtime == "torch-cpu"


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        ({"runtimes": ["gpu"]}, ("'gpu'",)),
        ({"seconds": 0.0}, ("seconds", "more than 0", "got 0")),
        ({"weights": "absent.safetensors", "runtimes": ["torch-cpu"]}, ("torch-cpu: absent.safetensors: ",)),
    ],
)
def test_bad_input_is_one_line(arguments: dict[str, object], facts: tuple[str, ...], weights: Path) -> None:
    with refuses(*facts):
        bench.run(**{"weights": weights, **arguments})  # type: ignore[arg-type]


def test_the_command_prints_a_table(zoo: Zoo, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = np.arange(4, dtype=np.float32)[:, None]
    rows = [
        dataclasses.replace(measured(name, 0.1, right), seconds=dict.fromkeys(CALLS, 0.5))
        for name in ("torch-cpu", "onnx-cpu")
    ]
    reports = {"onnx-cpu": agreement.compare(right, right, list("wxyz"), ["a"])}
    monkeypatch.setattr(bench, "run", lambda *_: Result("torch-cpu", rows, reports, {"onnx-cuda": "no GPU"}))
    status, out, _ = zoo("bench", "--weights", weights)
    assert status == 0
    lines = [line for line in out.splitlines() if line]
    assert lines[1].split()[:3] == ["runtime", "1", "32"]
    assert lines[2].split()[-1] == "reference"
    assert lines[3].split()[-2:] == ["0.0e+00", "same"]
    assert lines[4].startswith("onnx-cuda")
    assert "no GPU" in lines[4]
    assert all(fact in lines[5] for fact in ("torch-cpu", "16,384 sequences"))
