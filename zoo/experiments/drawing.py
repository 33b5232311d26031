"""Figures of experiments: bars for a few conditions, and lines along positions or distances.

Axes: C conditions, T targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.experiments.effects import Measured
from zoo.spec import MOST_SHOWN
from zoo.system import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_INCHES = (4.4, 3.2)

BAR_INCHES = 0.24
"""Height that a condition takes in a figure of bars."""

MOST_LINES = 12
"""Lines of one panel; more cannot be told apart."""

WIDEST = 24
"""Letters of a name that fit beside a bar."""


def bars(names: Sequence[str], measured: Measured, targets: Sequence[str], label: str) -> Figure:
    """The mean and its interval for each condition, a panel for each target. label: of the axis of numbers."""
    shown = targets[:MOST_SHOWN]
    height = max(1.6, 0.9 + BAR_INCHES * len(names))
    figure, (panels,) = figures.new(PANEL_INCHES[0] * len(shown), height, columns=len(shown), sharey=True)
    places = np.arange(len(names))
    for number, (panel, target) in enumerate(zip(panels, shown, strict=True)):
        mean = measured.mean[:, number]
        errors = np.stack([mean - measured.low[:, number], measured.high[:, number] - mean])
        colour = figures.COLOURS[number % len(figures.COLOURS)]
        panel.barh(places, mean, xerr=errors, color=colour, height=0.7, error_kw={"linewidth": 0.8, "ecolor": "0.2"})
        panel.axvline(0, color="0.2", linewidth=0.8)
        panel.set_yticks(places, [short(name) for name in names], parse_math=False)
        panel.set_xlabel(label, parse_math=False)
        titled(panel, target)
    panels[0].invert_yaxis()
    return figure


def lines(
    conditions: Mapping[str, tuple[np.ndarray, slice]],
    measured: Measured,
    targets: Sequence[str],
    across: str,
    label: str,
) -> Figure:
    """The mean and its interval along an axis, a panel for each target.

    conditions: name of a line -> its places on the axis, and its conditions.  across, label: of the two axes.
    """
    shown = targets[:MOST_SHOWN]
    width, height = PANEL_INCHES
    figure, (panels,) = figures.new(width * len(shown), height, columns=len(shown))
    for number, (panel, target) in enumerate(zip(panels, shown, strict=True)):
        panel.axhline(0, color="0.6", linewidth=0.8)
        for place, (name, (x, rows)) in enumerate([*conditions.items()][:MOST_LINES]):
            colour, style = colour_of(place)
            panel.plot(x, measured.mean[rows, number], style, color=colour, linewidth=1.2, label=short(name))
            low, high = measured.low[rows, number], measured.high[rows, number]
            panel.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
        panel.set_xlabel(across, parse_math=False)
        panel.set_ylabel(label, parse_math=False)
        panel.margins(x=0.01)
        titled(panel, target)
    legend = panels[-1].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def colour_of(number: int) -> tuple[str, str]:
    """Colour and line style of a line."""
    count = len(figures.COLOURS)
    return figures.COLOURS[number % count], ("-", "--")[number // count % 2]


def titled(panel: Axes, target: str) -> None:
    """Write the target above a panel."""
    panel.set_title(short(target), fontsize=10, parse_math=False)


def short(name: str) -> str:
    """A name that fits."""
    return name if len(name) <= WIDEST else f"{name[: WIDEST - 3]}..."
