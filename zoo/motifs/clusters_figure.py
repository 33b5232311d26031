"""The figure of `zoo explain --clusters`: the sequences, their predictions, and the contributions of each cluster."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.explain import logos
from zoo.motifs.clustering import Clusters
from zoo.motifs.comparison import Difference
from zoo.motifs.features import Feature
from zoo.system import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (*figures.COLOURS, "#f0e442", "#000000")
MARKERS = "os^D"
"""Colours of clusters (Okabe and Ito 2008), and the markers of each round of them."""

MOST_ARROWS = 8
"""Features with an arrow: those with the longest ones."""

MOST_BARS = 12
"""Features with bars: the first of each cluster in turn."""

LEAST_ROOM = 5
"""Features that the panel of bars has room for, even if there are fewer."""

WIDTH = 13.5
"""Inches."""

BAR_INCHES = 0.075
"""Height of a bar."""


@dataclasses.dataclass(frozen=True)
class Content:
    """clusters: of N sequences.  features: F of them.  differences: of all clusters, in their order.
    predictions: target -> float (N,).  unit: of predictions and contributions."""

    clusters: Clusters
    features: Sequence[Feature]
    differences: Sequence[Difference]
    predictions: Mapping[str, np.ndarray]
    unit: str


def draw(content: Content) -> Figure:
    """A figure of three panels."""
    shown = bars(content)
    height = max(4.6, 1.3 + len(shown) * (content.clusters.number * BAR_INCHES + 0.15))
    figure, ((points, boxes, means),) = figures.new(WIDTH, height, 1, 3, gridspec_kw={"width_ratios": [5, 3.3, 5]})
    arrows = _points(points, content)
    _predictions(boxes, content)
    _means(means, content, shown)
    figure.legend(*means.get_legend_handles_labels(), loc="outside lower center", ncols=8, fontsize=9, frameon=False)
    figure.canvas.draw()  # so that the scales are final
    figures.label_points(points, arrows, 8)
    return figure


def bars(content: Content) -> list[Feature]:
    """The features with bars: for each cluster in turn the first one that distinguishes it, then the second, and so on;
    without any, those with the largest contributions."""
    rows = [row for row in content.differences if row.distinguishes] or list(content.differences)
    by_cluster = [[row.feature for row in rows if row.cluster == number] for number in range(content.clusters.number)]
    longest = max(map(len, by_cluster), default=0)
    in_turn = [one[place] for place in range(longest) for one in by_cluster if place < len(one)]
    return list(dict.fromkeys(in_turn))[:MOST_BARS]


def title(feature: Feature, targets: int) -> str:
    """The name of a feature, without the consensus of a motif; with several targets also the target."""
    name = feature.name.split(" ")[0] if feature.known else feature.name
    return f"{name}, {feature.target}" if targets > 1 else name


def look(number: int) -> dict[str, str]:
    """Colour and marker of a cluster."""
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number // len(COLOURS) % len(MARKERS)]}


def _points(axes: Axes, content: Content) -> list[tuple[float, float, str]]:
    """The sequences, and arrows for features; the ends of the arrows and their texts."""
    clusters = content.clusters
    components = clusters.components
    if components.shape[1] < 2:
        components = np.pad(components, ((0, 0), (0, 2 - components.shape[1])))
    for number in range(clusters.number):
        x, y, *_ = components[clusters.labels == number].T
        axes.scatter(x, y, s=10, alpha=0.6, linewidths=0, rasterized=True, **look(number))  # type: ignore[arg-type]
    # as long as the feature varies along the two components
    axes_of_features = clusters.axes * components[clusters.labels >= 0, : len(clusters.axes)].std(0)[:, None]
    arrows = np.pad(axes_of_features, ((0, max(0, 2 - len(axes_of_features))), (0, 0)))[:2]
    lengths = np.linalg.norm(arrows, axis=0)
    longest = np.argsort(-lengths)[:MOST_ARROWS]
    reach = 0.9 * float(np.abs(components[:, :2]).max(initial=1e-9)) / max(float(lengths.max(initial=0)), 1e-9)
    shown = [number for number in longest if lengths[number] > 0.1 * lengths.max()]
    for number in shown:
        x, y = arrows[:, number] * reach
        axes.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "->", "color": "0.2", "linewidth": 0.9})
    axes.set_xlabel(f"component 1 ({_share(clusters, 0)} of the variance)", fontsize=9)
    axes.set_ylabel(f"component 2 ({_share(clusters, 1)} of the variance)", fontsize=9)
    axes.set_title("contributions divided by their norm; arrows: motifs, words", fontsize=10)
    axes.margins(0.12)
    axes.set_aspect("equal", adjustable="datalim")
    return [
        (*(arrows[:, number] * reach), title(content.features[number], len(content.predictions))) for number in shown
    ]


def _share(clusters: Clusters, number: int) -> str:
    return f"{clusters.spread[number]:.0%}" if number < len(clusters.spread) else "0%"


def _predictions(axes: Axes, content: Content) -> None:
    """Boxes of the predictions of each cluster, target by target."""
    number, labels = content.clusters.number, content.clusters.labels
    ticks = []
    for place, (target, values) in enumerate(content.predictions.items()):
        first = place * (number + 1)
        boxes = axes.boxplot(
            [values[labels == cluster] for cluster in range(number)],
            positions=range(first, first + number),
            widths=0.65,
            patch_artist=True,
            medianprops={"color": "black"},
            flierprops={"markersize": 2, "markeredgewidth": 0.4},
            manage_ticks=False,
        )
        for cluster, box in enumerate(boxes["boxes"]):
            box.set(facecolor=look(cluster)["color"], alpha=0.55)
        ticks.append((first + (number - 1) / 2, target))
    axes.set_xticks([x for x, _ in ticks], [text for _, text in ticks], fontsize=9, parse_math=False)
    axes.set_ylabel(f"prediction ({content.unit})", fontsize=9, parse_math=False)
    axes.set_title("predictions of the clusters", fontsize=10)


def _means(axes: Axes, content: Content, shown: Sequence[Feature]) -> None:
    """Bars of the mean contributions of features, a group of bars for each."""
    number = content.clusters.number
    means = {(row.cluster, row.feature): row.contribution for row in content.differences}
    places = np.arange(len(shown))
    for cluster in range(number):
        offset = (cluster - (number - 1) / 2) * 0.8 / number
        widths = [means[cluster, feature] for feature in shown]
        size = int((content.clusters.labels == cluster).sum())
        label = f"cluster {cluster + 1}, n = {size:,}"
        axes.barh(places + offset, widths, 0.8 / number, color=look(cluster)["color"], label=label)
    labels = [title(feature, len(content.predictions)) for feature in shown]
    axes.set_yticks(places, labels, fontsize=9, parse_math=False)
    axes.axvline(0, color="0.4", linewidth=0.6)
    axes.set_xlabel(f"mean {logos.contribution(content.unit)}", fontsize=9, parse_math=False)
    axes.set_title("motifs, and words of no known motif", fontsize=10)
    axes.set_ylim(max(len(shown), LEAST_ROOM) - 0.5, -0.5)
