"""`zoo scan`: every window of a genome to tracks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zoo.cli import genome_run, notes, options
from zoo.defaults import RUNTIME
from zoo.genome.options import RayOptions, ScanOptions, ShardOptions
from zoo.options import RunOptions, StrandOptions


def command(
    genome: Annotated[
        Path, Parameter(name="GENOME", help="FASTA, plain or compressed with bgzip; the index is made if it lacks one.")
    ],
    /,
    *,
    output: Annotated[
        Path, Parameter(help="The beginning of the names: tracks/dm6 gives tracks/dm6.dev.bw and tracks/dm6.hk.bw.")
    ],
    model: options.Model = None,
    weights: options.Weights = None,
    overwrite: options.Overwrite = False,
    scanning: Annotated[ScanOptions, options.SCAN] = ScanOptions(),
    strands: Annotated[StrandOptions, options.STRANDS] = StrandOptions(),
    sharing: Annotated[ShardOptions, options.SHARING] = ShardOptions(),
    others: Annotated[RayOptions, options.SHARING] = RayOptions(),
    runtime: options.Runtime = RUNTIME,
    running: Annotated[RunOptions, options.RUNNING] = RunOptions(),
) -> None:
    from zoo.genome import scan
    from zoo.prediction import description
    from zoo.prediction.model import ModelSource

    job = scan.ScanJob(
        genome,
        output,
        scanning,
        loading=ModelSource(model, weights, runtime, running, strands.rc),
        sharing=sharing,
        overwrite=overwrite,
        command=options.command_line(),
    )
    described = genome_run.run(job, others, "windows", "windows")
    for line in description.details(described) if described else ():
        notes.detail(line)
