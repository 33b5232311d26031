"""`zoo train`: train a network on the published data or on anyone's own.

A model's own options are those of its `configure`, see own_options.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from zoo import registry
from zoo.cli import notes, options, own_options
from zoo.data.labelled import Layout
from zoo.training.config import TrainConfig, TrainingOptions


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
    where: Annotated[TrainingOptions, options.JOB],
    settings: Annotated[TrainConfig, options.TRAINING] = TrainConfig(),
    layout: Annotated[Layout, options.LAYOUT] = Layout(),
    **given: Any,
) -> None:
    from zoo.cli import run_report
    from zoo.data import dataset
    from zoo.data.training_source import DatasetSource

    job = run_report.prepare(model, settings, where, **changes(model, given))
    config = job.config
    read = dataset.read(data, targets or config.targets, allow_leakage, length=config.sequence_length, layout=layout)
    for note in read.notes:
        notes.say(note)
    columns = ["--targets", ",".join(targets)] if any("=" in text for text in targets) else []
    run_report.train(job, DatasetSource(read), ["--data", str(data), *columns, *run_report.given(layout)])


def changes(model: str, given: dict[str, Any]) -> dict[str, Any]:
    """Fields of the model's Config for its own options. Raises ZooError for an option that it does not have."""
    from zoo.training.config import read_model

    if not given:
        return {}
    architecture = read_model(model)[0]
    configure: Any = getattr(registry.load("models", architecture), "configure", None)
    own_options.check(given, configure, f"the model {model}")
    return dict(configure(**given))


def every_option() -> Iterator[inspect.Parameter]:
    """The options of each model that has some."""
    models = {name: getattr(model, "configure", None) for name, model in registry.working("models").items()}
    yield from own_options.under_titles({f"Model {name}": configure for name, configure in models.items() if configure})


own_options.extend(command, every_option())
