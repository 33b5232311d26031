"""`zoo explain`: which bases of sequences matter, as files, a table and a report."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zoo.cli import notes, options, sequences
from zoo.defaults import MODEL, RUNTIME
from zoo.explain.options import ExplainOptions
from zoo.formats.read_options import STRICT, ReadOptions
from zoo.genome.options import IntervalOptions
from zoo.options import RunOptions, StrandOptions


def command(
    files: sequences.Files = None,
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
    from zoo.prediction import description
    from zoo.prediction.model import load
    from zoo.weights import lookup

    weights_file = lookup.file_of(weights or model or MODEL)
    job = sequences.job("explain", files, intervals, reading, None, overwrite, weights_file)
    explanation.check(output, explaining, job)
    job.check_sources()
    loaded = load(model, weights, runtime, rc=strands.rc, **dataclasses.asdict(running))
    with Bar(job.UNIT, 1) as bar:
        described = explanation.explain(
            loaded, job, output, explaining, lambda done, total: bar.update(done / total, done)
        )
    notes.say(description.summary(described, job.UNIT))
    sequences.say_skipped(described)
    for line in explanation.findings(described):
        notes.say(line)
    notes.say(f"{output}: {explanation.report.FILE}, {explanation.SUMMARY} and arrays")
    for line in description.details(described):
        notes.detail(line)
