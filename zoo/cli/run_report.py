"""A training at the terminal: a bar with what is left, a line an epoch, and how to go on after Ctrl-C.

PyTorch is imported when a training is prepared, so that the help of the commands that train comes at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from zoo.cli import notes
from zoo.cli.options import command_line
from zoo.cli.progress import Bar
from zoo.system import devices
from zoo.training.config import JobOptions, TrainConfig

if TYPE_CHECKING:
    from zoo.data.training_source import Source
    from zoo.training.run import Job
    from zoo.training.trainer import Reporter


def prepare(model: str, settings: TrainConfig, options: JobOptions, **changes: Any) -> Job:
    """What to train, see zoo.training.run.prepare; `changes` are laid over the model's Config.

    Raises MissingDependency without PyTorch, ZooError for what names no model or weights.
    """
    from zoo.weights.network import require_torch

    devices.sleep_soon()
    require_torch()
    from zoo.training import run

    return run.prepare(model, settings, options, command_line(), changes)


def train(job: Job, source: Source) -> None:
    """Train and say on standard error how it goes."""
    from zoo.training import run

    with _reporting(job, source.targets) as reporter:
        run.run(job, source, reporter)


@contextmanager
def _reporting(job: Job, targets: tuple[str, ...]) -> Iterator[Reporter]:
    """A Reporter that writes to standard error; the line of an epoch, and the run folder at the end, stay there."""
    from zoo.training.trainer import Reporter

    with Bar("sequences", job.settings.epochs) as bar:
        best: dict[str, Any] = {}
        done_epochs = 0

        def on_step(done: int, total: int) -> None:
            batch = job.settings.batch_size
            bar.update(done_epochs + done / total, (done_epochs * total + done) * batch)

        def on_epoch(row: dict[str, Any]) -> None:
            nonlocal best, done_epochs
            done_epochs = row["epoch"]
            if not best or row["validation_loss"] < best["validation_loss"]:
                best = row
            notes.say(f"{_line(row, targets)}")

        try:
            yield Reporter(on_step, on_epoch)
        except KeyboardInterrupt:
            notes.say(f"stopped; the same command with --resume goes on in {job.options.output}")
            raise
    if best:
        notes.say(f"best epoch {best['epoch']}; weights and receipts are in {job.options.output}")


def _line(row: dict[str, Any], targets: tuple[str, ...]) -> str:
    def number(value: float | None) -> str:
        return "undefined" if value is None else f"{value:.4f}"

    correlations = ", ".join(f"r({name}) {number(row[f'validation_pearson_{name}'])}" for name in targets)
    return (
        f"epoch {row['epoch']}: loss {number(row['train_loss'])}, validation {number(row['validation_loss'])}, "
        f"{correlations}, {row['sequences_per_second']:,.0f} sequences a second"
    )
