"""Options of the benchmarks, the description of the machine in stored results, and the tables at the end of a run."""

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

machine.sleep_soon()  # as in zoo train; it must precede the import of PyTorch

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
    parser.addoption(
        "--seconds", type=float, default=10.0, help="seconds for the turns of one table; use more on a shared machine"
    )
    parser.addoption("--records", type=int, default=1_000_000, help="largest number of records in the scaling table")
    parser.addoption("--weights", type=Path, help="weights for the benchmarks; default random or bundled")
    parser.addoption("--sequences", type=Path, help="FASTA to explain; default random DNA")
    parser.addoption("--genome", type=Path, help="FASTA of a genome for windows and variants; default random")
    parser.addoption("--device", default="cuda", help="cpu runs the GPU benchmarks without a GPU")
    parser.addoption("--runtime", default="kmer-cpu", help="runtime of the scaling table")


def pytest_configure(config: pytest.Config) -> None:
    """Turn off the tables and the list of skipped tests of pytest, since the run ends with tables of its own."""
    if not config.pluginmanager.hasplugin("benchmark"):
        raise pytest.UsageError(f"the benchmarks need pytest-benchmark; {INSTALL}")
    config.option.benchmark_quiet = True
    config.option.reportchars = config.option.reportchars.replace("a", "fEX").replace("s", "")


@pytest.fixture(scope="module")
def subject(request: pytest.FixtureRequest) -> Any:
    """What test_explain.py and test_experiments.py measure, a benchmarks.subject.Subject."""
    from benchmarks.subject import opened

    yield from opened(*(request.config.getoption(option) for option in ("--weights", "--sequences")))


@pytest.fixture
def budget(request: pytest.FixtureRequest) -> float:
    """Seconds for all turns of one table."""
    return request.config.getoption("--seconds")


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config | None, machine_info: dict[str, Any]) -> None:  # noqa: ARG001
    """Remove the machine's name and add what the speed depends on."""
    machine_info.pop("node", None)
    machine_info["cpu"].setdefault("brand_raw", machine_info["machine"])
    machine_info["cores"] = machine.cores()
    machine_info["gpu"] = _gpu()
    machine_info["stalled"] = stalled()
    machine_info["libraries"] = {name: version for name in LIBRARIES if (version := machine.version(name))}


def machine_facts() -> dict[str, Any]:
    """The machine, the commit and the date of a result, for scripts outside pytest."""
    from pytest_benchmark.plugin import pytest_benchmark_generate_machine_info
    from pytest_benchmark.utils import get_commit_info

    info = pytest_benchmark_generate_machine_info()
    pytest_benchmark_update_machine_info(None, info)
    with contextlib.chdir(ROOT):  # it reads the working directory
        commit = get_commit_info()["id"]
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"machine_info": info, "commit_info": {"id": commit}, "datetime": now}


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the machine, the tables of docs/benchmarks.md and the skipped benchmarks."""
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
    """Lines such as "test_gpu.py: the reason (3 benchmarks)" for skipped benchmarks and files."""
    found: Counter[tuple[str, str]] = Counter()
    for one in reports:
        _, _, reason = one.longrepr
        found[Path(one.nodeid.partition("::")[0]).name, reason.removeprefix("Skipped: ")] += 1
    return [f"{file}: {reason}" + f" ({count} benchmarks)" * (count > 1) for (file, reason), count in found.items()]


@functools.cache
def stalled(seconds: float = 2.0, gap: float = 1e-3) -> float:
    """Share of the time that a core is stalled because its host runs others; 0 on a machine that is not shared.

    The clock is read in a loop; gaps longer than `gap` seconds count as stalls.
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
