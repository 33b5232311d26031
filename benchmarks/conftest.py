"""What every stored result says of the machine, and the options of the benchmarks."""

from __future__ import annotations

import importlib.metadata
import time
from pathlib import Path
from typing import Any

import pytest

from zoo.system import devices

devices.sleep_soon()  # as the commands that train do; here, since the files of benchmarks import PyTorch

LIBRARIES = ("numpy", "onnxruntime", "onnxruntime-gpu", "torch", "tensorflow", "openvino", "biopython", "dnaio")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seconds", type=float, default=15.0, help="for the turns of a table; more on a shared machine")
    parser.addoption("--records", type=int, default=1_000_000, help="scaling goes up to this number of records")
    parser.addoption("--weights", type=Path, help="what the benchmarks of a GPU run on; random numbers by default")
    parser.addoption("--device", default="cuda", help="cpu: try the benchmarks of a GPU where there is none")
    parser.addoption("--runtime", default="kmer-cpu", help="whose scaling is measured")


@pytest.fixture
def budget(request: pytest.FixtureRequest) -> float:
    """Seconds that the ways of one table spend on their turns, all together."""
    return request.config.getoption("--seconds")


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:  # noqa: ARG001
    """Leave out the machine's name; add what speed depends on."""
    machine_info.pop("node", None)
    machine_info["cores"] = devices.cores()
    machine_info["gpu"] = _gpu()
    machine_info["stalled"] = stalled()
    machine_info["libraries"] = {name: version for name in LIBRARIES if (version := _version(name))}


def stalled(seconds: float = 2.0, gap: float = 1e-3) -> float:
    """Share of the time that a core stands still, as on a host that lends it to others: 0 on a machine of one's own.

    Found by reading the clock over and over; what is lost in pieces longer than `gap` seconds counts.
    """
    lost = 0.0
    before = began = time.perf_counter()
    while before - began < seconds:
        now = time.perf_counter()
        if now - before > gap:
            lost += now - before
        before = now
    return lost / (before - began)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _gpu() -> str | None:
    try:
        import torch
    except ImportError:
        return None
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None
