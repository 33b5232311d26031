"""`zoo explain`: which bases of sequences matter, as files, a table and a report."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zoo.cli import notes, options
from zoo.cli.commands.predict import NAMED, fasta_files
from zoo.contracts import RunOptions
from zoo.defaults import MODEL, RUNTIME
from zoo.explain.options import ExplainOptions
from zoo.formats.read_options import STRICT, ReadOptions
from zoo.inference.both_strands import StrandOptions
from zoo.inference.genome_options import IntervalOptions


def command(
    files: Annotated[
        list[Path] | None,
        options.STREAM,
        Parameter(name="FILE", help="FASTA, plain or compressed, one or several; - is standard input."),
    ] = None,
    /,
    *,
    output: Annotated[Path, Parameter(help="Folder for the files, the table and the report.")],
    model: options.Model = None,
    weights: options.Weights = None,
    overwrite: options.Overwrite = False,
    explaining: Annotated[ExplainOptions, options.EXPLAINING] = ExplainOptions(),
    reading: Annotated[ReadOptions, options.READING] = STRICT,
    strands: Annotated[StrandOptions, options.STRANDS] = StrandOptions(),
    intervals: Annotated[IntervalOptions, options.INTERVALS] = IntervalOptions(),
    runtime: options.Runtime = RUNTIME,
    running: Annotated[RunOptions, options.RUNNING] = RunOptions(),
) -> None:
    from zoo.cli.progress import Bar
    from zoo.explain import explanation
    from zoo.inference import description, predict
    from zoo.inference.intervals import IntervalJob
    from zoo.inference.job import Job
    from zoo.weights import named

    sources = fasta_files(files, intervals, reading, "explain")
    rest = (None, reading, overwrite, options.command_line(), strands.rc, named.file_of(weights or model or MODEL))
    job = IntervalJob(sources, *rest, intervals) if intervals.given else Job(sources, *rest)
    explanation.check(output, explaining, job)
    job.check_sources()
    loaded = predict.load(model, weights, runtime, **dataclasses.asdict(running))
    with Bar(job.UNIT, 1) as bar:
        described = explanation.explain(
            loaded, job, output, explaining, lambda done, total: bar.update(done / total, done)
        )
    notes.say(description.summary(described, job.UNIT))
    for line in described.get("skipped", [])[:NAMED]:
        notes.say(f"skipped: {line}")
    for line in explanation.findings(described):
        notes.say(line)
    notes.say(f"{output}: {explanation.report.FILE}, {explanation.SUMMARY} and arrays")
    for line in description.details(described):
        notes.detail(line)
