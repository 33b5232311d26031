"""Figures: axes without the upper and right border, saved as PNG, SVG or PDF by the suffix, whole or not at all.

A figure made here belongs to no window, so that no display is needed. Needs matplotlib, imported inside. The same
figure gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from zoo.errors import ZooError, require
from zoo.system.atomic import replacing

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS_PER_INCH = 150

PNG, SVG, PDF = "png", "svg", "pdf"

WITHOUT_DATE: dict[str, dict[str, Any]] = {PNG: {}, SVG: {"Date": None}, PDF: {"CreationDate": None}}
"""Format, which is the suffix of a name -> metadata that leaves out the time."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours of targets, which colour-blind readers can distinguish (Okabe and Ito 2008). More targets repeat them."""


def check_name(path: Path, option: str = "--figure", extra: str = "genome") -> None:
    """Raise ZooError for a suffix that is not a figure's, MissingDependency without matplotlib.

    option: where the name was given.  extra: the extra that installs matplotlib for the command.
    """
    if _kind(path) not in WITHOUT_DATE:
        suffixes = ", ".join(f".{kind}" for kind in WITHOUT_DATE)
        raise ZooError(f"{option} {path}: expected a name that ends in {suffixes}, got {path.suffix or 'no suffix'}")
    require("matplotlib", extra, option)


def _kind(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def new(width: float, height: float, rows: int = 1, columns: int = 1, **rest: Any) -> tuple[Figure, np.ndarray]:
    """A figure of a size in inches, and its axes (rows, columns). rest: see matplotlib's Figure.subplots."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    panels: np.ndarray = figure.subplots(rows, columns, squeeze=False, **rest)
    for panel in panels.flat:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panels


def thousands(axes: Axes, most: int = 7) -> None:
    """Mark an axis of positions or counts by whole numbers with thousands separators, `most` of them."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(most, integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def label_points(axes: Axes, points: Sequence[tuple[float, float, str]], size: float = 7) -> int:
    """Write a text beside each point (x, y, text), the first first, or farther away with a line to the point. At the
    first text that would overlap an earlier one, or leave the axes, wherever it is put, this ends.

    The figure must have been drawn, so that its scales are final. size: of the text, in points.  Returns the number of
    points that have a text.
    """
    from matplotlib.patheffects import withStroke
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

    renderer = axes.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    inside = axes.get_window_extent(renderer)
    # the points themselves stay free too
    centres = [axes.transData.transform((x, y)) for x, y, _ in points]
    taken = [Bbox.from_extents(x - 3, y - 3, x + 3, y + 3) for x, y in centres]
    for done, (x, y, text) in enumerate(points):
        out = 4 if y >= 0 else -4  # away from the other points, which are mostly around 0
        beside = [(0, out, "center"), (5, 0, "left"), (-5, 0, "right"), (0, -out, "center")]
        for dx, dy, ha in beside + [
            (sign * aside, steps * out, "left" if sign > 0 else "right")
            for aside in (12, 30, 60)
            for steps in (2, 4, 0, -2, 6, -4)
            for sign in (1, -1)
        ]:
            label = axes.annotate(
                text, (x, y), (dx, dy), textcoords="offset points", fontsize=size, ha=ha, parse_math=False,
                va="bottom" if dy > 0 else "top" if dy < 0 else "center", in_layout=False,
                path_effects=[withStroke(linewidth=1.5, foreground="white")],
                arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": "0.4", "shrinkA": 0, "shrinkB": 1}
                if abs(dx) > 5 else None,
                zorder=3 - 0.1 * (abs(dx) > 5),  # a line lies below the other texts
            )  # fmt: skip
            label.get_window_extent(renderer)  # puts the text where its offset says
            box = Text.get_window_extent(label, renderer)
            fits = inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
            if fits and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            label.remove()
        else:
            return done
    return len(points)


def save(figure: Figure, path: Path) -> None:
    """Write a file in the format of its suffix; an existing one is replaced."""
    with replacing(path, overwrite=True) as partial:
        write(figure, partial)


def write(figure: Figure, file: Path | IO[bytes], kind: str = "") -> None:
    """Write into a file that is not yet complete, or one in memory. kind: its format, if it has no suffix."""
    from matplotlib import rc_context

    kind = kind or _kind(file)  # type: ignore[arg-type]
    # text stays text, which can be searched and edited
    with rc_context({"svg.hashsalt": "deepstarr-zoo", "svg.fonttype": "none", "pdf.fonttype": 42}):
        figure.savefig(file, dpi=DOTS_PER_INCH, format=kind, metadata=WITHOUT_DATE[kind])
