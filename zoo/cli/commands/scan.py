"""`zoo scan`: every window of a genome to tracks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zoo.cli import notes, options
from zoo.contracts import RunOptions
from zoo.defaults import RUNTIME
from zoo.inference.both_strands import StrandOptions
from zoo.inference.genome_options import RayOptions, ScanOptions, ShardOptions


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
    from zoo.cli.progress import Bar
    from zoo.inference import description, ray_cluster, scan
    from zoo.inference.loading import Loading

    loading = Loading(model, weights, runtime, running, strands.rc)
    job = scan.Job(genome, output, scanning, loading, sharing, overwrite, options.command_line())
    with Bar("windows") as bar:
        described = scan.run(job, bar.update_of, ray_cluster.chosen(others))
    if "shard" in described:
        notes.say(description.of_shard(described))
        return
    notes.say(description.summary(described, "windows"))
    for line in description.details(described):
        notes.detail(line)
