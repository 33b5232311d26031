"""Runs that are killed at random moments leave nothing that is partial, block nothing and give the same bits."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from system import kill_runs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")


@pytest.mark.slow
def test_predictions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill_runs, "RECORDS", 2000)
    said: list[str] = []
    kill_runs.predictions(tmp_path, 1, random.Random(1), said.append)
    assert [line[:10] for line in said] == ["predict  1"]


@pytest.mark.slow
def test_trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(kill_runs, "SMALL", kill_runs.SMALL.replace("epochs = 100", "epochs = 4"))
    said: list[str] = []
    kill_runs.trainings(tmp_path, 1, random.Random(2), said.append)
    assert [line[:10] for line in said] == ["train    1"]
