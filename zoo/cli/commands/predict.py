"""`zoo predict`: FASTA files to a table of activities."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zoo.cli import notes, options
from zoo.contracts import RunOptions
from zoo.defaults import MODEL, RUNTIME
from zoo.formats.read_options import STRICT, ReadOptions
from zoo.inference.both_strands import StrandOptions


def command(
    files: Annotated[
        list[Path],
        options.STREAM,
        Parameter(name="FILE", help="FASTA, plain or compressed, one or several; - is standard input."),
    ],
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
    runtime: options.Runtime = RUNTIME,
    running: Annotated[RunOptions, options.RUNNING] = RunOptions(),
) -> None:
    from zoo.cli.progress import Bar
    from zoo.formats.several import Readers
    from zoo.inference import description, predict
    from zoo.weights import named

    if output == Path("-"):
        output = None
    weights_file = named.file_of(weights or model or MODEL)
    job = predict.Job(tuple(files), output, reading, overwrite, options.command_line(), strands.rc, weights_file)
    job.check_output()
    job.check_sources()
    loaded = predict.load(model, weights, runtime, **dataclasses.asdict(running))
    with Bar("sequences", _size(files)) as bar:

        def on_progress(reader: Readers) -> None:
            bar.update(reader.bytes_read, reader.counts.records)

        described = predict.predict_file(loaded, job, on_progress)
    notes.say(description.summary(described))
    for line in description.details(described):
        notes.detail(line)


def _size(files: list[Path]) -> int | None:
    """Bytes of all files; None where one is a pipe."""
    return sum(file.stat().st_size for file in files) if all(file.is_file() for file in files) else None
