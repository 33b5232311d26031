"""`zoo train`: train a network on the published data or on anyone's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli import options


def command(
    model: Annotated[str, typer.Argument(help="original, tuned, or a .toml file with [model] and [train] tables.")],
    data: Annotated[Path, typer.Option(help="Folder in the published layout, or one TSV, CSV or Parquet file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run, made anew.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --output.")] = False,
    targets: Annotated[str | None, typer.Option(help="Columns of the labels, separated by commas.")] = None,
    labels: options.Labels = None,
    split_by: options.SplitBy = None,
    validation_chromosomes: options.ValidationChromosomes = "",
    test_chromosomes: options.TestChromosomes = "",
    validation_fraction: options.ValidationFraction = 0.1,
    test_fraction: options.TestFraction = 0.1,
    split_seed: options.SplitSeed = 0,
    sequence_column: options.SequenceColumn = "sequence",
    resize: options.Resize = None,
    ambiguous: options.Ambiguous = None,
    allow_leakage: Annotated[bool, typer.Option("--allow-leakage", help="Go on if splits share sequences.")] = False,
    learning_rate: Annotated[float | None, typer.Option(help="Of Adam; default 0.002.")] = None,
    epsilon: Annotated[float | None, typer.Option(help="Of Adam; default 1e-7.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Sequences a step, over all processes; default 128.")] = None,
    epochs: Annotated[int | None, typer.Option(help="At most; default 100.")] = None,
    patience: Annotated[int | None, typer.Option(help="Epochs without a better validation loss; default 10.")] = None,
    schedule: Annotated[str | None, typer.Option(help="constant (default) or one-cycle.")] = None,
    weight_average: Annotated[float | None, typer.Option(help="Decay of a moving average of the weights.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32 (default), bf16 or fp64.")] = None,
    augment: Annotated[str | None, typer.Option(help="Some of reverse-complement,shift,mutate.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything that is drawn; default 0.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the network with torch.compile.")] = False,
    threads: Annotated[int | None, typer.Option(help="CPU threads; default: one a core.")] = None,
    track: Annotated[str | None, typer.Option(help="tensorboard or wandb.")] = None,
    licence: Annotated[str, typer.Option(help="Of the weights to come.")] = "unknown",
    start: options.Start = None,
    rescale_start: options.RescaleStart = False,
) -> None:
    """Train a network; the defaults are the recipe of the DeepSTARR paper."""
    from zoo.system import devices
    from zoo.weights.network import require_torch

    require_torch()
    devices.sleep_soon()
    import shlex
    import sys

    import torch

    from zoo.cli.run_report import reporting
    from zoo.data import dataset
    from zoo.data.training_source import DatasetSource
    from zoo.training import run
    from zoo.training.config import TrainConfig, make

    if threads:
        torch.set_num_threads(threads)
    architecture, config, table = run.read_model(model)
    given = {
        "learning_rate": learning_rate, "epsilon": epsilon, "batch_size": batch_size, "epochs": epochs,
        "patience": patience, "schedule": schedule, "weight_average": weight_average, "precision": precision,
        "rescale_start": rescale_start or None, "augment": options.names(augment), "seed": seed,
    }  # fmt: skip
    changes = {name: value for name, value in given.items() if value is not None}
    settings = make(TrainConfig, {**table, **changes}, f"{model}, [train]")
    layout = options.layout(
        sequence_column, labels, resize, ambiguous, validation_chromosomes, test_chromosomes, validation_fraction,
        test_fraction, split_seed,
    )  # fmt: skip
    columns = options.names(targets) or config.targets
    begin = run.read_start(start)
    read = dataset.read(data, columns, split_by, allow_leakage, length=config.sequence_length, layout=layout)
    for note in read.notes:
        print(f"zoo: {note}", file=sys.stderr)
    command_line = shlex.join(["zoo", *sys.argv[1:]])
    job = run.Job(architecture, config, settings, output, resume, device, compiled, track, command_line, licence, begin)
    source = DatasetSource(read)
    with reporting(job, source.targets) as reporter:
        run.run(job, source, reporter)
