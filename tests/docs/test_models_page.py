"""docs/models.md: its commands and its Python run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "models.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Measured sequences of one's own."""
    random = np.random.default_rng(0)
    rows = ["".join("ACGT"[code] for code in codes) for codes in random.integers(0, 4, (300, 249))]
    lines = [f"{row}\t{row.count('G') / 10}\t{row.count('A') / 10}" for row in rows]
    (tmp_path / "mine.tsv").write_text("\n".join(["sequence\tdev\thk", *lines, ""]))
    return tmp_path


def run(folder: Path, *command: str) -> str:
    bin_folder = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": bin_folder}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_commands_compare_models_of_ones_own(folder: Path) -> None:
    (commands,) = blocks("sh")
    for line in commands.splitlines():
        printed = run(folder, sys.executable, "-m", *line.split())
    assert "differences from original, paired bootstrap" in printed
    assert {"comparison.png", "metrics.json"} <= {path.name for path in (folder / "compared").iterdir()}


def test_the_python_says_which_of_two_models_is_better(folder: Path) -> None:
    (program,) = blocks("python")
    assert re.fullmatch(r"\+0\.\d\d \(\+0\.\d\d to \+0\.\d\d\): better\n", run(folder, sys.executable, "-c", program))
