"""A training at the terminal: a bar with what is left, a line an epoch, and how to go on, after Ctrl-C or at the end.

PyTorch is imported when a training is prepared, so that the help of the commands that train comes at once.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from zoo.cli import notes
from zoo.cli.options import command_line
from zoo.cli.progress import Bar
from zoo.system import machine
from zoo.training.config import TrainConfig, TrainingOptions

if TYPE_CHECKING:
    from zoo.data.training_source import Source
    from zoo.training.run import TrainingJob
    from zoo.training.trainer import Reporter


def prepare(model: str, settings: TrainConfig, options: TrainingOptions, **changes: Any) -> TrainingJob:
    """What to train, see zoo.training.run.prepare; `changes` are laid over the model's Config.

    Raises MissingDependency without PyTorch, ZooError for what names no model or weights.
    """
    from zoo.weights.network import require_torch

    machine.sleep_soon()
    require_torch()
    from zoo.training import run

    return run.prepare(model, settings, options, command_line(), changes)


def train(job: TrainingJob, source: Source, data: Sequence[str] = ()) -> None:
    """Train and say on standard error how it goes. data: options that give zoo evaluate the data of the training."""
    from zoo.training import run

    output = str(job.options.output)

    def on_finished(best: dict[str, Any]) -> None:
        before = _BEFORE if best["epoch"] == 0 else ""
        notes.say(f"best epoch {best['epoch']}{before}; weights and receipts are in {output}")
        predict = ["zoo", "predict", "seqs.fa", "--weights", output]
        if data:
            split = [] if source.test is not None else ["--split", "validation"]
            notes.say(f"next: {shlex.join(['zoo', 'evaluate', '--weights', output, *data, *split])}")
        notes.say(f"{'or' if data else 'next'}: {shlex.join(predict)}")

    with _reporting(job, source.targets) as reporter:
        run.run(job, source, dataclasses.replace(reporter, finished=on_finished))


def given(options: Any) -> list[str]:
    """The fields of a dataclass of options that differ from their defaults, as a user types them."""
    words: list[str] = []
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if value != field.default:
            flag = f"--{field.name.replace('_', '-')}"
            text = ",".join(value) if isinstance(value, tuple) else str(value)
            words += [flag] if value is True else [flag, text]
    return words


@contextmanager
def _reporting(job: TrainingJob, targets: tuple[str, ...]) -> Iterator[Reporter]:
    """A Reporter that writes to standard error; the lines of an epoch and of notes stay there."""
    from zoo.training.trainer import Reporter

    with Bar("sequences", job.settings.epochs) as bar:
        done_epochs = 0

        def on_step(done: int, total: int) -> None:
            batch = job.settings.batch_size
            bar.update(done_epochs + done / total, (done_epochs * total + done) * batch)

        def on_epoch(row: dict[str, Any]) -> None:
            nonlocal done_epochs
            done_epochs = row["epoch"]
            notes.say(_line(row, targets))

        try:
            yield Reporter(on_step, on_epoch, notes.say)
        except KeyboardInterrupt:
            notes.say(f"stopped; the same command with --resume goes on in {job.options.output}")
            raise


_BEFORE = ", before training"


def _line(row: dict[str, Any], targets: tuple[str, ...]) -> str:
    from zoo.training.notes import correlations, number

    validation = f"validation {number(row['validation_loss'])}, " + correlations(
        {name: row[f"validation_pearson_{name}"] for name in targets}
    )
    if row["epoch"] == 0:
        return f"epoch 0{_BEFORE}: {validation}"
    rate = f"{row['sequences_per_second']:,.0f} sequences a second"
    return f"epoch {row['epoch']}: loss {number(row['train_loss'])}, {validation}, {rate}"
