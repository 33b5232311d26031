"""The options of the benchmarks, what every stored result says of the machine, and the tables that a run ends with."""

from __future__ import annotations

import contextlib
import datetime
import functools
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.measure import INSTALL, ROOT
from zoo.system import machine

machine.sleep_soon()  # as the commands that train do; here, since the files of benchmarks import PyTorch

LIBRARIES = (
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "torch",
    "tensorflow",
    "openvino",
    "biopython",
    "dnaio",
    "tangermeme",
    "pysam",
    "pyBigWig",
    "pyfaidx",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seconds", type=float, default=10.0, help="for the turns of a table; more on a shared machine")
    parser.addoption("--records", type=int, default=1_000_000, help="scaling goes up to this number of records")
    parser.addoption("--weights", type=Path, help="what the benchmarks of a GPU run on; random numbers by default")
    parser.addoption("--sequences", type=Path, help="FASTA that is explained; random DNA by default")
    parser.addoption("--genome", type=Path, help="FASTA whose windows and variants are measured; random by default")
    parser.addoption("--device", default="cuda", help="cpu: try the benchmarks of a GPU where there is none")
    parser.addoption("--runtime", default="kmer-cpu", help="whose scaling is measured")


def pytest_configure(config: pytest.Config) -> None:
    """Leave the end of the run to the tables below: neither a table of turns nor a list of what was skipped."""
    if not config.pluginmanager.hasplugin("benchmark"):
        raise pytest.UsageError(f"the benchmarks need pytest-benchmark; {INSTALL}")
    config.option.benchmark_quiet = True
    config.option.reportchars = config.option.reportchars.replace("a", "fEX").replace("s", "")


@pytest.fixture
def budget(request: pytest.FixtureRequest) -> float:
    """Seconds that the ways of one table spend on their turns, all together."""
    return request.config.getoption("--seconds")


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config | None, machine_info: dict[str, Any]) -> None:  # noqa: ARG001
    """Leave out the machine's name; add what speed depends on."""
    machine_info.pop("node", None)
    machine_info["cpu"].setdefault("brand_raw", machine_info["machine"])
    machine_info["cores"] = machine.cores()
    machine_info["gpu"] = _gpu()
    machine_info["stalled"] = stalled()
    machine_info["libraries"] = {name: version for name in LIBRARIES if (version := machine.version(name))}


def machine() -> dict[str, Any]:
    """What a result says of the machine, the code and the day, for scripts that pytest does not run."""
    from pytest_benchmark.plugin import pytest_benchmark_generate_machine_info
    from pytest_benchmark.utils import get_commit_info

    info = pytest_benchmark_generate_machine_info()
    pytest_benchmark_update_machine_info(None, info)
    with contextlib.chdir(ROOT):  # it asks the working directory
        commit = get_commit_info()["id"]
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"machine_info": info, "commit_info": {"id": commit}, "datetime": now}


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """End with the tables of docs/benchmarks.md, the machine above them and below what was skipped."""
    session = config._benchmarksession
    skipped = skip_lines(terminalreporter.stats.get("skipped", []))
    if session.benchmarks:
        document = config.hook.pytest_benchmark_generate_json(
            config=config,
            benchmarks=session.benchmarks,
            include_data=False,
            machine_info=session.get_machine_info(),
            commit_info=config.hook.pytest_benchmark_generate_commit_info(config=config),
        )
        terminalreporter.write_sep("=", "benchmarks")
        terminalreporter.write_line(report.on_terminal(document, terminalreporter._tw.fullwidth))
        skipped = report.left_out(document) + skipped
        if session.json:
            terminalreporter.write_line(f"\nwritten to {session.json}")
    if skipped:
        terminalreporter.write_sep("-", "skipped")
        for line in skipped:
            terminalreporter.write_line(line)


def skip_lines(reports: list[Any]) -> list[str]:
    """ "test_gpu.py: the reason (3 benchmarks)" of what pytest skipped: one benchmark, or a whole file."""
    found: Counter[tuple[str, str]] = Counter()
    for one in reports:
        _, _, reason = one.longrepr
        found[Path(one.nodeid.partition("::")[0]).name, reason.removeprefix("Skipped: ")] += 1
    return [f"{file}: {reason}" + f" ({count} benchmarks)" * (count > 1) for (file, reason), count in found.items()]


@functools.cache
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


def _gpu() -> str | None:
    try:
        import torch
    except ImportError:
        return None
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None
