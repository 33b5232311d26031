"""The figure of a background: how its values are spread, and where percentiles are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.errors import counted
from zoo.spec import ModelSpec
from zoo.system import figures

PERCENTILES = (50, 90, 99, 99.9)
"""Marked in the figure, if the background has enough values."""

MOST_PANELS = 8
"""Targets that have a panel."""

BINS = 120

PANEL_INCHES = (5.2, 2.9)


def draw(values: np.ndarray, spec: ModelSpec, path: Path) -> None:
    """Write the figure of sorted values, float32 (T, N), with a panel for each target, in the format of the suffix."""
    shown = spec.targets[:MOST_PANELS]
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    figure, panels = figures.new(PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows, rows, columns)
    size = values.shape[1]
    for panel in panels.flat[len(shown) :]:
        panel.set_visible(False)
    for number, (panel, target) in enumerate(zip(panels.flat, shown, strict=False)):
        row, colour = values[number], figures.COLOURS[number % len(figures.COLOURS)]
        panel.hist(row, bins=BINS, color=colour, alpha=0.35, linewidth=0)
        top = panel.get_ylim()[1]
        for step, percentile in enumerate(one for one in PERCENTILES if size * (100 - one) >= 100):
            place = float(np.quantile(row, percentile / 100))
            height = top * (1.3 - 0.11 * step)
            panel.plot([place, place], [0, height], color=colour, linewidth=1)
            panel.text(place, height, f" {percentile:g}th: {place:.2f}", fontsize=8, va="top")
        panel.set_ylim(0, top * 1.33)
        panel.set_xlabel(f"prediction ({spec.unit})", parse_math=False)
        panel.set_ylabel("sequences of the background", fontsize=8)
        panel.tick_params(labelsize=8)
        title = f"{target}: {counted(size, 'sequences')} and their percentiles"
        panel.set_title(title, fontsize=9, loc="left", parse_math=False)
    figures.write(figure, path)
