"""`zoo distill`: train a network on a teacher's outputs, on sequences drawn from a genome."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zoo.cli import notes, options
from zoo.defaults import RUNTIME
from zoo.training.config import StudentConfig, TrainingOptions
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
    where: Annotated[TrainingOptions, options.JOB],
    settings: Annotated[StudentConfig, options.TRAINING] = StudentConfig(),
    drawing: Annotated[DistillConfig, options.DRAWING] = DistillConfig(),
) -> None:
    from zoo import registry
    from zoo.cli import run_report
    from zoo.formats import genome as genomes
    from zoo.options import names
    from zoo.prediction.model import load
    from zoo.training.config import read_model
    from zoo.training.distill import DistillSource

    architecture = read_model(model, kind=StudentConfig)[0]
    has_dropout = "dropout" in names(registry.load("models", architecture).Config)
    job = run_report.prepare(model, settings, where, **({"dropout": dropout} if has_dropout or dropout else {}))
    loaded = load(None, teacher, runtime, threads=where.threads)
    for name in ("sequence_length", "targets"):
        own, taught = getattr(job.config, name), getattr(loaded.spec, name)
        if own != taught:
            notes.say(f"{name}: {_shown(taught)} as the teacher has it, not {_shown(own)} as {model} says")
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


def _shown(value: int | tuple[str, ...]) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)
