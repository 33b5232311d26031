"""`zoo search`: search the settings of a network and of its training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from zoo.cli import notes, options
from zoo.cli.progress import Bar
from zoo.data.labelled import Layout
from zoo.search.options import SearchOptions

if TYPE_CHECKING:
    from zoo.search.run import Result, Step
    from zoo.search.study import Study

SHOWN = 10
"""Trials in the table on the terminal."""


def command(
    space: Annotated[
        str,
        Parameter(help="A space (.toml), a W&B sweep (.yaml, .json), or an architecture that comes with one."),
    ],
    /,
    *,
    data: Annotated[Path, Parameter(help="Folder in the published layout, or one table or FASTA file.")],
    targets: Annotated[tuple[str, ...], Parameter(help="Columns of the labels; by default the space's targets.")] = (),
    allow_leakage: Annotated[bool, Parameter(help="Go on if splits share sequences.")] = False,
    where: Annotated[SearchOptions, options.SEARCH],
    layout: Annotated[Layout, options.LAYOUT] = Layout(),
) -> None:
    from zoo.system import machine
    from zoo.weights.network import require_torch

    machine.sleep_soon()
    require_torch()
    from zoo.search import run, study

    study.require()
    with Bar("trials") as bar:
        heard = _Heard(bar)
        try:
            result = run.run(
                space,
                run.Data(data, targets, allow_leakage, layout),
                where,
                run.Heard(notes.say, heard.began, heard.ended, heard.step),
                options.command_line(),
            )
        except KeyboardInterrupt:
            if where.output.is_dir():
                notes.say(f"stopped; the same command with --resume goes on in {where.output}")
            raise
    _show(result)


class _Heard:
    """Says how a search goes. A bar at a terminal, a line a trial everywhere."""

    def __init__(self, bar: Bar) -> None:
        import time

        self._bar, self._clock, self._began = bar, time.monotonic, time.monotonic()
        self._ended = 0
        self._steps: dict[str, float] = {}

    def began(self, trainings: int) -> None:
        """So many are to come."""
        self._ended, self._steps = 0, {}
        self._bar.total = trainings

    def ended(self, study: Study, number: int) -> None:
        from zoo.search import results

        self._ended += 1
        self._steps.pop(f"trial {number}", None)
        rows = {row["trial"]: row for row in results.rows(study)}
        row, total = rows[number], study.options.trials or 0
        scores = ", ".join(f"{name} {row[name]:.5g}" for name in map(str, study.objectives) if name in row)
        best = study.finished()[:1]
        so_far = f"; best trial {best[0].number}" if best else ""
        done = sum(one["state"] not in ("running", "waiting") for one in rows.values())
        left = (self._clock() - self._began) / self._ended * (total - done)
        time_left = f"; about {_duration(left)} left" if left > 0 else ""
        why = f" ({row['reason']})" if "reason" in row else ""
        seconds = f", {row['seconds']:.0f} s" if row.get("seconds") is not None else ""
        notes.say(f"trial {number}, {done} of {total}: {row['state']}{why} {scores}{seconds}{so_far}{time_left}")

    def step(self, step: Step) -> None:
        self._steps[step.name] = step.done
        running = ", ".join(f"{name} {done:.0%}" for name, done in self._steps.items() if done < 1)
        self._bar.update(self._ended + sum(self._steps.values()), self._ended, running)


def _duration(seconds: float) -> str:
    """ "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _show(result: Result) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from zoo.search import results
    from zoo.search.report import REPORT

    study = result.study
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    rows = {row["trial"]: row for row in results.rows(study)}
    finished = [one.number for one in study.finished()][:SHOWN]
    names = [name for name in results.columns(study)[:-1] if name not in ("state", "best_epoch")]
    table = Table(title=f"the best {len(finished)} of {len(rows)} trials", title_justify="left", box=box.SIMPLE_HEAD)
    for name in names:
        table.add_column(name, justify="right", overflow="fold")
    for number in finished:
        table.add_row(*(_cell(name, rows[number].get(name)) for name in names))
    console.print(table)
    for one in result.comparisons:
        console.print(one.words, soft_wrap=True, markup=False)
    console.print(f"{study.folder}: {results.TRIALS}, {results.BEST}, {REPORT}", soft_wrap=True, markup=False)


def _cell(name: str, value: object) -> str:
    from zoo.search.objective import COST

    if value is None:
        return "-"
    if name == COST and isinstance(value, int | float):
        return f"{value / 1e6:.3g}M"
    return f"{value:.5g}" if isinstance(value, float) else str(value)
