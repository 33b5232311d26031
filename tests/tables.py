"""Tables that the zoo writes, read back in plain Python."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np


def read_rows(path: Path) -> list[dict[str, str]]:
    """A table with tabs: column -> cell, for each row."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def read_predictions(path: Path) -> tuple[list[str], list[str], np.ndarray]:
    """The header, names, and activities, float32 (N, T)."""
    header, *rows = [line.split("\t") for line in path.read_text().split("\n")[:-1]]
    return header, [row[0] for row in rows], np.array([row[1:] for row in rows], np.float32)


def mean_and_sd(runs: np.ndarray | list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """NumPy's mean and standard deviation over the first axis, float32."""
    wide = np.asarray(runs).astype(np.float64)
    return wide.mean(0).astype(np.float32), wide.std(0, ddof=1).astype(np.float32)
