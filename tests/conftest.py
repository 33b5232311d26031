"""Fixtures that several test files share."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Zoo, runner
from traced import traced_once  # noqa: F401

if "PYTEST_XDIST_WORKER" in os.environ:
    # the workers share the cores: the threads of each would wait for those of the other; children inherit it
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# where no process may keep what it compiled, each that a test starts would compile PyTorch or TensorFlow anew
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

DATA = Path(os.environ.get("ZOO_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder with the published weights and real sequences; see CONTRIBUTING.md for what is in it."""
    if not (DATA / "DeepSTARR.model.h5").is_file():
        pytest.skip(f"the reference data is not at {DATA}; set ZOO_TEST_DATA")
    return DATA


@pytest.fixture
def zoo(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Zoo:
    """Run the command line in this process: exit status, standard output, standard error."""
    return runner(monkeypatch, capfd)


@pytest.fixture(scope="session", autouse=True)
def _zoo_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the tests out of the user's cache."""
    os.environ["ZOO_HOME"] = str(tmp_path_factory.mktemp("zoo_home"))


@pytest.fixture(scope="session", autouse=True)
def _unflushed_files() -> Iterator[None]:
    """Nothing waits until the disk has a file: that takes longer than most tests that write one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with a test marked `slow` come first: at the end they would leave the other processes without work."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def _heard_signals() -> None:
    """As a terminal starts a program: tests that `make test &` or nohup starts would have signals ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
