"""`zoo distill`: train a network on a teacher's outputs, on sequences drawn from a genome."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli import options


def command(
    model: Annotated[str, typer.Argument(help="The student: original, tuned, or a .toml file with a [model] table.")],
    teacher: Annotated[str, typer.Option(help="The teacher: a weights file, or a name such as original:published.")],
    genome: Annotated[Path, typer.Option(help="FASTA of the genome that sequences are drawn from.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run, made anew.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --output.")] = False,
    epoch_size: Annotated[int, typer.Option(help="Sequences an epoch.")] = 200_000,
    passes: Annotated[int, typer.Option(help="Epochs in a row that use the same sequences.")] = 1,
    epochs: Annotated[int, typer.Option(help="Epochs.")] = 50,
    shuffle: Annotated[float, typer.Option(help="Share of dinucleotide-shuffled windows.")] = 0.05,
    mutate: Annotated[float, typer.Option(help="Share of mutated windows.")] = 0.15,
    splice: Annotated[float, typer.Option(help="Share of windows spliced from two.")] = 0.15,
    climb: Annotated[float, typer.Option(help="Share of sequences evolved to higher or lower activity.")] = 0.3,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    dropout: Annotated[float, typer.Option(help="Of the student; labels without noise need none.")] = 0.0,
    batch_size: Annotated[int, typer.Option(help="Sequences a step.")] = 128,
    learning_rate: Annotated[float, typer.Option(help="Of Adam, at the peak of the one-cycle schedule.")] = 0.002,
    weight_average: Annotated[float, typer.Option(help="Decay of the moving average of the weights.")] = 0.999,
    precision: Annotated[str, typer.Option(help="fp32, bf16 or fp64.")] = "fp32",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads; default: one a core.")] = None,
    runtime: Annotated[str, typer.Option(help="What computes the teacher's labels; see zoo list.")] = "kmer-cpu",
    licence: Annotated[str, typer.Option(help="Of the weights to come.")] = "unknown",
    start: options.Start = None,
    rescale_start: options.RescaleStart = False,
) -> None:
    """Train a network on a teacher's outputs: shrink a model, or move it to another variant."""
    from zoo.system import devices
    from zoo.weights.network import require_torch

    require_torch()
    devices.sleep_soon()
    import shlex
    import sys

    import torch

    from zoo.cli.run_report import reporting
    from zoo.formats import genome as genomes
    from zoo.inference import predict
    from zoo.training import run
    from zoo.training.config import TrainConfig
    from zoo.training.distill import DistillConfig, DistillSource

    if threads:
        torch.set_num_threads(threads)
    loaded = predict.load("original", teacher, runtime, threads=threads)
    architecture, config, _ = run.read_model(model, {"dropout": dropout})
    drawing = DistillConfig(epoch_size, passes, shuffle, mutate, splice, climb, seed)
    settings = TrainConfig(
        learning_rate=learning_rate, batch_size=batch_size, epochs=epochs, patience=epochs, schedule="one-cycle",
        weight_average=weight_average, precision=precision, rescale_start=rescale_start, seed=seed,
    )  # fmt: skip
    job = run.Job(
        architecture,
        config,
        settings,
        output,
        resume,
        device,
        command=shlex.join(["zoo", *sys.argv[1:]]),
        licence=licence,
        start=run.read_start(start),
    )
    name = f"weights {loaded.spec.weights_id[:12]} ({loaded.spec.source})"
    source = DistillSource(
        genomes.read(genome, loaded.spec.sequence_length),
        loaded.predict_codes,
        name,
        loaded.spec.targets,
        drawing,
        ahead=run.training_device(device) != "cpu",
    )
    try:
        with reporting(job, source.targets) as reporter:
            run.run(job, source, reporter)
    finally:
        source.close()
