"""`zoo predict`: FASTA files, tables, or intervals of a genome, to a table of activities."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from zoo.cli import notes, options
from zoo.cli.parsing import command_line
from zoo.dna.read_options import STRICT, ReadOptions
from zoo.errors import ZooError, counted
from zoo.genome.options import HeldOutOptions, IntervalOptions, RayOptions, SummaryOptions
from zoo.prediction.options import CalibratedOptions, TableOptions

if TYPE_CHECKING:
    from zoo.prediction.run import PredictionJob

SHOWN_INTERVALS = 5
"""Skipped intervals in a note; the description lists more."""

SHOWN_LETTERS = 3
"""Letters of a genome in a note; the description lists more."""

Files = Annotated[
    list[Path] | None,
    options.STREAM,
    Parameter(name="FILE", help="FASTA files, or tables with --column, plain or compressed; - is standard input."),
]


def predict(
    files: Files = None,
    /,
    *,
    output: Annotated[
        Path | None,
        options.STREAM,
        options.output(
            "Table to write: .tsv, .csv, or either with .gz or .zst, or .parquet. By default standard output."
        ),
    ] = None,
    profiles: Annotated[
        Path | None, options.output("HDF5 file for the profiles of the network, beside the table.")
    ] = None,
    background: options.Background = None,
    calibrated: Annotated[CalibratedOptions, options.CONFIDENCE] = CalibratedOptions(),
    overwrite: options.Overwrite = False,
    table: Annotated[TableOptions, options.READING] = TableOptions(),
    reading: Annotated[ReadOptions, options.READING] = STRICT,
    intervals: Annotated[IntervalOptions, options.INTERVALS] = IntervalOptions(),
    summarizing: Annotated[SummaryOptions, options.INTERVALS] = SummaryOptions(),
    members: Annotated[HeldOutOptions, options.INTERVALS] = HeldOutOptions(),
    model: options.Loaded = options.DEFAULT,
    sharing: Annotated[RayOptions, options.SHARING] = RayOptions(),
) -> None:
    from zoo.prediction.run import Records, predict_file

    if output == Path("-"):
        output = None
    if output is None:
        notes.hide_activity()
    job = prediction_job("predict", files, table, intervals, reading, output, overwrite, model, summarizing)
    if profiles is not None:
        if sharing.ray is not None or summarizing.summary != "center":
            raise ZooError("--profiles: only applies to one window for each row, without --ray and --summary")
        job = dataclasses.replace(job, profiles=profiles)
    job = dataclasses.replace(job, background=background, calibrated=calibrated)
    if members.held_out and not intervals.given:
        raise ZooError("--held-out: only applies to intervals of a genome, with --bed or --region")
    job.check_output()
    job.check_sources()
    if sharing.ray is None:
        loaded = model.load()
        job = dataclasses.replace(job, held_out=model.source.held_out(loaded.spec, members.held_out))
        with notes.Bar(job.UNIT, _size(files)) as bar:

            def on_progress(records: Records) -> None:
                bar.update(records.bytes_read, records.counts.records)

            described = predict_file(loaded, job, on_progress)
    elif intervals.given:
        raise ZooError("--ray: only applies to FASTA files here; zoo scan and zoo variants share a genome")
    else:
        described = _on_ray(job, model, sharing.ray)
    say_finished(described, job.UNIT)


def _on_ray(job: PredictionJob, model: options.ModelOptions, address: str) -> dict[str, Any]:
    """Predict FASTA files on the workers of a Ray cluster."""
    from zoo.genome import ray_cluster, shared_files

    done = 0
    with notes.Bar(job.UNIT) as bar:

        def on_progress(count: int) -> None:
            nonlocal done
            done += count
            bar.update(done, done)

        return shared_files.predict_files(job, model.source, ray_cluster.workers(address), on_progress)


def _size(files: list[Path] | None) -> int | None:
    """Bytes of all files; None for intervals, and if one of the files is a pipe."""
    return sum(file.stat().st_size for file in files) if files and all(file.is_file() for file in files) else None


def prediction_job(
    command: str,
    files: list[Path] | None,
    table: TableOptions,
    intervals: IntervalOptions,
    reading: ReadOptions,
    output: Path | None,
    overwrite: bool,
    model: options.ModelOptions,
    summarizing: SummaryOptions = SummaryOptions(),
) -> PredictionJob:
    """What a command reads and writes. Raises ZooError if both FASTA files and intervals are given, or neither."""
    from zoo.genome.intervals import IntervalJob
    from zoo.prediction.run import PredictionJob

    intervals.check()
    rest = (output, reading, overwrite, command_line(), model.source.files)
    if not intervals.given:
        if not files:
            raise ZooError(f"FILE is missing; see zoo {command} --help")
        if summarizing.summary != "center":
            raise ZooError("--summary: only applies to intervals of a genome, with --bed or --region")
        return PredictionJob(tuple(files), *rest, table)
    if files:
        raise ZooError(f"{files[0]}: expected FASTA files or intervals of a genome, got both")
    if table.column is not None:
        raise ZooError("--column: only applies to tables; omit it with intervals")
    if reading.resize:
        raise ZooError("--crop-or-pad only applies to FASTA files; omit it with intervals")
    return IntervalJob((), *rest, intervals=intervals, summarizing=summarizing)


def say_finished(described: dict[str, Any], unit: str) -> None:
    """Say what ran, which intervals --skip-bad skipped, and how the others were read. unit: plural name of a record."""
    notes.summarize(described, unit)
    counts = described["counts"]
    if longer := counts.get("longer_than_the_model"):
        others = "" if "explained" in described else "; zoo predict --summary max or mean uses all windows"
        numbers = (
            f"those of the {described['sequence_length']} bases around the middle or summit{others}"
            if described["summary"] == "center"
            else f"the {described['summary']} over all windows, with --stride {described['stride']}"
        )
        notes.say(
            f"longer than the model: {longer:,} of {counted(counts['records'], 'intervals')}; their numbers are "
            f"{numbers}"
        )
    for line in described.get("skipped", [])[:SHOWN_INTERVALS]:
        notes.say(f"skipped: {line}")
    say_read_as_n(described)


def say_read_as_n(described: dict[str, Any]) -> None:
    """Say which letters of a genome were read as N."""
    names = described.get("read_as_n", [])
    if names:
        more = ", and others" if len(names) > SHOWN_LETTERS else ""
        notes.say(f"read as N: {', '.join(names[:SHOWN_LETTERS])}{more}")
