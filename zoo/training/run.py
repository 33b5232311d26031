"""One training from start to finish: network, folder, receipts, trackers, errors with advice."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from zoo.card import Card
from zoo.data.dataset import Source
from zoo.errors import CheckFailed, MissingDependency, OutOfMemory, ZooError, require
from zoo.system import machine
from zoo.training import distributed, notes, tracking
from zoo.training.config import TrainConfig, TrainingOptions, read_model
from zoo.training.run_folder import RunFolder
from zoo.training.trainer import Reporter, Trainer
from zoo.weights import lookup
from zoo.weights.checkpoint import Checkpoint

LIBRARIES = ("deepstarr-zoo", "torch", "numpy")


@dataclasses.dataclass(frozen=True)
class TrainingJob:
    """What to train, how, and where.

    command: as the user typed it, for the receipts.  about: further settings of the tracker.
    card: what the user says of the weights; the data say more.
    start: initial weights, random ones for None; the head is random too if the targets differ.
    """

    architecture: str
    config: Any
    settings: TrainConfig
    options: TrainingOptions
    command: str = ""
    start: Checkpoint | None = None
    about: tracking.About = dataclasses.field(default_factory=tracking.About)
    card: Card = dataclasses.field(default_factory=Card)

    @property
    def device(self) -> str:
        """ "cpu" or "cuda"; "auto" is resolved. Raises MissingDependency for "cuda" without a usable GPU."""
        name = self.options.device
        if name == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cuda" and not torch.cuda.is_available():
            raise MissingDependency(
                "cuda: this PyTorch finds no usable NVIDIA GPU; train with --device cpu, or see zoo doctor"
            )
        return name


def prepare(
    model: str,
    settings: TrainConfig,
    options: TrainingOptions,
    command: str = "",
    changes: dict[str, Any] | None = None,
) -> TrainingJob:
    """The job for a model's name or TOML file, see `read_model`, with the initial weights that `options` name."""
    architecture, config, _ = read_model(model, changes)
    start = lookup.load(None, options.start) if options.start else None
    return TrainingJob(architecture, config, settings, options, command, start)


def run(job: TrainingJob, source: Source, reporter: Reporter | None = None) -> dict[str, Any]:
    """Train; leave a whole run folder. Returns the row of metrics of the best epoch.

    Raises ZooError if the folder exists (or to resume, belongs to another training), MissingDependency for a missing
    device or tracker, CheckFailed if the loss is not finite.
    """
    machine.keep_memory()
    if job.options.threads:
        torch.set_num_threads(job.options.threads)
    device = job.device
    if job.options.track:
        require(job.options.track, "track", "--track")
    group = distributed.join(device)
    try:
        trainer = make_trainer(job, source, group)
        folder = trainer.folder
        before: dict[str, Any] = {}
        if job.options.resume:
            before = folder.read_receipts()
            trainer.resume()
        elif group.writes:
            folder.create()
        tracker = job.options.track if group.writes else None
        try:
            with tracking.started(tracker, folder.path, job.settings.to_dict(), job.about) as track:
                return _run(trainer, _Receipts(job, trainer, before), track, reporter or Reporter())
        except ZooError as error:
            if group.writes and not isinstance(error, CheckFailed):
                folder.discard()
            raise
    except (RuntimeError, MemoryError) as error:
        if not _out_of_memory(error):
            raise
        raise OutOfMemory(f"{device}: {machine.out_of_memory(job.settings.batch_size)}") from None
    finally:
        distributed.leave(group)


def make_trainer(job: TrainingJob, source: Source, group: distributed.Group | None = None) -> Trainer:
    """The trainer of a job; nothing is written yet. Raises ZooError for settings, weights or data that do not fit."""
    group = group or distributed.Group()
    return Trainer(
        job.architecture,
        job.config,
        source,
        job.settings,
        RunFolder(job.options.output),
        f"cuda:{group.local_rank}" if job.device == "cuda" else job.device,
        compiled=job.options.compile,
        group=group,
        licence=job.options.licence,
        start=job.start,
        card=job.card,
    )


def resume_or_restart(train: Callable[[bool], dict[str, Any]], folder: Path) -> dict[str, Any]:
    """`train(resume)` in a folder where it may have begun before: the row of metrics of its best epoch."""
    folder.parent.mkdir(exist_ok=True)
    if folder.is_dir():
        try:
            return train(True)
        except (CheckFailed, OutOfMemory):
            raise
        except ZooError:  # the folder is damaged, or belongs to a training under other conditions
            shutil.rmtree(folder)
    return train(False)


def _out_of_memory(error: Exception) -> bool:
    """Whether memory was exhausted. PyTorch has a class for this error on GPUs only."""
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def _run(trainer: Trainer, receipts: _Receipts, track: tracking.Track, reporter: Reporter) -> dict[str, Any]:
    def on_epoch(row: dict[str, Any]) -> None:
        if trainer.group.writes:
            receipts.write("running")
            track(row)
            reporter.epoch(row)
            for line in notes.after_epoch(trainer, row):
                reporter.note(line)

    quiet = dataclasses.replace(reporter, epoch=on_epoch)
    if not trainer.group.writes:
        return trainer.run(dataclasses.replace(quiet, step=Reporter().step))
    receipts.write("running")
    trainer.folder.write_seen(trainer.source, receipts.start)
    for line in notes.at_start(trainer, _device_name(trainer.device)):
        reporter.note(line)
    try:
        best = trainer.run(quiet)
        tested = notes.test_scores(trainer)
    except KeyboardInterrupt:
        receipts.write("interrupted")
        raise
    except ZooError:
        with contextlib.suppress(ZooError):  # on a full disk, report that error instead
            receipts.write("failed")
        raise
    trainer.folder.draw_curves(trainer.progress.history, trainer.source.targets, best["epoch"])
    if tested is not None:
        receipts.test, line = tested
        reporter.note(line)
    receipts.write("finished" if trainer.finished else "stopped")
    reporter.finished(best)
    return best


class _Receipts:
    """run.json: settings, data, libraries, time, epochs done, and the test scores at the end.

    before: its content when a resumed run was stopped. The command is that of the first start.
    """

    def __init__(self, job: TrainingJob, trainer: Trainer, before: dict[str, Any]) -> None:
        self._job, self._trainer = job, trainer
        self._command, self._seconds = before.get("command", job.command), before.get("seconds", 0.0)
        self._began = time.monotonic()
        self.start = job.options.start
        self.test: dict[str, Any] | None = None

    def write(self, status: str) -> None:
        trainer = self._trainer
        trainer.folder.write_receipts(
            {
                "command": self._command,
                "status": status,
                **trainer.facts(),
                "licence": self._job.options.licence,
                "device": _device_name(trainer.device),
                "compiled": self._job.options.compile,
                "processes": trainer.group.size,
                "threads": torch.get_num_threads(),
                "python": platform.python_version(),
                "libraries": {name: found for name in LIBRARIES if (found := machine.version(name))},
                "seconds": round(self._seconds + time.monotonic() - self._began, 1),
                "epochs": trainer.progress.epoch,
                "augmented_epochs": trainer.progress.augmented_epochs,
                "fine_tuned_from": trainer.progress.fine_tuned_from,
                "best_epoch": trainer.progress.best_epoch,
                "best_validation_loss": None if trainer.progress.best_epoch is None else trainer.progress.best_loss,
                "test": self.test,
            }
        )


def _device_name(device: torch.device) -> str:
    return (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"cpu ({platform.processor() or platform.machine()})"
    )
