"""`zoo background`, predictions of random sequences, and `zoo calibrate`, the width of intervals around predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from zoo.cli import notes, options
from zoo.cli.commands.predict import Files, prediction_job
from zoo.cli.parsing import command_line
from zoo.confidence.options import BackgroundOptions, CalibrationOptions
from zoo.data.labelled import Layout
from zoo.dna.read_options import STRICT, ReadOptions
from zoo.errors import ZooError
from zoo.genome.options import AlleleOptions, IntervalOptions
from zoo.prediction.options import TableOptions


def background(
    files: Files = None,
    /,
    *,
    output: Annotated[Path, options.output("File to write, whose name ends in .npz.")],
    overwrite: options.Overwrite = False,
    drawing: Annotated[BackgroundOptions, options.BACKGROUND] = BackgroundOptions(),
    comparing: Annotated[AlleleOptions, options.BACKGROUND] = AlleleOptions(),
    table: Annotated[TableOptions, options.READING] = TableOptions(),
    reading: Annotated[ReadOptions, options.READING] = STRICT,
    intervals: Annotated[IntervalOptions, options.INTERVALS] = IntervalOptions(),
    model: options.Loaded = options.DEFAULT,
) -> None:
    from zoo.confidence import make

    drawn = intervals.genome if not intervals.given else None
    if drawn is not None and (files or table != TableOptions() or reading != STRICT or intervals.skip_bad):
        raise ZooError(
            "--genome: without --bed and --region, random windows are drawn from it; leave out FASTA files and the "
            "options that read them"
        )
    given = None
    if drawn is None:
        given = prediction_job("background", files, table, intervals, reading, None, overwrite, model)
        given.check_sources()
    job = make.BackgroundJob(output, drawing, given, drawn, comparing, overwrite, command_line())
    job.check()
    loaded = model.source.load(settled=True)
    with notes.Bar("sequences") as bar:

        def on_progress(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done, done)

        described = make.run(loaded, job, on_progress)
    notes.summarize(described, "sequences")


def calibrate(
    *,
    data: options.Data,
    split: Annotated[str, options.input_("train, validation, test, or all for every row of one file.")] = "validation",
    output: Annotated[Path, options.output("File to write, whose name ends in .npz.")],
    overwrite: options.Overwrite = False,
    settings: Annotated[CalibrationOptions, options.MEASURE] = CalibrationOptions(),
    layout: Annotated[Layout, options.LAYOUT] = Layout(),
    model: options.Loaded = options.DEFAULT,
) -> None:
    from zoo.confidence import calibrate
    from zoo.data import dataset
    from zoo.evaluation import evaluate
    from zoo.prediction import calibration, model_files

    source = model.source
    model_files.check_output(output, overwrite, [data, layout.labels, *source.files])
    loaded = source.load()
    columns = tuple(evaluate.choose({source.name: loaded}).values())
    with loaded.spec.naming_flanks():
        measured = dataset.read_split(data, split, columns, length=loaded.spec.sequence_length, layout=layout)
    for line in calibrate.check_not_trained_on(list(map(str, source.names)), measured):
        notes.say(line)
    notes.doing("predicting")
    found = calibrate.calibrate(loaded, measured, settings, f"{data.name}, {split}")
    calibration.save(found, output, overwrite)
    notes.say(found.statement(loaded.spec.targets))
