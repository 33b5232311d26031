"""`zoo train`: train a network on the published data or on anyone's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zoo.cli import notes, options
from zoo.data.labelled import Layout
from zoo.training.config import JobOptions, TrainConfig


def command(
    model: Annotated[str, Parameter(help="A name, see zoo list, or a .toml file with [model] and [train] tables.")],
    /,
    *,
    data: Annotated[Path, Parameter(help="Folder in the published layout, or one table or FASTA file.")],
    targets: Annotated[
        tuple[str, ...],
        Parameter(help="What to predict: columns of the labels, or TARGET=COLUMN; by default the model's targets."),
    ] = (),
    allow_leakage: Annotated[bool, Parameter(help="Go on if splits share sequences.")] = False,
    where: Annotated[JobOptions, options.JOB],
    settings: Annotated[TrainConfig, options.TRAINING] = TrainConfig(),
    layout: Annotated[Layout, options.LAYOUT] = Layout(),
) -> None:
    from zoo.cli import run_report
    from zoo.data import dataset
    from zoo.data.training_source import DatasetSource

    job = run_report.prepare(model, settings, where)
    config = job.config
    read = dataset.read(data, targets or config.targets, allow_leakage, length=config.sequence_length, layout=layout)
    for note in read.notes:
        notes.say(note)
    columns = ["--targets", ",".join(targets)] if any("=" in text for text in targets) else []
    run_report.train(job, DatasetSource(read), ["--data", str(data), *columns, *run_report.given(layout)])
