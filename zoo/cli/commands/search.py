"""`zoo search`: search the settings of a network and of its training."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from zoo.cli import notes, options, tables
from zoo.cli.parsing import command_line
from zoo.data.labelled import Layout
from zoo.errors import counted, require
from zoo.search.search_options import SearchOptions

if TYPE_CHECKING:
    from zoo.comparison.contenders import Step
    from zoo.search.run import Result
    from zoo.search.study import Study

SHOWN_TRIALS = 10
"""Trials in the table at the end."""


def search(
    space: Annotated[
        str, Parameter(help="Search space (.toml), W&B sweep (.yaml, .json), or an architecture with its own space.")
    ],
    /,
    *,
    data: options.Data,
    targets: Annotated[
        tuple[str, ...], options.input_("Columns of the labels; by default the targets of the space.")
    ] = (),
    allow_leakage: options.AllowLeakage = False,
    where: Annotated[SearchOptions, options.SEARCH],
    layout: Annotated[Layout, options.LAYOUT] = Layout(),
) -> None:
    from zoo.system import machine

    machine.sleep_soon()
    require("torch", "train")
    from zoo.search import run
    from zoo.search.study import require_optuna

    require_optuna()
    with notes.Bar("trials") as bar:
        progress = _Progress(bar)
        try:
            result = run.run(
                space,
                run.Data(data, targets, allow_leakage, layout),
                where,
                run.SearchReporter(notes.say, progress.begin, progress.end, progress.step),
                command_line(),
            )
        except KeyboardInterrupt:
            if where.output.is_dir():
                notes.say(f"stopped; the same command with --resume continues in {where.output}")
            raise
    _show(result)


class _Progress:
    """The progress of a search: a bar at a terminal, and a line for each trial."""

    def __init__(self, bar: notes.Bar) -> None:
        self._bar, self._began = bar, time.monotonic()
        self._ended = 0
        self._steps: dict[str, float] = {}

    def begin(self, trainings: int) -> None:
        self._ended, self._steps = 0, {}
        self._bar.total = trainings

    def end(self, study: Study, number: int) -> None:
        from zoo.search import results

        self._ended += 1
        self._steps.pop(f"trial {number}", None)
        rows = {row["trial"]: row for row in results.rows(study)}
        row, total = rows[number], study.options.trials or 0
        scores = ", ".join(f"{name} {row[name]:.5g}" for name in map(str, study.objectives) if name in row)
        best = study.finished()[:1]
        so_far = f"; best trial {best[0].number}" if best else ""
        done = sum(one["state"] not in ("running", "waiting") for one in rows.values())
        left = (time.monotonic() - self._began) / self._ended * (total - done)
        time_left = f"; about {notes.duration(left)} left" if left > 0 else ""
        reason = f" ({row['reason']})" if "reason" in row else ""
        seconds = f", {row['seconds']:.0f} s" if row.get("seconds") is not None else ""
        notes.say(f"trial {number}, {done} of {total}: {row['state']}{reason} {scores}{seconds}{so_far}{time_left}")

    def step(self, step: Step) -> None:
        self._steps[step.name] = step.done
        running = ", ".join(f"{name} {done:.0%}" for name, done in self._steps.items() if done < 1)
        self._bar.update(self._ended + sum(self._steps.values()), self._ended, running)


def _show(result: Result) -> None:
    from zoo.search import results
    from zoo.search.report import REPORT

    study = result.study
    rows = {row["trial"]: row for row in results.rows(study)}
    finished = [one.number for one in study.finished()][:SHOWN_TRIALS]
    names = [name for name in results.columns(study)[:-1] if name not in ("state", "best_epoch")]
    cells = [[_cell(name, rows[number].get(name)) for name in names] for number in finished]
    tables.print_table(names, cells, f"the best {len(finished)} of {counted(len(rows), 'trials')}")
    for comparison in result.comparisons:
        tables.print_text(comparison.words)
    tables.print_text(f"{study.folder}: {results.TRIALS}, {results.BEST}, {REPORT}")


def _cell(name: str, value: object) -> str:
    from zoo.search.objective import COST

    if value is None:
        return "-"
    if name == COST and isinstance(value, int | float):
        return f"{value / 1e6:.3g}M"
    return f"{value:.5g}" if isinstance(value, float) else str(value)
