"""Figures of an evaluation: predicted against observed, models beside each other, residuals. Computes no results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import counted
from zoo.evaluation.diagnosis import Diagnosis, Mixture, by_sequence
from zoo.evaluation.intervals import VERDICTS, Verdict, verdict
from zoo.evaluation.metrics import SHOWN_AS, Interval, Score
from zoo.spec import MOST_SHOWN, UNIT
from zoo.system import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_INCHES = 3.4

MOST_COLUMNS = 4
"""Panels beside each other for the targets of one model; those of several models have a row for each model."""

COLOURS = "viridis"
IDENTITY: dict[str, Any] = {"color": "0.35", "linewidth": 1, "linestyle": (0, (4, 3)), "zorder": 3}
ONE_COLOUR, TWO_COLOUR = "0.25", figures.COLOURS[1]

WIDEST_TITLE = 36
"""Characters of a user's name that fit over a panel; the middle of a longer one is left out."""

VERDICT_COLOURS: dict[Verdict, str] = dict(zip(VERDICTS, ("#009e73", "#d55e00", "0.5"), strict=True))
"""Colours of Okabe and Ito (2008), which colour-blind readers can distinguish."""

_BINS = 256
_REACH = 3.0  # standard deviations at which the smoothing kernel ends


def scatter(
    observed: np.ndarray,
    predicted: dict[str, np.ndarray],
    scores: dict[str, list[Score]],
    targets: tuple[str, ...],
    path: Path,
    names: tuple[str, str] = ("observed", "predicted"),
    unit: str = UNIT,
) -> None:
    """Predicted against observed: a row of panels for each model, a column for each target.

    observed, predicted: float (N, T), NaN for a missing measurement. All panels of a column have the same axes.
    names: what the two axes show.  unit: of both.
    """
    columns = len(targets) if len(predicted) > 1 else min(len(targets), MOST_COLUMNS)
    figure, panels = _grid(-(-len(predicted) * len(targets) // columns), columns)
    for panel in panels.flat[len(predicted) * len(targets) :]:
        panel.set_axis_off()
    shades = None
    for row, (label, values) in enumerate(predicted.items()):
        for column, target in enumerate(targets):
            panel, score = panels.flat[row * len(targets) + column], scores[label][column]
            present = ~np.isnan(observed[:, column])
            limits = _limits(observed[present, column], *(p[present, column] for p in predicted.values()))
            shades = _points(panel, observed[present, column], values[present, column], shades)
            panel.plot(limits, limits, **IDENTITY, label="equal values")
            x, y = (f"{_short(target, 16)}, {_short(name, 20)} ({unit})" for name in names)
            panel.set(xlim=limits, ylim=limits)
            panel.set_xlabel(x, fontsize=9, parse_math=False)
            panel.set_ylabel(y, fontsize=9, parse_math=False)
            panel.set_aspect("equal")
            name = f"{_short(label)}\n" if len(predicted) > 1 else ""
            title = f"{name}{_short(target, 16)}: {_correlation(score.pearson)}, n = {counted(score.n, 'rows')}"
            panel.set_title(title, fontsize=10, parse_math=False)
    panels[0, 0].legend(frameon=False, fontsize=7, loc="upper left")
    _shade_legend(figure, shades, panels)
    figures.save(figure, path)


def comparison(
    scores: dict[str, list[Interval | None]],
    differences: dict[str, list[Interval | None]],
    reference: str,
    targets: tuple[str, ...],
    metric: str,
    path: Path,
    costs: Mapping[str, Mapping[str, float | None]] | None = None,
) -> None:
    """A row of two panels for each target: the metric of each model, and its paired difference from the reference.

    scores, differences: label -> an interval for each target, None if not defined; the reference has no difference.
    costs: two axes, name -> label -> value: a last row has the mean metric over the targets against each of them.
    A line for each model, the first on top, coloured by the verdict on its difference. More than MOST_SHOWN targets
    have no rows.
    """
    shown = targets if len(targets) <= MOST_SHOWN else ()
    heights = [1.1 + 0.28 * len(scores)] * len(shown) + [PANEL_INCHES] * (costs is not None)
    figure, panels = _grid(len(heights), 2, heights)
    name = SHOWN_AS[metric]
    points = [
        (panel, _against_cost(panel, scores, of_models, cost, f"{name}, mean over {counted(len(targets), 'targets')}"))
        for panel, (cost, of_models) in zip(panels[-1], (costs or {}).items(), strict=False)
    ]
    for row, target in enumerate(shown):
        for place, label in enumerate(scores):
            compared = differences[label][row] if label != reference else None
            colour = "black" if label == reference else VERDICT_COLOURS[verdict(metric, compared)]
            _interval(panels[row, 0], place, scores[label][row], colour)
            if label != reference:
                _interval(panels[row, 1], place, compared, colour, "+")
        for panel in panels[row]:
            panel.set_yticks(range(len(scores)), [_short(label, 24) for label in scores])
            panel.set_ylim(len(scores) - 0.4, -0.6)
            panel.margins(x=0.2)
            panel.locator_params(axis="x", nbins=5)
        panels[row, 1].axvline(0, **IDENTITY)
        panels[row, 1].tick_params(labelleft=False)
        panels[row, 0].set_xlabel(f"{name} {_short(target, 16)}", fontsize=9)
        panels[row, 1].set_xlabel(f"{name} {_short(target, 16)}, paired difference", fontsize=9)
    if shown:
        _legend_of_verdicts(figure, panels[0, 1], reference)
    if points:
        figure.canvas.draw()  # the scales are final
    for panel, texts in points:
        figures.label_points(panel, texts)
    figures.save(figure, path)


def _legend_of_verdicts(figure: Figure, panel: Axes, reference: str) -> None:
    figure.legend(
        handles=[
            panel.plot([], [], "o-", color=colour, markersize=4, label=said)[0]
            for said, colour in VERDICT_COLOURS.items()
        ],
        title=f"compared with {_short(reference, 2 * WIDEST_TITLE)}; 95% intervals",
        title_fontsize=9,
        fontsize=8,
        loc="outside upper center",
        ncols=len(VERDICT_COLOURS),
        frameon=False,
    )


def _against_cost(
    panel: Axes,
    scores: Mapping[str, Sequence[Interval | None]],
    costs: Mapping[str, float | None],
    cost: str,
    name: str,
) -> list[tuple[float, float, str]]:
    """Draw the mean score of each model against what it costs, on a logarithmic scale. Returns points and labels."""
    points = []
    for label, found in scores.items():
        values = [one.value for one in found if one is not None]
        value = costs.get(label)
        if value is not None and len(values) == len(found):
            points.append((value, float(np.mean(values)), _short(label, 24)))
    panel.set_xscale("log")
    panel.plot([x for x, _, _ in points], [y for _, y, _ in points], "o", color=figures.COLOURS[0], markersize=4.5)
    panel.margins(0.25, 0.15)
    panel.xaxis.set_major_formatter("{x:,g}")
    panel.set_xlabel(cost, fontsize=9)
    panel.set_ylabel(name, fontsize=9)
    return points


def distributions(scores: dict[str, list[Score]], path: Path) -> None:
    """Histograms over many targets, a panel for each metric. scores: label -> a Score for each target."""
    figure, panels = _grid(1, len(SHOWN_AS), height=2.9)
    for panel, (metric, name) in zip(panels[0], SHOWN_AS.items(), strict=True):
        found = {
            label: [value for one in of_targets if (value := getattr(one, metric)) is not None]
            for label, of_targets in scores.items()
        }
        defined = np.concatenate(list(found.values()))
        bins = np.linspace(*_limits(defined), 41)
        for number, (label, values) in enumerate(found.items()):
            colour = f"C{number}"
            panel.hist(values, bins=bins, histtype="step", color=colour, linewidth=1.5, label=_short(label, 24))
            if values:
                panel.axvline(float(np.median(values)), color=colour, linewidth=1, linestyle=":")
        panel.set(xlabel=name, ylabel="targets")
        missing = sum(map(len, scores.values())) - len(defined)
        panel.set_title(f"not defined for {missing:,}" if missing else "", fontsize=9)
    targets = max(map(len, scores.values()))
    figure.suptitle(f"{targets:,} targets; dotted: the median of each model", fontsize=10)
    figure.legend(
        *panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8
    )
    figures.save(figure, path)


def diagnosis(
    residuals: np.ndarray,
    covariates: list[dict[str, np.ndarray]],
    strands: np.ndarray,
    groups: np.ndarray,
    diagnoses: list[Diagnosis],
    targets: tuple[str, ...],
    title: str,
    path: Path,
    unit: str = UNIT,
) -> None:
    """A row of panels for each target: the residuals with one and with two Gaussians, then against each covariate.

    Each point is a sequence, with the mean of its strands; the panel of the strands has a value for each row.

    residuals: observed - predicted, float (N, T), NaN where missing.  covariates: for each target, name -> values (N,).
    strands: "+", "-" or "" (N,); the panel is left out if no record has a strand.  groups: as in diagnosis.diagnose.
    """
    by_strand = bool((strands != "").any())
    columns = 1 + max(map(len, covariates)) + by_strand
    figure, panels = _grid(len(targets), columns, height=2.9)
    figure.suptitle(_short(title, 2 * WIDEST_TITLE), fontsize=10)
    shades = None
    for row, target in enumerate(targets):
        measured = np.isfinite(residuals[:, row])
        every = by_sequence(residuals[:, row], groups)
        present = np.isfinite(every)
        values = every[present]
        label = f"residual {_short(target, 16)} ({_short(unit, 20)})"
        _histogram(panels[row, 0], values, diagnoses[row], f"{label}\nobserved - predicted")
        limits = _limits(residuals[measured, row], np.zeros(1))
        for column, (name, by_row) in enumerate(covariates[row].items(), 1):
            panel, correlation = panels[row, column], diagnoses[row].correlations[name]
            covariate = by_sequence(np.where(measured, by_row, np.nan), groups)
            kept = np.isfinite(covariate[present])
            shades = _points(panel, covariate[present][kept], values[kept], shades)
            panel.axhline(0, **IDENTITY)
            panel.set(xlabel=_short(name), ylabel=label, ylim=limits)
            panel.set_title(_correlation(correlation), fontsize=10)
        if by_strand:
            _by_strand(panels[row, -1], residuals[measured, row], strands[measured], label, limits)
    _shade_legend(figure, shades, panels)
    figures.save(figure, path)


def density(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Density of points (n,) around each of them, float64 (n,), 0 to 1: a Gaussian kernel estimate on a grid.

    Bandwidth by Scott's rule (1992) for two dimensions: standard deviation times n ** (-1/6).
    """
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.ones(len(x))
    from scipy.ndimage import gaussian_filter

    points = np.stack([x, y]).astype(np.float64)
    widths = np.ptp(points, axis=1) / (_BINS - 1)
    places = tuple(np.round((points - points.min(axis=1, keepdims=True)) / widths[:, None]).astype(np.intp))
    counts = np.zeros((_BINS, _BINS))
    np.add.at(counts, places, 1)
    bandwidths = np.maximum(1.0, points.std(axis=1) * len(x) ** (-1 / 6) / widths)
    found = gaussian_filter(counts, bandwidths, mode="constant", truncate=_REACH)[places]
    return found / found.max()


def _grid(rows: int, columns: int, height: float | Sequence[float] = PANEL_INCHES) -> tuple[Figure, np.ndarray]:
    """height: inches of every row, or of each."""
    heights = [height + 0.3] * rows if isinstance(height, int | float) else list(height)
    width = PANEL_INCHES * columns + 0.6
    figure, panels = figures.new(width, sum(heights), rows, columns, gridspec_kw={"height_ratios": heights})
    figure.set_layout_engine("constrained", h_pad=0.1, w_pad=0.1, hspace=0.05, wspace=0.03)
    for panel in panels.flat:
        panel.tick_params(labelsize=8)
    return figure, panels


def _points(panel: Axes, x: np.ndarray, y: np.ndarray, shades: object) -> object:
    """Plot points coloured by density, the densest on top. Returns them for the colour bar."""
    if not len(x):
        panel.text(0.5, 0.5, "no measurements", transform=panel.transAxes, ha="center", color="0.5")
        return shades
    shade = density(x, y)
    order = np.argsort(shade)
    size = float(np.clip(4000 / len(x), 2, 24))
    return panel.scatter(
        x[order], y[order], c=shade[order], s=size, cmap=COLOURS, vmin=0, vmax=1, linewidths=0, rasterized=True
    )


def _interval(panel: Axes, place: int, found: Interval | None, colour: str, sign: str = "") -> None:
    """Draw a point with its interval, and its value above it."""
    if found is None:
        panel.text(
            0.5, place, "not defined", transform=panel.get_yaxis_transform(), ha="center", va="center", color="0.5"
        )
        return
    panel.plot([found.low, found.high], [place, place], color=colour, linewidth=1.6, solid_capstyle="butt")
    panel.plot([found.value], [place], "o", color=colour, markersize=4.5)
    panel.annotate(
        f"{found.value:{sign}.3f}",
        (found.value, place),
        (0, 5),
        textcoords="offset points",
        ha="center",
        fontsize=7,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        zorder=IDENTITY["zorder"] + 1,  # the line at 0 passes behind
    )


def _shade_legend(figure: Figure, shades: object, panels: np.ndarray) -> None:
    if shades is None:
        return
    bar = figure.colorbar(shades, ax=panels, shrink=0.5, aspect=25, pad=0.02)  # type: ignore[arg-type]
    bar.set_ticks([0, 1], labels=["low", "high"], fontsize=8)
    bar.set_label("point density", fontsize=8, labelpad=-4)
    bar.outline.set_visible(False)


def _correlation(value: float | None) -> str:
    return "r not defined" if value is None else f"r = {round(value, 2) + 0.0:.2f}"  # + 0.0: no "-0.00"


def _short(text: str, most: int = WIDEST_TITLE) -> str:
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[: most - 3 - half]}...{text[-half:]}"


def _limits(*values: np.ndarray) -> tuple[float, float]:
    joined = np.concatenate(values)
    if not len(joined):
        return 0.0, 1.0
    low, high = float(joined.min()), float(joined.max())
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin


def _histogram(panel: Axes, values: np.ndarray, found: Diagnosis, label: str) -> None:
    panel.hist(values, bins=int(np.clip(2 * np.sqrt(len(values)), 5, 120)), density=True, color="0.82")
    panel.set(xlabel=label, ylabel="density")
    x = np.linspace(*_limits(values), 400)
    curves: list[tuple[Mixture | None, str, str, Callable[[np.ndarray], np.ndarray]]] = [
        (found.two, TWO_COLOUR, "two Gaussians", lambda d: d.sum(axis=0)),
        # dashed and last, so that both are visible where they are equal
        (found.one, ONE_COLOUR, "one Gaussian", lambda d: d[0]),
    ]
    for mixture, colour, name, together in curves:
        if mixture is None:
            continue
        parts = mixture.density(x)
        style = "-" if len(parts) > 1 else "--"
        panel.plot(
            x, together(parts), color=colour, linewidth=1.3, linestyle=style, label=f"{name}, BIC {mixture.bic:,.0f}"
        )
        if len(parts) > 1:
            labels = ["each of the two", *[None] * (len(parts) - 1)]
            panel.plot(x, parts.T, color=colour, linewidth=0.8, linestyle=":", label=labels)
    if found.one is not None:
        panel.legend(frameon=False, fontsize=7, loc="upper left")
        panel.set_ylim(top=1.3 * panel.get_ylim()[1])
    verdict = {True: "split in two", False: "no split", None: "not decided"}[found.split]
    panel.set_title(f"{verdict}, n = {counted(found.n, 'sequences')}", fontsize=10)


def _by_strand(panel: Axes, values: np.ndarray, strands: np.ndarray, label: str, limits: tuple[float, float]) -> None:
    sides = [side for side in "+-" if (strands == side).any()]
    if sides:
        panel.boxplot(
            [values[strands == side] for side in sides],
            tick_labels=[f"{side}\nn = {(strands == side).sum():,}" for side in sides],
            widths=0.5,
            flierprops={"markersize": 2, "markeredgecolor": "0.6"},
            medianprops={"color": TWO_COLOUR},
        )
    panel.axhline(0, **IDENTITY)
    panel.set(xlabel="strand", ylabel=label, ylim=limits)
    means = ", ".join(f"{values[strands == side].mean():+.2f} ({side})" for side in sides)
    panel.set_title(f"mean {means}" if sides else "no strand in the names", fontsize=10)
