"""A picture of the climb: the predictions of each design, round by round, a panel a target. Draws, computes no result.

Needs matplotlib, imported inside; draws on the Agg canvas, so that no display is touched.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.design.design import Design
from zoo.design.options import DesignOptions
from zoo.errors import MissingDependency, ZooError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL_INCHES = (4.2, 3.2)

DOTS_PER_INCH = 150

MOST_LINES = 200
"""Designs that are drawn one by one, the first; the median is of all."""

SUFFIXES = (".png", ".svg")

LINE, MEDIAN, BOUND = "0.65", "#0072b2", "#d55e00"

WIDEST = 24
"""Letters of a target's name that fit."""


def check(path: Path) -> None:
    """Raise ZooError for a name of another kind, MissingDependency without matplotlib."""
    if path.suffix.lower() not in SUFFIXES:
        raise ZooError(f"{path}: expected a picture's name that ends in {' or '.join(SUFFIXES)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingDependency("--figure needs matplotlib; pip install 'deepstarr-zoo[explain]' brings it")


def by_round(found: Sequence[Design]) -> np.ndarray:
    """Predictions of each design after each round, float32 (N, rounds + 1, T); round 0 is the start after its repair,
    and a design that has ended stays where it is."""
    rounds = max((step.round for design in found for step in design.steps), default=0)
    values = np.empty((len(found), rounds + 1, len(found[0].activities)), np.float32)
    for row, design in enumerate(found):
        values[row] = design.activities_at_start
        for step in design.steps:
            values[row, step.round :] = step.activities
    return values


def draw(
    found: Sequence[Design], target: str, targets: Sequence[str], options: DesignOptions, path: Path, kind: str
) -> None:
    """Write the picture. kind: its format, "png" or "svg"."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    values = by_round(found)
    order = sorted(range(len(targets)), key=lambda number: targets[number] != target)  # the one that climbs first
    figure = Figure(figsize=(PANEL_INCHES[0] * len(order), PANEL_INCHES[1]), layout="constrained")
    FigureCanvasAgg(figure)
    for panel, number in zip(figure.subplots(1, len(order), squeeze=False)[0], order, strict=True):
        _panel(panel, values[..., number], targets[number], options, climbs=targets[number] == target)
    with rc_context({"svg.hashsalt": "deepstarr-zoo"}):  # so that the same designs give the same file
        metadata = {"Date": None} if kind == "svg" else {}
        figure.savefig(path, dpi=DOTS_PER_INCH, format=kind, metadata=metadata)


def _panel(panel: Axes, values: np.ndarray, name: str, options: DesignOptions, climbs: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    rounds = np.arange(values.shape[1])
    shown = name if len(name) <= WIDEST else f"{name[: WIDEST - 3]}..."
    panel.plot(rounds, values[:MOST_LINES].T, color=LINE, linewidth=0.8)
    panel.plot([], [], color=LINE, linewidth=0.8, label="a design")
    panel.plot(rounds, np.median(values, 0), color=MEDIAN, linewidth=2, label=f"median of {len(values):,}")
    limits = [(options.reach, "reach")] if climbs and options.reach is not None else []
    limits += [(keep.bound, f"keep {'>' if keep.above else '<'}") for keep in options.bounds if keep.target == name]
    for bound, what in limits:
        panel.axhline(bound, color=BOUND, linewidth=1, linestyle="--", label=f"{what} {bound:g}")
    panel.set(xlabel="round", ylabel=f"predicted {shown}", title=f"{shown}, the target" if climbs else shown)
    panel.title.set_fontsize(10)
    panel.spines[["top", "right"]].set_visible(False)
    panel.margins(x=0.02)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.legend(frameon=False, fontsize=8)
