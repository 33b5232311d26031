"""`zoo predict`: FASTA files, or intervals of a genome, to a table of activities."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from zoo.cli import notes, options, sequences
from zoo.defaults import MODEL, RUNTIME
from zoo.errors import ZooError
from zoo.formats.read_options import STRICT, ReadOptions
from zoo.genome.options import IntervalOptions, RayOptions
from zoo.options import RunOptions, StrandOptions

if TYPE_CHECKING:
    from zoo.prediction.model import ModelSource
    from zoo.prediction.run import PredictionJob


def command(
    files: sequences.Files = None,
    /,
    *,
    model: options.Model = None,
    weights: Annotated[
        str | None, Parameter(help="A file instead, .safetensors or .onnx; it says itself which model it is.")
    ] = None,
    output: Annotated[
        Path | None,
        options.STREAM,
        Parameter(help="Table to write, instead of to standard output: .tsv, .csv, also with .gz, .zst, or .parquet."),
    ] = None,
    overwrite: options.Overwrite = False,
    reading: Annotated[ReadOptions, options.READING] = STRICT,
    strands: Annotated[StrandOptions, options.STRANDS] = StrandOptions(),
    intervals: Annotated[IntervalOptions, options.INTERVALS] = IntervalOptions(),
    sharing: Annotated[RayOptions, options.SHARING] = RayOptions(),
    runtime: options.Runtime = RUNTIME,
    running: Annotated[RunOptions, options.RUNNING] = RunOptions(),
) -> None:
    from zoo.cli.progress import Bar
    from zoo.prediction import description
    from zoo.prediction.model import ModelSource, load
    from zoo.prediction.run import Records, predict_file
    from zoo.weights import lookup

    if output == Path("-"):
        output = None
    weights_file = lookup.file_of(weights or model or MODEL)
    job = sequences.job("predict", files, intervals, reading, output, overwrite, weights_file)
    job.check_output()
    job.check_sources()
    if sharing.ray is not None:
        described = _on_ray(job, ModelSource(model, weights, runtime, running, strands.rc), sharing.ray)
    else:
        loaded = load(model, weights, runtime, rc=strands.rc, **dataclasses.asdict(running))
        with Bar(job.UNIT, _size(files)) as bar:

            def on_progress(records: Records) -> None:
                bar.update(records.bytes_read, records.counts.records)

            described = predict_file(loaded, job, on_progress)
    notes.say(description.summary(described, job.UNIT))
    sequences.say_skipped(described)
    for line in description.details(described):
        notes.detail(line)


def _on_ray(job: PredictionJob, loading: ModelSource, address: str) -> dict[str, Any]:
    """Predict the files of a job by the workers of a cluster. Raises ZooError for intervals."""
    from zoo.cli.progress import Bar
    from zoo.genome import ray_cluster, shared_files

    if job.UNIT != "sequences":
        raise ZooError("--ray shares out FASTA files; zoo scan and zoo variants share out a genome")
    done = 0
    with Bar(job.UNIT) as bar:

        def on_progress(count: int) -> None:
            nonlocal done
            done += count
            bar.update(done, done)

        return shared_files.predict_files(job, loading, ray_cluster.workers(address), on_progress)


def _size(files: list[Path] | None) -> int | None:
    """Bytes of all files; None where one is a pipe, or there are none."""
    return sum(file.stat().st_size for file in files) if files and all(file.is_file() for file in files) else None
