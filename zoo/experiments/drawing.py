"""Figures of experiments: bars for a few conditions, lines along positions or distances, and matrices of pairs.

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

CELL_INCHES = 0.22
"""Side of a cell in a figure of a matrix."""

SIGNIFICANT = 0.05
"""A matrix marks the cells whose q is not below it."""

Lines = Mapping[str, tuple[np.ndarray, slice]]
"""Name of a line -> its places on the axis, and its conditions."""

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
        titled(panel, short(target))
    panels[0].invert_yaxis()
    if len(measured) > 1:
        legend(panels[-1])
    return figure


def lines(conditions: Lines, measured: Measured, targets: Sequence[str], across: str, label: str) -> Figure:
    """The mean and its interval along an axis, a panel for each target. across, label: of the two axes."""
    return grid({"": conditions}, measured, targets, across, label)


def grid(
    conditions: Mapping[str, Lines], measured: Measured, targets: Sequence[str], across: str, label: str
) -> Figure:
    """As `lines`, with a row of panels for each title of `conditions`."""
    shown = targets[:MOST_SHOWN]
    width, height = PANEL_INCHES
    figure, panels = figures.new(
        width * len(shown),
        height * len(conditions),
        rows=len(conditions),
        columns=len(shown),
        sharex=True,
        sharey="col",
    )
    for row, (title, those) in zip(panels, conditions.items(), strict=True):
        for number, (panel, target) in enumerate(zip(row, shown, strict=True)):
            _draw_lines(panel, those, measured, number)
            panel.set_ylabel(label, parse_math=False)
            titled(panel, f"{short(target)}: {title}" if title else short(target))
    for panel in panels[-1]:
        panel.set_xlabel(across, parse_math=False)
    if max(map(len, conditions.values())) > 1:
        legend(panels[0, -1])
    return figure


def legend(panel: Axes) -> None:
    """Name the lines or bars, to the right of the panel."""
    found = panel.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    for text in found.get_texts():
        text.set_parse_math(False)


def _draw_lines(panel: Axes, conditions: Lines, measured: Measured, target: int) -> None:
    panel.axhline(0, color="0.6", linewidth=0.8)
    for place, (name, (x, rows)) in enumerate([*conditions.items()][:MOST_LINES]):
        colour, style = colour_of(place)
        panel.plot(x, measured.mean[rows, target], style, color=colour, linewidth=1.2, label=short(name))
        low, high = measured.low[rows, target], measured.high[rows, target]
        panel.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    panel.margins(x=0.01)


def matrix(names: Sequence[str], measured: Measured, targets: Sequence[str], label: str) -> Figure:
    """A number for each pair of names as a colour, a panel for each target; a dot marks those whose q is not below
    SIGNIFICANT. measured: row by row, the first name of a pair down.  label: of the numbers."""
    from matplotlib.colors import CenteredNorm

    shown, count = targets[:MOST_SHOWN], len(names)
    side = max(2.4, CELL_INCHES * count)
    figure, (panels,) = figures.new((side + 2.6) * len(shown), side + 2, columns=len(shown))
    for number, (panel, target) in enumerate(zip(panels, shown, strict=True)):
        values = measured.mean[:, number].reshape(count, count)
        most = float(np.abs(values).max()) or 1.0
        image = panel.imshow(values, cmap="RdBu_r", norm=CenteredNorm(0, most))
        if measured.q is not None:
            down, across = np.nonzero(measured.q[:, number].reshape(count, count) >= SIGNIFICANT)
            panel.plot(across, down, "o", color="0.3", markersize=3, markeredgecolor="white", markeredgewidth=0.5)
        texts = [short(name) for name in names]
        panel.set_xticks(range(count), texts, rotation=90, fontsize=8, parse_math=False)
        panel.set_yticks(range(count), texts, fontsize=8, parse_math=False)
        panel.set_xlabel("downstream")
        panel.set_ylabel("upstream")
        titled(panel, short(target))
        figure.colorbar(image, ax=panel, shrink=0.7).set_label(label, parse_math=False)
    if measured.q is not None:
        figure.supxlabel(f"a dot marks q of at least {SIGNIFICANT}", fontsize=8)
    return figure


def colour_of(number: int) -> tuple[str, str]:
    """Colour and line style of a line."""
    count = len(figures.COLOURS)
    return figures.COLOURS[number % count], ("-", "--")[number // count % 2]


def titled(panel: Axes, text: str) -> None:
    """Write a text above a panel."""
    panel.set_title(text, fontsize=10, parse_math=False)


def short(name: str) -> str:
    """A name that fits."""
    return name if len(name) <= WIDEST else f"{name[: WIDEST - 3]}..."
