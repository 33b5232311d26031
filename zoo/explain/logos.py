"""Logos of contributions, drawn with logomaker as PNG or SVG.

logomaker and matplotlib are imported when a logo is drawn; the extra `explain` installs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from zoo.spec import ALPHABET

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOLDER = "logos"

COLOURS = {"A": "#2a9d3f", "C": "#2f6fd6", "G": "#e8a317", "T": "#d63a3a"}
"""Colours of the bases, here and on all pages."""

BASE_WIDTH = 0.11
"""Inches of a letter in the logo of a sequence: 249 letters take 27 inches."""

LETTER_WIDTH = 0.25
"""Inches of a letter in an overview."""

HEIGHT = 2.2
"""Inches."""

DOTS_PER_INCH = 150


def save(scores: np.ndarray, path: Path | IO[bytes], title: str, width: float, kind: str = "png") -> None:
    """Draw a logo of scores, float (L, 4), to a file. width: inches.  kind: png or svg."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, HEIGHT), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    _draw(axes, scores)
    axes.set_title(title, fontsize=9, loc="left", parse_math=False)
    with rc_context({"svg.hashsalt": "deepstarr-zoo"}):  # the same logo gives the same bytes
        figure.savefig(path, format=kind, dpi=DOTS_PER_INCH, metadata={"Date": None} if kind == "svg" else None)


def overview(titles: Sequence[str], scores: Sequence[np.ndarray], path: Path) -> None:
    """Draw logos of scores, float (W, 4), below each other, with their titles beside them, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    widest = max(len(one) for one in scores)
    figure = Figure(figsize=(LETTER_WIDTH * widest + 4.2, 1.15 * len(scores)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(scores), 2, squeeze=False, width_ratios=[LETTER_WIDTH * widest, 4])
    for (logo, text), title, one in zip(panels, titles, scores, strict=True):
        _draw(logo, np.pad(one, ((0, widest - len(one)), (0, 0))))
        logo.set_xticks([])
        text.axis("off")
        text.text(0, 0.5, title, va="center", fontsize=10, parse_math=False, linespacing=1.5)
    figure.savefig(path, format="png", dpi=DOTS_PER_INCH)


def _draw(axes: Axes, scores: np.ndarray) -> None:
    """Draw letters for scores, float (L, 4); negative ones are upside down."""
    import logomaker
    import pandas

    table: Any = pandas.DataFrame(scores.astype(np.float64), columns=list(ALPHABET))
    table.index = np.arange(1, len(table) + 1)
    logomaker.Logo(table, ax=axes, color_scheme=COLOURS, show_spines=False)
    axes.axhline(0, color="0.4", linewidth=0.6)
    axes.tick_params(labelsize=7, length=2)
    axes.margins(x=0.005)
