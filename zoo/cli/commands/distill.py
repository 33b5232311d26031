"""`zoo distill`: train a network on a teacher's outputs, on sequences drawn from a genome."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zoo.cli import notes, options
from zoo.defaults import RUNTIME
from zoo.training.config import JobOptions, StudentConfig
from zoo.training.distill import DistillConfig


def command(
    model: Annotated[
        str, Parameter(help="The student: a name, see zoo list, or a .toml file with [model] and [train] tables.")
    ],
    /,
    *,
    teacher: Annotated[str, Parameter(help="The teacher: weights by name, see zoo list, or a file.")],
    genome: Annotated[Path, Parameter(help="FASTA of the genome that sequences are drawn from.")],
    runtime: Annotated[
        str, Parameter(help="What computes the teacher's labels: auto, or engine-device; see zoo list.")
    ] = RUNTIME,
    dropout: Annotated[float, Parameter(help="Of the student; labels without noise need none.")] = 0.0,
    where: Annotated[JobOptions, options.JOB],
    settings: Annotated[StudentConfig, options.TRAINING] = StudentConfig(),
    drawing: Annotated[DistillConfig, options.DRAWING] = DistillConfig(),
) -> None:
    from zoo.cli import run_report
    from zoo.formats import genome as genomes
    from zoo.inference import predict
    from zoo.training.distill import DistillSource

    job = run_report.prepare(model, settings, where, dropout=dropout)
    loaded = predict.load(None, teacher, runtime, threads=where.threads)
    notes.detail(f"the teacher's labels are computed by {loaded.runtime}")
    source = DistillSource(
        genomes.read(genome, loaded.spec.sequence_length),
        loaded.predict_codes,
        f"weights {loaded.spec.weights_id[:12]} ({loaded.spec.source})",
        loaded.spec.targets,
        drawing,
        settings.seed,
        ahead=job.device != "cpu",
    )
    try:
        run_report.train(job, source)
    finally:
        source.close()
