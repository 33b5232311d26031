"""`zoo evaluate`: how well models agree with measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from zoo.cli import notes, options
from zoo.data.labelled import Layout
from zoo.defaults import MODEL, RUNTIME
from zoo.evaluation.evaluate import EvaluationOptions
from zoo.options import RunOptions, StrandOptions

if TYPE_CHECKING:
    from rich.table import Table

    from zoo.evaluation.evaluate import Report
    from zoo.evaluation.metrics import Interval


def command(
    model: options.Model = None,
    /,
    *,
    weights: Annotated[
        list[str] | None,
        Parameter(help="A weights file, run folder or name instead; repeat it to compare, each with --against."),
    ] = None,
    against: Annotated[
        str | None, Parameter(help="The weights that all others are compared with; by default the first.")
    ] = None,
    data: Annotated[
        Path | None, Parameter(help="Folder in the published layout, table, or FASTA with its labels beside it.")
    ] = None,
    sequences: Annotated[Path | None, Parameter(help="FASTA instead of --data, all of it; needs --labels.")] = None,
    split: Annotated[str, Parameter(help="train, validation or test; all for every row of one file.")] = "test",
    targets: Annotated[
        tuple[str, ...],
        Parameter(
            help="Targets of the model to compare, by name, TARGET=COLUMN where the column has another; by default all."
        ),
    ] = (),
    output: Annotated[Path | None, Parameter(help="Folder for tables and figures.")] = None,
    diagnosis: Annotated[bool, Parameter(help="Draw there too what the residuals say.")] = False,
    overwrite: options.Overwrite = False,
    runtime: options.Runtime = RUNTIME,
    running: Annotated[RunOptions, options.RUNNING] = RunOptions(),
    strands: Annotated[StrandOptions, options.MEASURE] = StrandOptions(),
    settings: Annotated[EvaluationOptions, options.MEASURE] = EvaluationOptions(),
    layout: Annotated[Layout, options.LAYOUT] = Layout(),
) -> None:
    import dataclasses

    from zoo.data import dataset
    from zoo.errors import ZooError
    from zoo.evaluation import evaluate, results
    from zoo.prediction.model import load
    from zoo.weights import lookup

    source = data or sequences
    if source is None or (data is not None and sequences is not None):
        raise ZooError("expected the measured sequences as --data PATH, or as --sequences FASTA --labels TABLE")
    if sequences is not None and layout.labels is None:
        raise ZooError(f"--sequences {sequences}: needs the measurements, --labels TABLE")
    if diagnosis and output is None:
        raise ZooError("--diagnosis: draws a figure into a folder; name it with --output")
    if output is not None:
        files = [lookup.file_of(given) for given in weights or [model or MODEL]]
        results.check_output(output, overwrite, [source, layout.labels, *files])
    names = evaluate.labels(weights or [model or MODEL])
    compared_with = evaluate.reference(weights or [model or MODEL], against)
    chosen: list[str] | list[None] = weights or [None]
    models = {
        name: load(model, given, runtime, rc=strands.rc, **dataclasses.asdict(running))
        for name, given in zip(names, chosen, strict=True)
    }
    columns = evaluate.choose(models, targets)
    if not targets and (left_out := evaluate.not_shared(models)):
        notes.say(f"compared on {', '.join(columns)}; not every model predicts {', '.join(left_out)}")
    measured = dataset.read_split(
        source,
        "all" if sequences else split,
        tuple(columns.values()),
        length=evaluate.sequence_length(models),
        layout=layout,
    )
    for name, given in zip(names, weights or [], strict=False):
        if (warning := evaluate.already_seen(given, name, measured)) is not None:
            notes.say(warning)
    report = evaluate.evaluate(models, measured, columns, settings, compared_with)
    if output is not None:
        results.save(report, output, overwrite, options.command_line(), str(source), diagnosis)
    _show(report, output)


def _show(report: Report, output: Path | None) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 180
    console.print(_scores(report))
    if report.comparisons:
        console.print(_comparisons(report))
    several = len(report.evaluations) > 1
    for one in report.evaluations:
        for target, score, found in zip(report.targets, one.scores, one.diagnoses, strict=True):
            name = f"{one.label}, {target}" if several else target
            if score.note:
                console.print(f"{name}: {score.note}", style="yellow", markup=False)
            console.print(f"{name}: {found.statement}", soft_wrap=True, markup=False)
    if output is not None:
        console.print(f"{output}: metrics.json, predictions.tsv and figures", soft_wrap=True, markup=False)


def _table(title: str, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    from zoo.evaluation.metrics import SHOWN_AS

    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for name in columns:
        made.add_column(name)
    for name in SHOWN_AS.values():
        made.add_column(name, justify="right")
    return made


def _scores(report: Report) -> Table:
    from zoo.evaluation.metrics import METRICS

    title = f"{len(report.data):,} rows, {report.sequences:,} sequences; 95% intervals over sequences"
    made = _table(title, "weights", "target", "n")
    for one in report.evaluations:
        for target, score, found in zip(report.targets, one.scores, one.intervals, strict=True):
            cells = [_cell(getattr(score, name), found[name]) for name in METRICS]
            made.add_row(one.label, target, f"{score.n:,}", *cells)
    return made


def _comparisons(report: Report) -> Table:
    """Says better or worse where the interval does not hold 0."""
    from zoo.evaluation.metrics import METRICS

    reference = report.comparisons[0].second
    title = f"differences from {reference}, paired bootstrap; better or worse where the interval does not hold 0"
    made = _table(title, "weights", "target")
    for one in report.comparisons:
        for t, target in enumerate(report.targets):
            found, said = one.differences[t], one.verdicts(t)
            cells = [
                _cell(interval.value if interval else None, interval, "+")
                for interval in (found[name] for name in METRICS)
            ]
            words = ("" if said[name] == "no clear difference" else said[name] for name in METRICS)
            made.add_row(one.first, target, *(f"{cell} {word:6}" for cell, word in zip(cells, words, strict=True)))
    return made


def _cell(value: float | None, interval: Interval | None, sign: str = "") -> str:
    if value is None:
        return "not defined"
    spread = f" ({interval.low:{sign}.3f} to {interval.high:{sign}.3f})" if interval is not None else ""
    return f"{value:{sign}.3f}{spread}"
