"""report.html: sequences with their predictions, contributions and effects of substitutions, on one page that needs no
network and no other file.

The page holds numbers, as 16-bit integers with a scale for each sequence and target: 100 sequences of 249 bases and two
targets take 0.7 MB. Its script draws a row when it comes into view, letters as outlines, which are sharp at any size.
No library that draws logos works without a network and in so little space; `--logos` uses logomaker.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.explain.logos import COLOURS, ROW_BASES
from zoo.prediction import description
from zoo.spec import ALPHABET, UNIT

FILE = "report.html"

PAGE = Path(__file__).with_name("report_page.html")

DATA_MARK = "{{DATA}}"
"""Placeholder for the numbers in the page."""

DRAWING = Path(__file__).with_name("drawing.js")

DRAWING_MARK = "{{DRAWING}}"
"""Placeholder for drawing.js in this page and in that of zoo serve."""

LARGEST = (1 << 15) - 1
"""Integer that represents the largest value."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A sequence in the report, for a model of T targets, K of which are explained.

    codes: uint8 (L,).  activities: float32 (T,).  contributions: those of its bases, float32 (K, L).
    effects: those of substitutions, float32 (K, L, 4), or None without a heat map.
    """

    name: str
    codes: np.ndarray
    activities: np.ndarray
    contributions: np.ndarray
    effects: np.ndarray | None


def write(path: Path, rows: Sequence[Row], described: dict[str, Any]) -> None:
    """Write the page of some sequences. described: the description of the run."""
    options, weights = described["options"], described["weights"]
    error = (weights["caution"] or "").partition(": ")[2]
    data = {
        "alphabet": ALPHABET,
        "colours": COLOURS,
        "length": described["sequence_length"],
        "rowBases": ROW_BASES,
        "unit": weights.get("unit", UNIT),  # descriptions of earlier releases have no unit
        "sequences": described["counts"]["records"],
        "method": options["method"],
        "shuffles": options["shuffles"],
        "strands": described["rc"],
        "targets": described["targets"],
        "explained": described["explained"],
        "weights": description.name(weights),
        "caution": weights["caution"],
        "source": weights["source"].replace(f", {error}", "") if error else weights["source"],  # said once
        "version": described["version"],
        "command": described["command"],
        "rows": [packed(row) for row in rows],
    }
    # a name with "</script>" must not end the element of the data
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    path.write_text(with_drawing(PAGE).replace(DATA_MARK, text), "utf-8", "replace")


def with_drawing(page: Path) -> str:
    """Read a page and insert the script that draws."""
    return page.read_text("utf-8").replace(DRAWING_MARK, DRAWING.read_text("utf-8"))


def packed(row: Row) -> dict[str, Any]:
    """A row in the form that the script reads."""
    return {
        "name": row.name,
        "bases": "".join((ALPHABET + "N")[code] for code in row.codes),
        "activities": [float(value) for value in row.activities],
        "contributions": [_integers(one) for one in row.contributions],
        "effects": [] if row.effects is None else [_integers(one) for one in row.effects],
    }


def _integers(values: np.ndarray) -> list[Any]:
    """The scale, and the values divided by it, as little-endian int16 in base64."""
    scale = float(np.abs(values).max(initial=0)) / LARGEST or 1.0
    return [scale, base64.b64encode(np.round(values / scale).astype("<i2").tobytes()).decode()]
