"""What every stored result says of the machine, and the options of the benchmarks."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import pytest

from zoo import devices

LIBRARIES = ("numpy", "onnxruntime", "onnxruntime-gpu", "torch", "tensorflow", "openvino", "biopython", "dnaio")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--records", type=int, default=1_000_000, help="scaling goes up to this number of records")
    parser.addoption("--runtime", default="kmer-cpu", help="whose scaling is measured")


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:  # noqa: ARG001
    """Leave out the machine's name; add what speed depends on."""
    machine_info.pop("node", None)
    machine_info["cores"] = devices.cores()
    machine_info["gpu"] = _gpu()
    machine_info["libraries"] = {name: version for name in LIBRARIES if (version := _version(name))}


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
