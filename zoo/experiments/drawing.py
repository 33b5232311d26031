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


def bars(names: Sequence[str], measured: Mapping[str, Measured], targets: Sequence[str], label: str) -> Figure:
    """Means and their intervals for each condition, a panel for each target.

    measured: name of a quantity -> its numbers; several are bars beside each other.  label: of the axis of numbers.
    """
    shown = targets[:MOST_SHOWN]
    height = max(1.6, 0.9 + BAR_INCHES * len(names) * len(measured))
    figure, (panels,) = figures.new(PANEL_INCHES[0] * len(shown), height, columns=len(shown), sharey=True)
    thick = 0.8 / len(measured)
    for number, (panel, target) in enumerate(zip(panels, shown, strict=True)):
        for order, (name, one) in enumerate(measured.items()):
            mean = one.mean[:, number]
            errors = np.stack([mean - one.low[:, number], one.high[:, number] - mean])
            places = np.arange(len(names)) + (order - (len(measured) - 1) / 2) * thick
            colour = figures.COLOURS[(number if len(measured) == 1 else order) % len(figures.COLOURS)]
            lines = {"linewidth": 0.8, "ecolor": "0.2"}
            panel.barh(places, mean, xerr=errors, color=colour, height=0.9 * thick, error_kw=lines, label=name)
        panel.axvline(0, color="0.2", linewidth=0.8)
        panel.set_yticks(np.arange(len(names)), [short(name) for name in names], parse_math=False)
        panel.set_xlabel(label, parse_math=False)
        titled(panel, target)
    panels[0].invert_yaxis()
    if len(measured) > 1:
        legend(panels[-1])
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
    if len(conditions) > 1:
        legend(panels[-1])
    return figure


def legend(panel: Axes) -> None:
    """Name the lines or bars, to the right of the panel."""
    found = panel.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    for text in found.get_texts():
        text.set_parse_math(False)


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
