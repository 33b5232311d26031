"""A long run over a genome at the command line: a bar while it lasts, and a note about what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.cli import notes

if TYPE_CHECKING:
    from zoo.genome.job import GenomeJob
    from zoo.genome.options import RayOptions


def run(job: GenomeJob, others: RayOptions, unit: str, records: str) -> dict[str, Any] | None:
    """Do a job, or its share of it. Returns the description of the whole run; None for a shard.

    unit: what is done one after the other.  records: what the run says something of.
    """
    from zoo.cli.progress import Bar
    from zoo.genome import ray_cluster
    from zoo.genome.job import run_job
    from zoo.prediction import description

    with Bar(unit) as bar:
        described = run_job(job, bar.update_of, ray_cluster.chosen(others))
    if "shard" in described:
        notes.say(description.of_shard(described))
        return None
    notes.say(description.summary(described, records))
    return described
