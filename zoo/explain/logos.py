"""Logos of contributions, drawn with logomaker as PNG, SVG or PDF.

logomaker is imported when a logo is drawn; the extra `explain` installs it. Axes: L positions, W positions of a motif.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from zoo.spec import ALPHABET, UNIT
from zoo.system import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOLDER = "logos"

COLOURS = {"A": "#2a9d3f", "C": "#2f6fd6", "G": "#e8a317", "T": "#d63a3a"}
"""Colours of the bases, here and on all pages."""

ROW_BASES = 83
"""Bases in a row of the logo of a sequence: three rows for 249, which are readable on a page."""

BASE_WIDTH = 0.11
"""Inches of a letter in the logo of a sequence: 9 inches for a row."""

ROW_HEIGHT = 1.35
"""Inches of a row."""

LETTER_WIDTH = 0.25
"""Inches of a letter in an overview."""

HEIGHT = 2.2
"""Inches of the logo of a motif."""


def save_sequence(scores: np.ndarray, path: Path, title: str, unit: str = UNIT) -> None:
    """Draw a logo of scores, float (L, 4), in rows of ROW_BASES bases with one scale. The suffix is the format."""
    rows = -(-len(scores) // ROW_BASES)
    wide = min(len(scores), ROW_BASES)
    figure, panels = figures.new(BASE_WIDTH * wide + 1, max(HEIGHT, ROW_HEIGHT * rows) + 0.75, rows)
    lowest, highest = float(scores.min(initial=0)), float(scores.max(initial=0))
    margin = 0.05 * (highest - lowest) or 1.0
    for row, panel in enumerate(panels[:, 0]):
        start = row * ROW_BASES
        _draw(panel, scores[start : start + ROW_BASES], start + 1)
        panel.set(xlim=(start + 0.4, start + wide + 0.6), ylim=(lowest - margin, highest + margin))
    panels[-1, 0].set_xlabel("position (bases)", fontsize=9)
    figure.supylabel(contribution(unit), fontsize=9, parse_math=False)
    figure.suptitle(title, fontsize=9, x=0.01, ha="left", parse_math=False)
    figures.write(figure, path)


def save_motif(
    scores: np.ndarray, file: Path | IO[bytes], title: str, width: float, kind: str = "", unit: str = UNIT
) -> None:
    """Draw a logo of scores, float (W, 4). width: inches.  kind: the format of a file without a suffix."""
    figure, ((axes,),) = figures.new(width, HEIGHT)
    _draw(axes, scores)
    axes.set_title(title, fontsize=9, loc="left", parse_math=False)
    axes.set_ylabel(contribution(unit), fontsize=8, parse_math=False)
    axes.set_xlabel("position (bases)", fontsize=8)
    figures.write(figure, file, kind)


def overview(titles: Sequence[str], scores: Sequence[np.ndarray], path: Path, unit: str = UNIT) -> None:
    """Draw logos of scores, float (W, 4), below each other, with their titles beside them."""
    widest = max(len(one) for one in scores)
    ratios = {"width_ratios": [LETTER_WIDTH * widest, 4]}
    figure, panels = figures.new(
        LETTER_WIDTH * widest + 4.4, 1.15 * len(scores) + 0.2, len(scores), 2, gridspec_kw=ratios
    )
    for (logo, text), title, one in zip(panels, titles, scores, strict=True):
        _draw(logo, np.pad(one, ((0, widest - len(one)), (0, 0))))
        logo.set_xticks([])
        text.axis("off")
        text.text(0, 0.5, title, va="center", fontsize=10, parse_math=False, linespacing=1.5)
    figure.supylabel(f"mean {contribution(unit)}", fontsize=9, parse_math=False)
    figures.write(figure, path)


def contribution(unit: str) -> str:
    """The title of an axis of contributions to an activity in this unit."""
    return f"contribution ({unit})"


def _draw(axes: Axes, scores: np.ndarray, first: int = 1) -> None:
    """Draw letters for scores, float (L, 4), from position `first`; negative ones are upside down."""
    import logomaker
    import pandas

    table: Any = pandas.DataFrame(scores.astype(np.float64), columns=list(ALPHABET))
    table.index = np.arange(first, first + len(table))
    logomaker.Logo(table, ax=axes, color_scheme=COLOURS, show_spines=False)
    axes.axhline(0, color="0.4", linewidth=0.6)
    axes.tick_params(labelsize=7, length=2)
    axes.margins(x=0.005)
