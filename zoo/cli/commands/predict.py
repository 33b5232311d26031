"""`zoo predict`: a FASTA file to a table of activities."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zoo.cli import options
from zoo.contracts import RunOptions
from zoo.defaults import MODEL, RUNTIME
from zoo.formats.read_options import STRICT, ReadOptions
from zoo.inference.both_strands import StrandOptions


def command(
    file: Annotated[str, options.STREAM, Parameter(help="FASTA, plain or compressed; - is standard input.")],
    /,
    *,
    model: options.Model = MODEL,
    weights: Annotated[
        str | None, Parameter(help="A file instead, .safetensors or .onnx; it says itself which model it is.")
    ] = None,
    output: Annotated[
        Path | None, options.STREAM, Parameter(help="Table to write, instead of to standard output.")
    ] = None,
    overwrite: options.Overwrite = False,
    reading: Annotated[ReadOptions, options.READING] = STRICT,
    strands: Annotated[StrandOptions, options.STRANDS] = StrandOptions(),
    runtime: options.Runtime = RUNTIME,
    running: Annotated[RunOptions, options.RUNNING] = RunOptions(),
) -> None:
    import sys

    from zoo.cli.progress import Bar
    from zoo.formats.fasta import Reader
    from zoo.inference import predict
    from zoo.weights import named

    if output == Path("-"):
        output = None
    weights_file = named.file_of(weights or model)
    job = predict.Job(file, output, reading, overwrite, options.command_line(), strands.rc, weights_file)
    job.check_output()
    loaded = predict.load(model, weights, runtime, **dataclasses.asdict(running))
    size = Path(file).stat().st_size if Path(file).is_file() else None
    with Bar("sequences", size) as bar:

        def on_progress(reader: Reader) -> None:
            bar.update(reader.bytes_read, reader.counts.records)

        description = predict.predict_file(loaded, job, on_progress)
    print(f"zoo: {predict.summary(description)}", file=sys.stderr)
