"""Figures of a study: history, importance of each setting, parallel coordinates, accuracy against cost.

Only the importances are computed here, by Optuna's fANOVA. Needs matplotlib, imported inside.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.evaluation.metrics import SHOWN_AS
from zoo.search import results
from zoo.search.objective import COST, SPEED, Objective
from zoo.search.study import Study
from zoo.system import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HISTORY, IMPORTANCE, PARALLEL, FRONT = "history.png", "importance.png", "parallel.png", "cost.png"

BEST, OTHER, BAD = figures.COLOURS[1], figures.COLOURS[0], "0.6"
COLOURS = "viridis"

LEGIBLE: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
"""Box behind a number that lines may cross."""

LEAST_TRIALS = 4
"""Fewest finished trials from which importances are computed."""


def draw(study: Study) -> list[str]:
    """Draw the figures that the study has data for into its folder; names of the files."""
    drawn = {HISTORY: _history(study), IMPORTANCE: _importance(study), PARALLEL: _parallel(study), FRONT: _front(study)}
    made = {name: figure for name, figure in drawn.items() if figure is not None}
    for name, figure in made.items():
        figures.save(figure, study.folder / name)
    return list(made)


def importances(study: Study) -> dict[str, float]:
    """Parameter -> share of the variance of the first objective that it explains alone, relative to the others.

    Optuna's fANOVA, for parameters that every finished trial has and that vary; {} with too few trials or parameters.
    """
    import optuna

    done = study.finished()
    shared = set.intersection(*(set(one.params) for one in done)) if done else set()
    names = sorted(name for name in shared if len({str(one.params[name]) for one in done}) > 1)
    if len(done) < LEAST_TRIALS or not names or len({one.values[0] for one in done}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=study.options.seed)
    return optuna.importance.get_param_importances(
        study.optuna_study, evaluator=evaluator, params=names, target=lambda one: one.values[0]
    )


def label(objective: Objective) -> str:
    """Label of an axis."""
    if objective.kind == COST:
        return "arithmetic per sequence (MFLOP)"
    name = f"validation {SHOWN_AS.get(objective.kind, objective.kind)}" if objective.kind != SPEED else "sequences/s"
    return f"{name}, {objective.of}" if objective.of else name


def scale(objective: Objective) -> float:
    """Divisor of the values on an axis."""
    return 1e6 if objective.kind == COST else 1.0


def _history(study: Study) -> Figure | None:
    from matplotlib.ticker import MaxNLocator

    trials = study.trials()
    objective = study.objectives[0]
    done = [one for one in trials if one.state.name == "COMPLETE"]
    if not done:
        return None
    figure, ((axes,),) = figures.new(6.4, 3.6)
    by = scale(objective)
    axes.plot(
        [one.number for one in done], [one.values[0] / by for one in done], "o", color=OTHER, markersize=4,
        label="trained to the end",
    )  # fmt: skip
    pruned = [one for one in trials if one.state.name == "PRUNED" and one.values]
    if pruned:
        axes.plot(
            [one.number for one in pruned], [one.values[0] / by for one in pruned], "x", color=BAD, markersize=4,
            label="stopped early",
        )  # fmt: skip
    failed = [one.number for one in trials if one.state.name == "FAIL"]
    if failed:
        bottom = axes.get_ylim()[0]
        axes.plot(
            failed, [bottom] * len(failed), "v", color=figures.COLOURS[3], markersize=5, clip_on=False, label="failed"
        )
    best = np.maximum if objective.maximised else np.minimum
    so_far = best.accumulate([one.values[0] / by for one in done])
    axes.step([one.number for one in done], so_far, where="post", color=BEST, label="best so far")
    axes.set(xlabel="trial", ylabel=label(objective))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _importance(study: Study) -> Figure | None:
    found = importances(study)
    if not found:
        return None
    names = sorted(found, key=lambda name: found[name])
    figure, ((axes,),) = figures.new(6.0, 1.0 + 0.28 * len(names))
    bars = axes.barh(names, [found[name] for name in names], color=OTHER)
    axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
    axes.set(xlabel=f"importance for {study.objectives[0]} (fANOVA, sum 1)")
    axes.set_xlim(0, max(found.values()) * 1.12)
    return figure


def _parallel(study: Study) -> Figure | None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    done = study.finished()
    names = [one.name for one in study.space.parameters if any(one.name in trial.params for trial in done)]
    names = [name for name in names if len({str(trial.params.get(name)) for trial in done}) > 1]
    if len(done) < 2 or not names:
        return None
    objective = study.objectives[0]
    values = [one.values[0] / scale(objective) for one in done]
    shade = Normalize(min(values), max(values) if max(values) > min(values) else min(values) + 1)
    figure, ((axes,),) = figures.new(max(6.4, 0.85 * len(names) + 2), 4.4)
    colours = ScalarMappable(shade, COLOURS if objective.maximised else f"{COLOURS}_r")
    places = {name: _places(study, name) for name in names}
    shift = np.random.default_rng(0).uniform(-0.012, 0.012, (len(done), len(names)))
    for number in reversed(range(len(done))):  # the best on top
        heights = [places[name][1](done[number].params.get(name)) for name in names]
        best = number == 0
        axes.plot(
            range(len(names)), np.array(heights) + shift[number],
            color=BEST if best else colours.to_rgba(values[number]),
            linewidth=2.2 if best else 0.9, alpha=1 if best else 0.7, label="best" if best else None,
            marker="o" if best else None, markersize=3,
        )  # fmt: skip
    for place, name in enumerate(names):
        axes.axvline(place, color="0.85", linewidth=0.8, zorder=0)
        for text, height in places[name][0]:
            axes.text(place + 0.04, height, text, fontsize=7, color="0.25", va="center", bbox=LEGIBLE)
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", fontsize=8)
    axes.set(yticks=[], xlim=(-0.2, len(names) - 0.4), ylim=(-0.16, 1.06))
    axes.spines["left"].set_visible(False)
    axes.text(-0.18, -0.12, "absent", fontsize=7, color="0.45", va="center", ha="right")
    axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1))
    figure.colorbar(colours, ax=axes, label=label(objective), fraction=0.03, pad=0.02)
    return figure


def _places(study: Study, name: str) -> tuple[list[tuple[str, float]], Any]:
    """(text, height) of the marks along the axis of a parameter, and a function value -> height, 0 to 1.

    The height of a parameter that a trial does not have is below 0.
    """
    domain = next(one.domain for one in study.space.parameters if one.name == name)
    options = domain.options
    if options is not None and len(options) <= 12:
        numbers = all(isinstance(one, int | float) for one in options)
        ordered = sorted(options) if numbers else options
        heights = {str(one): number / max(1, len(ordered) - 1) for number, one in enumerate(ordered)}
        return list(heights.items()), lambda value: heights.get(str(value), -0.12)
    low, high = domain.low, domain.high  # type: ignore[union-attr]
    convert = math.log if domain.log else float  # type: ignore[union-attr]
    span = convert(high) - convert(low) or 1.0

    def height(value: Any) -> float:
        return -0.12 if value is None else (convert(value) - convert(low)) / span

    return [(f"{low:g}", 0.0), (f"{high:g}", 1.0)], height


def _front(study: Study) -> Figure | None:
    """The first objective against the arithmetic, or against the second objective, with the front."""
    done = [results.row(study, one) for one in study.finished()]
    names = results.front_objectives(study)
    if not done or len(names) < 2:
        return None
    first, second = names[:2]

    def place(row: dict[str, Any]) -> tuple[float, float]:
        return row[str(second)] / scale(second), row[str(first)] / scale(first)

    figure, ((axes,),) = figures.new(6.0, 4.0)
    costs, scores = zip(*map(place, done), strict=True)
    axes.plot(costs, scores, "o", color=OTHER, markersize=4, alpha=0.6, label="trial")
    best = sorted(results.front(study), key=place)
    axes.plot(
        *zip(*map(place, best), strict=True), "-o", color=BEST, markersize=6, linewidth=1.2, label="front", zorder=3
    )
    for one in best:
        axes.annotate(str(one["trial"]), place(one), xytext=(4, -10), textcoords="offset points", fontsize=8)
    axes.set(xlabel=label(second), ylabel=label(first))
    if min(costs) > 0 and max(costs) / min(costs) > 5:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("{x:g}" if max(costs) / min(costs) < 20 else "")
    axes.legend(frameon=False, fontsize=8, loc="best")
    return figure
