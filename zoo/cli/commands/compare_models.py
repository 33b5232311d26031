"""`zoo compare-models`: train several models on the same data and compare them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

from zoo.cli import notes, options, tables
from zoo.cli.parsing import command_line
from zoo.comparison.options import ComparisonOptions
from zoo.data.labelled import Layout
from zoo.errors import CheckFailed, counted, require
from zoo.spec import MOST_SHOWN

if TYPE_CHECKING:
    from zoo.comparison.contenders import Step, Training
    from zoo.comparison.results import ComparedModel, ComparedModels, TargetScore
    from zoo.evaluation.metrics import Interval

NOT_DEFINED = "not defined"


def compare_models(
    *,
    models: Annotated[
        tuple[str, ...],
        options.input_(
            "Models to train, A,B: names (see zoo list) or .toml files.", completer=options.names_of("models")
        ),
    ],
    data: options.Data,
    targets: Annotated[
        tuple[str, ...], options.input_("Columns to predict, or TARGET=COLUMN; by default the first model's targets.")
    ] = (),
    allow_leakage: options.AllowLeakage = False,
    where: Annotated[ComparisonOptions, options.COMPARING],
    layout: Annotated[Layout, options.LAYOUT] = Layout(),
) -> None:
    from zoo.system import machine

    machine.sleep_soon()
    require("torch", "train")
    from zoo.comparison import run

    with notes.Bar("trainings") as bar:
        progress = _Progress(bar)
        reporter = run.ComparisonReporter(notes.say, progress.begin, progress.end, progress.step, notes.doing)
        try:
            found = run.run(models, data, where, targets, allow_leakage, layout, reporter, command_line())
        except KeyboardInterrupt:
            if where.output.is_dir():
                notes.say(f"stopped; the same command with --resume continues in {where.output}")
            raise
    _show(found, where)


class _Progress:
    """The progress of a comparison: a bar at a terminal, and a line for each training."""

    def __init__(self, bar: notes.Bar) -> None:
        self._bar, self._began, self._done = bar, time.monotonic(), 0

    def begin(self, trainings: int) -> None:
        self._bar.total = trainings

    def end(self, training: Training, failure: str) -> None:
        from zoo.comparison.results import trained_once

        self._done += 1
        total = int(self._bar.total or 0)
        left = (time.monotonic() - self._began) / self._done * (total - self._done)
        time_left = f"; about {notes.duration(left)} left" if left > 0 else ""
        facts = trained_once(training.seed, training.folder)
        if facts.seconds is None:
            how = "no epoch"
        else:
            how = f"{counted(facts.epochs or 0, 'epochs')}, the best is {facts.best_epoch}, {facts.seconds:,.0f} s"
        text = f"failed ({failure})" if failure else how
        notes.say(f"{training.contender.label}, seed {training.seed}, {self._done} of {total}: {text}{time_left}")

    def step(self, step: Step) -> None:
        self._bar.update(self._done + step.done, self._done, f"{step.name} {step.done:.0%}")


def _show(found: ComparedModels, where: ComparisonOptions) -> None:
    from zoo.comparison import results, run

    title = run.described(found)
    if found.data["side"] == "validation":
        notes.say(
            "there is no test split: the scores are of the validation split, which also chose the best epochs, so they "
            "are slightly too good"
        )
    if len(found.targets) > MOST_SHOWN:
        _print_summary(found, title)
    else:
        for place, target in enumerate(found.targets):
            _print_target(found, place, f"{target}: {title}" if place == 0 else target)
    _print_costs(found)
    for model in found.models:
        for note in model.notes:
            tables.print_text(f"{model.label}: {note}")
    tables.print_text(found.conclusion)
    figure = f", {results.FIGURE}.{where.figure_format}" if found.against is not None else ""
    tables.print_text(f"{found.folder}: {results.TABLE}, {results.NUMBERS}{figure}, {run.RUNS}")
    if found.failures:
        raise CheckFailed(f"{counted(len(found.failures), 'trainings')} failed: {'; '.join(found.failures)}")


def _print_target(found: ComparedModels, place: int, title: str) -> None:
    """Score of each model on a target, and its difference, with better or worse if the interval excludes 0."""
    rows = []
    for model in found.models:
        score = model.scores[place]
        mse = "-" if score.mse is None else f"{score.mse:.3f}"
        rows.append([model.label, _cell(score.pearson), _difference(model, score, found.against), mse])
    against = f"from {found.against}" if found.against else "difference"
    tables.print_table(["model", "Pearson r", against, "MSE"], rows, title)


def _difference(model: ComparedModel, score: TargetScore, against: str | None) -> str:
    if model.label == against:
        return ""
    if score.difference is None or score.difference.interval is None:
        return NOT_DEFINED
    verdict = score.difference.verdict
    return f"{_cell(score.difference.interval, '+')} {verdict if verdict in ('better', 'worse') else '':6}"


def _cell(interval: Interval | None, sign: str = "") -> str:
    if interval is None:
        return NOT_DEFINED
    return f"{interval.value:{sign}.3f} ({interval.low:{sign}.3f} to {interval.high:{sign}.3f})"


def _print_summary(found: ComparedModels, title: str) -> None:
    """The scores over many targets, and in how many of them a model is better or worse."""
    from zoo.evaluation.metrics import typical

    rows = []
    for model in found.models:
        median, low, high = typical(one.pearson.value if one.pearson else None for one in model.scores)
        verdicts = [one.difference.verdict for one in model.scores if one.difference is not None]
        counts = f"{verdicts.count('better'):,} better, {verdicts.count('worse'):,} worse" if verdicts else ""
        scores = NOT_DEFINED if median is None else f"{median:.3f} ({low:.3f} to {high:.3f})"
        mse = typical(one.mse for one in model.scores)[0]
        rows.append([model.label, scores, counts, "-" if mse is None else f"{mse:.3f}"])
    median_of = f"median of {len(found.targets):,} targets (5% to 95% of them)"
    tables.print_table(["model", "Pearson r", f"against {found.against}", "MSE"], rows, f"{title}; {median_of}")


def _print_costs(found: ComparedModels) -> None:
    rows = []
    for model in found.models:
        epochs = [one.epochs for one in model.trainings if one.epochs is not None]
        spread = "-" if not epochs else f"{min(epochs)}" + (f"-{max(epochs)}" if max(epochs) > min(epochs) else "")
        numbers = [model.mean("seconds"), model.mean("rate"), model.rate]
        cells = ["-" if number is None else f"{number:,.0f}" for number in numbers]
        rows.append([model.label, f"{model.parameters:,}", spread, *cells, model.runtime or "-"])
    header = ["model", "parameters", "epochs", "train s", "train/s", "predict/s", "runtime"]
    tables.print_table(
        header,
        rows,
        "train s: seconds of one training; train/s and predict/s: sequences per second, on the fastest runtime",
    )
