"""`zoo scan` and `zoo variants`: long runs over a genome."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from zoo.cli import notes, options
from zoo.cli.commands.predict import SHOWN_INTERVALS, say_read_as_n
from zoo.cli.parsing import command_line
from zoo.errors import CheckFailed, ZooError, counted
from zoo.genome.options import RayOptions, ScanOptions, ShardOptions, VariantOptions

if TYPE_CHECKING:
    from zoo.genome.job import GenomeJob

SHOWN_ALLELES = 3
"""Alleles of one kind that a note lists; the description lists more."""


def scan(
    genome: Annotated[
        Path,
        Parameter(name="GENOME", help="FASTA, plain or compressed with bgzip; a missing index is written beside it."),
    ],
    /,
    *,
    output: Annotated[
        Path, options.output("Start of the file names: tracks/dm6 gives tracks/dm6.dev.bw and tracks/dm6.hk.bw.")
    ],
    overwrite: options.Overwrite = False,
    scanning: Annotated[ScanOptions, options.SCAN] = ScanOptions(),
    model: options.Loaded = options.DEFAULT,
    sharing: Annotated[ShardOptions, options.SHARING] = ShardOptions(),
    others: Annotated[RayOptions, options.SHARING] = RayOptions(),
) -> None:
    from zoo.genome import scan

    job = scan.ScanJob(
        genome,
        output,
        scanning,
        model_source=model.source,
        sharing=sharing,
        overwrite=overwrite,
        command=command_line(),
    )
    described = _run(job, others, "windows", "windows") or {}
    for target, count in described.get("peaks", {}).items():
        notes.say(f"{counted(count, 'peaks')} of {target} at or above percentile {scanning.threshold_percentile:g}")


def variants(
    variants: Annotated[
        Path,
        Parameter(
            name="VARIANTS",
            allow_leading_hyphen=True,
            help="VCF (plain or compressed), BCF, or a table with columns chrom, pos, ref, alt.",
        ),
    ],
    /,
    *,
    genome: Annotated[Path, options.input_("FASTA, plain or compressed with bgzip.")],
    output: Annotated[
        Path, options.output("Table to write: .tsv, .csv, .parquet, or .vcf.gz for the same VCF with INFO fields.")
    ],
    overwrite: options.Overwrite = False,
    comparing: Annotated[VariantOptions, options.VARIANTS] = VariantOptions(),
    model: options.Loaded = options.DEFAULT,
    sharing: Annotated[ShardOptions, options.SHARING] = ShardOptions(),
    others: Annotated[RayOptions, options.SHARING] = RayOptions(),
) -> None:
    from zoo.formats import vcf
    from zoo.genome import variants as scoring

    if str(variants) == "-":
        raise ZooError("-: expected a file, since the variants are read twice; standard input can be read only once")
    job = scoring.VariantsJob(
        genome,
        output,
        comparing,
        variants=variants,
        model_source=model.source,
        sharing=sharing,
        overwrite=overwrite,
        command=command_line(),
    )
    described = _run(job, others, "variants", "alleles")
    if described is None:
        return
    for kind, names in described["not_scored"].items():
        notes.say(f"not scored, {kind.replace('_', ' ')}: {_first(names, described['counts'][kind])}")
    for line in described["skipped"][:SHOWN_INTERVALS]:
        notes.say(f"skipped: {line}")
    if names := described["partly_outside"]:
        count = described["counts"]["partly_outside"]
        notes.say(f"longer than half the window, which holds a part of them: {_first(names, count)}")
    if without := described.get("kinds_without_p"):
        kinds, count = _first(list(without), len(without)), sum(without.values())
        notes.say(f"{counted(count, 'alleles')} without a p-value: the background has no random variants of {kinds}")
    if vcf.is_compressed_output(output) and described["index"] is None:
        notes.say(f"{output}: has no index, because {variants} is not sorted")
    _check_mismatches(described, comparing)


def _first(names: list[str], count: int) -> str:
    """The first of `count` alleles, and the number of the others."""
    more = f" and {count - SHOWN_ALLELES:,} more" if count > SHOWN_ALLELES else ""
    return ", ".join(names[:SHOWN_ALLELES]) + more


def _check_mismatches(described: dict[str, Any], comparing: VariantOptions) -> None:
    """Raise CheckFailed if the genome differs from REF at more alleles than --max-mismatch allows, or if positions are
    off by one: where such variants are skipped, the others match by chance."""
    mismatches, alleles = described["counts"]["ref_mismatch"], described["counts"]["records"]
    if mismatches > comparing.max_mismatch * alleles:
        raise CheckFailed(
            f"the genome differs from REF at {mismatches:,} of {counted(alleles, 'alleles')}, more than --max-mismatch "
            f"{comparing.max_mismatch:g}; {described['shift'] or 'check that the assembly is the right one'}"
        )
    if described["shift"]:
        if comparing.skip_bad and comparing.max_mismatch < 1:
            raise CheckFailed(f"{described['shift']} Then each effect that is written belongs to another base")
        notes.say(described["shift"])


@contextlib.contextmanager
def _kept_parts(job: GenomeJob) -> Iterator[None]:
    """A context that adds to an interruption how to continue, if there are finished parts."""
    from zoo.genome import shards

    try:
        yield
    except KeyboardInterrupt as stopped:
        folder = shards.folder_of(job.output)
        if folder.is_dir():
            how = "the same command" if job.sharing.shard else "the same command with --resume"
            stopped.add_note(f"{how} continues; finished parts are in {folder}")
        raise


def _run(job: GenomeJob, others: RayOptions, unit: str, records: str) -> dict[str, Any] | None:
    """Do a long job, or a shard of it, with a progress bar. Returns the description of the whole run; None for a shard.

    unit: what the bar counts.  records: what the summary counts.
    """
    from zoo.genome import ray_cluster
    from zoo.genome.job import run_job
    from zoo.prediction import description

    with notes.Bar(unit) as bar, _kept_parts(job):
        described = run_job(job, bar.update_of, ray_cluster.workers(others.ray))
    if "shard" in described:
        notes.say(description.of_shard(described))
        return None
    notes.summarize(described, records)
    say_read_as_n(described)
    return described
