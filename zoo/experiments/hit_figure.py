"""The figure of hits: for each target hits of each motif beside chance, where they are, and what they contribute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.experiments.drawing import BAR_INCHES, colour_of, short
from zoo.system import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from zoo.experiments.hit_motifs import TargetHits

MOST_MOTIFS = 40
"""Motifs of a figure: those with the most hits."""

MOST_LINES = 6
"""Motifs whose positions are drawn."""

BINS = 25


def figure(found: Sequence[TargetHits], length: int, unit: str) -> Figure:
    """A row of panels for each target. length: bases of a sequence."""
    most = max((min(MOST_MOTIFS, len(one.among)) for one in found), default=1)
    height = max(2.8, 1 + BAR_INCHES * most)
    drawn, panels = figures.new(13, height * len(found), len(found), 3)
    for (counts, places, sizes), one in zip(panels, found, strict=True):
        numbers = np.bincount(one.motifs, minlength=len(one.among))
        order = np.argsort(-numbers, kind="stable")[:MOST_MOTIFS]
        _counts(counts, one, numbers, order)
        counts.set_title(f"hits in contributions to {one.target}", fontsize=10, parse_math=False)
        drawn_motifs = [motif for motif in order[:MOST_LINES] if numbers[motif]]
        for line, motif in enumerate(drawn_motifs):
            own = one.motifs == motif
            colour, style = colour_of(line)
            centres = (one.starts[own] + one.ends[own] + 1) / 2
            edges = np.linspace(0.5, length + 0.5, BINS + 1)
            heights = np.histogram(centres, edges)[0]
            places.plot((edges[1:] + edges[:-1]) / 2, heights, style, color=colour, linewidth=1.2)
            values = np.sort(one.numbers[own, 3])
            share = np.arange(1, len(values) + 1) / len(values)
            sizes.step(
                values, share, style, where="post", color=colour, linewidth=1.2, label=short(one.among[motif].name)
            )
        places.set_xlabel("position of the middle of a hit (bases)")
        places.set_ylabel("hits")
        sizes.set_xlabel(f"contribution of a hit ({unit})", parse_math=False)
        sizes.set_ylabel("share of hits below")
        if drawn_motifs:
            legend = sizes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
            for text in legend.get_texts():
                text.set_parse_math(False)
    return drawn


def _counts(axes: Axes, one: TargetHits, numbers: np.ndarray, order: np.ndarray) -> None:
    """Bars of hits, and a mark where chance would be."""
    places = np.arange(len(order))
    axes.barh(places, numbers[order], height=0.7, color=figures.COLOURS[0])
    axes.plot(
        one.chance[order], places, "|", color=figures.COLOURS[1], markersize=9, markeredgewidth=2, label="by chance"
    )
    axes.set_yticks(places, [short(one.among[motif].name) for motif in order], parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("hits")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
