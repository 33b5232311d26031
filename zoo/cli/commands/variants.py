"""`zoo variants`: what each allele of a VCF does to the activities."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from zoo.cli import genome_run, notes, options
from zoo.defaults import RUNTIME
from zoo.errors import CheckFailed
from zoo.genome.options import RayOptions, ShardOptions, VariantOptions
from zoo.options import RunOptions, StrandOptions

NAMED = 3
"""Alleles of a kind that are not scored which a note names; the description names more."""


def command(
    variants: Annotated[
        Path,
        Parameter(name="VARIANTS", help="VCF, plain or compressed, BCF, or a table with columns chrom, pos, ref, alt."),
    ],
    /,
    *,
    genome: Annotated[Path, Parameter(help="FASTA, plain or compressed with bgzip.")],
    output: Annotated[
        Path, Parameter(help="Table to write, .tsv, .csv, .parquet, or .vcf.gz for the same VCF with INFO fields.")
    ],
    model: options.Model = None,
    weights: options.Weights = None,
    overwrite: options.Overwrite = False,
    comparing: Annotated[VariantOptions, options.VARIANTS] = VariantOptions(),
    strands: Annotated[StrandOptions, options.STRANDS] = StrandOptions(),
    sharing: Annotated[ShardOptions, options.SHARING] = ShardOptions(),
    others: Annotated[RayOptions, options.SHARING] = RayOptions(),
    runtime: options.Runtime = RUNTIME,
    running: Annotated[RunOptions, options.RUNNING] = RunOptions(),
) -> None:
    from zoo.formats import annotated_vcf
    from zoo.genome import variants as scoring
    from zoo.prediction import description
    from zoo.prediction.model import ModelSource

    job = scoring.VariantsJob(
        genome,
        output,
        comparing,
        variants=variants,
        loading=ModelSource(model, weights, runtime, running, strands.rc),
        sharing=sharing,
        overwrite=overwrite,
        command=options.command_line(),
    )
    described = genome_run.run(job, others, "variants", "alleles")
    if described is None:
        return
    for kind, names in described["not_scored"].items():
        count = described["counts"][kind]
        more = f" and {count - NAMED:,} more" if count > NAMED else ""
        notes.say(f"not scored, {kind.replace('_', ' ')}: {', '.join(names[:NAMED])}{more}")
    if annotated_vcf.is_compressed(output) and described["index"] is None:
        notes.say(f"{variants}: is not sorted; {output} has no index")
    for line in description.details(described):
        notes.detail(line)
    _check_mismatches(described["counts"], comparing)


def _check_mismatches(counts: dict[str, Any], comparing: VariantOptions) -> None:
    """Raise CheckFailed if the genome lacks more alleles of reference than it may."""
    found, alleles = counts["ref_mismatch"], counts["records"]
    if found > comparing.max_mismatch * alleles:
        raise CheckFailed(
            f"the genome has other bases than REF at {found:,} of {alleles:,} alleles, more than --max-mismatch "
            f"{comparing.max_mismatch:g}: is it another assembly?"
        )
