"""The figure of dependencies: for each sequence and target a map, and above it the contributions of the bases.

Axes: R mapped positions, T targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from zoo.experiments.drawing import short, titled
from zoo.explain.logos import COLOURS
from zoo.spec import ALPHABET
from zoo.system import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_TARGETS = 4
"""Targets of a sequence; a page with more maps shows nothing."""

MAP_INCHES, TRACK_INCHES = 3.6, 0.9

MOST_LETTERS = 60
"""Positions whose bases can be read below a map."""

SATURATED = 99.8
"""Percentile of the sizes in a map that has the strongest colour."""


class Panel(NamedTuple):
    """A sequence: codes, uint8 (R,), values of its map, float32 (R, R, T), and contributions, float32 (R, T)."""

    name: str
    codes: np.ndarray
    values: np.ndarray
    contributions: np.ndarray


def figure(panels: Sequence[Panel], targets: Sequence[str], measure: str, first: int, unit: str) -> Figure:
    """Maps of sequences below each other, a column for each of the first MOST_TARGETS targets. first: position of the
    first base, counted from 1."""
    shown = targets[:MOST_TARGETS]
    drawn, axes = figures.new(
        (MAP_INCHES + 1) * len(shown),
        (MAP_INCHES + TRACK_INCHES + 0.3) * len(panels),
        2 * len(panels),
        len(shown),
        gridspec_kw={"height_ratios": [TRACK_INCHES, MAP_INCHES] * len(panels)},
    )
    for row, panel in enumerate(panels):
        for column, target in enumerate(shown):
            track, map_ = axes[2 * row : 2 * row + 2, column]
            titled(track, f"{short(panel.name)}, {target}")
            _track(track, panel.codes, panel.contributions[:, column], first)
            _map(map_, panel.codes, panel.values[:, :, column], measure, first, unit)
            track.set_xlim(map_.get_xlim())
            if column == 0:
                track.set_ylabel("contribution", fontsize=8)
    return drawn


def _track(axes: Axes, codes: np.ndarray, contributions: np.ndarray, first: int) -> None:
    """The contribution of each base, in its colour."""
    colours = [COLOURS.get((ALPHABET + "N")[code], "0.6") for code in codes]
    axes.bar(np.arange(first, first + len(codes)), contributions, width=1, color=colours, linewidth=0)
    axes.axhline(0, color="0.4", linewidth=0.6)
    axes.tick_params(labelsize=7, labelbottom=False)


def _map(axes: Axes, codes: np.ndarray, values: np.ndarray, measure: str, first: int, unit: str) -> None:
    """The map without its diagonal."""
    signed = measure == "interaction"
    masked = np.ma.array(values, mask=np.eye(len(values), dtype=bool))
    sizes = np.abs(masked.compressed())
    strongest = float(np.percentile(sizes, SATURATED)) if sizes.size else 0.0
    limit = strongest or float(sizes.max(initial=0)) or 1.0
    edges = first - 0.5, first + len(codes) - 0.5
    image = axes.imshow(
        masked, cmap="RdBu_r" if signed else "magma_r", vmin=-limit if signed else 0, vmax=limit,
        extent=(*edges, edges[1], edges[0]), interpolation="nearest", aspect="auto", rasterized=True,
    )  # fmt: skip
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02, extend="both" if signed else "max")
    bar.set_label(f"{measure} ({unit})" if signed else f"change of contribution ({unit})", fontsize=8, parse_math=False)
    bar.ax.tick_params(labelsize=7)
    axes.tick_params(labelsize=7)
    axes.set_xlabel("position (bases)", fontsize=8)
    axes.set_ylabel("position (bases)" if signed else "mutated position", fontsize=8)
    if len(codes) <= MOST_LETTERS:
        letters = [(ALPHABET + "N")[code] for code in codes]
        places = np.arange(first, first + len(codes))
        axes.set_xticks(places, letters, fontsize=6, minor=True)
        axes.set_yticks(places, letters, fontsize=6, minor=True)
        axes.tick_params(which="minor", length=0, pad=1)
        axes.tick_params(which="major", pad=9)
