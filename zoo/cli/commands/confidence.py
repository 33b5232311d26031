"""`zoo background`: what a model predicts for random sequences, for percentiles and p-values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from zoo.cli import notes, options
from zoo.cli.commands.predict import Files, prediction_job
from zoo.cli.parsing import command_line
from zoo.confidence.options import BackgroundOptions
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
