"""Logos of contributions as pictures, PNG or SVG, drawn with logomaker.

It and matplotlib are imported when a logo is drawn; the extra `explain` brings them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from zoo.dna.encoding import ONE_HOT
from zoo.errors import MissingDependency
from zoo.explain.files import quoted
from zoo.spec import ALPHABET

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from zoo.explain.report import Row

FOLDER = "logos"

COLOURS = {"A": "#2a9d3f", "C": "#2f6fd6", "G": "#e8a317", "T": "#d63a3a"}
"""Of the letters, here and in the report, where they are read from."""

BASES_WIDTH = 0.11
"""Inches of a letter: 249 of them fill 27 inches, which a screen shows whole and a reader may enlarge."""

LETTER_WIDTH = 0.25
"""Inches of a letter of a pattern."""

HEIGHT = 2.2
"""Inches."""

DOTS_PER_INCH = 150


def require(what: str) -> None:
    """Raise MissingDependency without logomaker. what: needs it."""
    if importlib.util.find_spec("logomaker") is None:
        raise MissingDependency(f"{what}: needs logomaker; pip install 'deepstarr-zoo[explain]' brings it")


def draw(folder: Path, rows: Sequence[Row], targets: Sequence[str], kind: str) -> None:
    """A picture for each sequence and target in a folder of their own: 0001.dev.png is of the first."""
    (folder / FOLDER).mkdir()
    for number, row in enumerate(rows, 1):
        for target, contributions in zip(targets, row.contributions, strict=True):
            scores = contributions[:, None] * ONE_HOT[row.codes]
            path = folder / FOLDER / f"{number:04d}.{quoted(target)}.{kind}"
            save(scores, path, f"{row.name}: contributions to {target}", BASES_WIDTH * len(scores) + 1, kind)


def save(scores: np.ndarray, path: Path | IO[bytes], title: str, width: float, kind: str = "png") -> None:
    """A logo of scores, float (L, 4). width: inches.  kind: png or svg."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, HEIGHT), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    draw_on(axes, scores)
    axes.set_title(title, fontsize=9, loc="left", parse_math=False)
    # the same logo gives the same bytes
    figure.savefig(path, format=kind, dpi=DOTS_PER_INCH, metadata={"Date": None} if kind == "svg" else None)


def overview(titles: Sequence[str], scores: Sequence[np.ndarray], path: Path) -> None:
    """Logos of float (W, 4) below each other, letters of one width, with their titles, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    widest = max(len(one) for one in scores)
    figure = Figure(figsize=(LETTER_WIDTH * widest + 4.2, 1.15 * len(scores)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(scores), 2, squeeze=False, width_ratios=[LETTER_WIDTH * widest, 4])
    for (logo, text), title, one in zip(panels, titles, scores, strict=True):
        draw_on(logo, np.pad(one, ((0, widest - len(one)), (0, 0))))
        logo.set_xticks([])
        text.axis("off")
        text.text(0, 0.5, title, va="center", fontsize=10, parse_math=False, linespacing=1.5)
    figure.savefig(path, format="png", dpi=DOTS_PER_INCH)


def draw_on(axes: Axes, scores: np.ndarray) -> None:
    """The letters of scores, float32 (L, 4), those below zero upside down."""
    import logomaker
    import pandas

    table: Any = pandas.DataFrame(scores.astype(np.float64), columns=list(ALPHABET))
    table.index = np.arange(1, len(table) + 1)
    logomaker.Logo(table, ax=axes, color_scheme=COLOURS, show_spines=False)
    axes.axhline(0, color="0.4", linewidth=0.6)
    axes.tick_params(labelsize=7, length=2)
    axes.margins(x=0.005)
