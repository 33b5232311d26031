"""`zoo design`: sequences made to order, as FASTA, with a trace of how they came about."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zoo.cli import notes, options
from zoo.defaults import MODEL, RUNTIME
from zoo.design.options import DesignOptions
from zoo.formats.read_options import STRICT, ReadOptions
from zoo.options import RunOptions, StrandOptions


def command(
    *,
    target: Annotated[str, Parameter(help="Target of the model whose prediction climbs.")],
    output: Annotated[Path, Parameter(help="FASTA file for the designs; the trace stands beside it.")],
    start: Annotated[
        Path | None, Parameter(help="FASTA file of sequences to begin with; by default random DNA.")
    ] = None,
    figure: Annotated[Path | None, Parameter(help="Draw the climb, .png or .svg; needs the extra `explain`.")] = None,
    model: options.Model = None,
    weights: options.Weights = None,
    overwrite: options.Overwrite = False,
    designing: Annotated[DesignOptions, options.DESIGNING] = DesignOptions(),
    reading: Annotated[ReadOptions, options.READING] = STRICT,
    strands: Annotated[StrandOptions, options.STRANDS] = StrandOptions(),
    runtime: options.Runtime = RUNTIME,
    running: Annotated[RunOptions, options.RUNNING] = RunOptions(),
) -> None:
    from zoo.cli.progress import Bar
    from zoo.design import design, files
    from zoo.formats import several
    from zoo.formats.fasta import Reader
    from zoo.prediction import description
    from zoo.prediction.model import load
    from zoo.weights import lookup

    outputs = files.Outputs(output, figure, overwrite, (start, lookup.file_of(weights or model or MODEL)))
    outputs.check()
    several.check_there(() if start is None else (start,))
    loaded = load(model, weights, runtime, rc=strands.rc, **dataclasses.asdict(running))
    batches = () if start is None else Reader(start, loaded.spec.sequence_length, reading=reading)
    given = [pair for batch in batches for pair in zip(*batch, strict=True)]
    with Bar("designs", 1) as bar:
        found = design.designs(
            loaded,
            target,
            designing,
            given,
            bar.update,
        )
    described = files.write(outputs, loaded, target, designing, found, options.command_line())
    notes.say(description.summary(described, "designs"))
    for line in files.findings(described, found):
        notes.say(line)
    for line in description.details(described):
        notes.detail(line)
