"""The models of a comparison, each trained with several seeds, and how well their trainings predict one split.

A training is a run folder like that of `zoo train`. One that was interrupted continues, bit for bit on a CPU. Needs
PyTorch. Axes: N sequences, T targets.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zoo.data import splits
from zoo.data.blocks import blocks
from zoo.data.dataset import Source
from zoo.data.labelled import Split
from zoo.errors import ZooError
from zoo.evaluation import intervals, metrics
from zoo.evaluation.intervals import PairedDifference
from zoo.evaluation.metrics import Interval
from zoo.training import run as training_run
from zoo.training import scores
from zoo.training.config import TrainConfig, TrainingOptions, difference, make, read_model
from zoo.training.run import TrainingJob
from zoo.training.run_folder import RunFolder
from zoo.training.trainer import Reporter
from zoo.weights import checkpoint, network

NO_WEIGHTS = "has no training that finished an epoch"
"""Why a contender is not compared."""


class Step(NamedTuple):
    """How much of a trial or a training is done, 0 to 1."""

    name: str
    done: float


@dataclasses.dataclass(frozen=True)
class Contender:
    """One model of a comparison. settings: those of its training; the seed is replaced."""

    label: str
    architecture: str
    config: Any
    settings: dict[str, Any]

    @property
    def most_epochs(self) -> int:
        """Epochs of a training that does not stop early."""
        return int(self.settings["epochs"]) + int(self.settings.get("fine_tune_epochs", 0))

    @property
    def trained_as(self) -> dict[str, Any]:
        """All but the label and the seed, as JSON types."""
        settings = {name: value for name, value in self.settings.items() if name != "seed"}
        found = {"architecture": self.architecture, "model": self.config.to_dict(), "train": settings}
        as_json: dict[str, Any] = json.loads(json.dumps(found))
        return as_json

    def fitted(self, source: Source, option: str) -> Contender:
        """The same for the length and the targets of the data. Raises ZooError if the network cannot take them."""
        try:
            config = dataclasses.replace(
                self.config, sequence_length=source.sequence_length, targets=tuple(source.targets)
            )
        except ZooError as error:
            raise ZooError(f"{option} {self.label}: {error}") from None
        return dataclasses.replace(self, config=config)


@dataclasses.dataclass(frozen=True)
class Training:
    """One training of a comparison, and its run folder."""

    contender: Contender
    seed: int
    folder: Path

    def job(self, options: TrainingOptions, command: str = "", resume: bool = False) -> TrainingJob:
        """What to train. options: all but the folder."""
        settings = make(TrainConfig, {**self.contender.settings, "seed": self.seed}, self.contender.label)
        where = dataclasses.replace(options, output=self.folder, resume=resume)
        return TrainingJob(self.contender.architecture, self.contender.config, settings, where, command)

    def is_finished(self, source: Source) -> bool:
        """Whether the run folder holds exactly this training, from its first to its last epoch."""
        run = RunFolder(self.folder)
        if not run.weights.is_file() or not run.receipts.is_file():
            return False
        receipts = run.read_receipts()
        fitted = self.contender.fitted(source, "")
        expected = {**fitted.trained_as, "data": source.identity(), "status": "finished"}
        expected["train"] = {**expected["train"], "seed": self.seed}
        return difference({name: receipts.get(name) for name in expected}, expected) is None


def read(names: Sequence[str], changes: Mapping[str, Any], option: str) -> list[Contender]:
    """Models by their names or TOML files, each with its own recipe, of which `changes` replace settings.

    option: the one that names them.
    Raises ZooError for an unknown model or setting, for two models with one name, and as `check_different` does.
    """
    found: list[Contender] = []
    for name in names:
        architecture, config, own = read_model(name)
        try:
            settings = make(TrainConfig, {**own, **changes}, name)
        except ZooError as error:
            raise ZooError(f"{option} {name}: {error}") from None
        found.append(Contender(Path(name).stem, architecture, config, settings.to_dict()))
        if Path(name).stem in {one.label for one in found[:-1]}:
            raise ZooError(f"{option}: expected different names, got {Path(name).stem!r} twice")
    check_different(found, option)
    return found


def check_different(contenders: Sequence[Contender], option: str) -> None:
    """Raise ZooError if two have the same network and the same training, apart from its seed."""
    for number, one in enumerate(contenders):
        for other in contenders[:number]:
            if one.trained_as == other.trained_as:
                raise ZooError(
                    f"{option}: {one.label} and {other.label} are the same network, trained in the same way; a "
                    "comparison needs different models"
                )


def trainings(contenders: Sequence[Contender], folder: Path, seeds: Sequence[int]) -> list[Training]:
    """All trainings, seed by seed, each in a folder inside `folder`."""
    return [
        Training(one, seed, folder / f"{one.label.replace(' ', '-')}-seed-{seed}")
        for seed in seeds
        for one in contenders
    ]


def train(
    training: Training, source: Source, options: TrainingOptions, command: str = "", reporter: Reporter | None = None
) -> None:
    """Train, or continue where it stopped; a finished training stays as it is.

    options: all but the folder.  Raises CheckFailed if the training diverges; its best weights so far are kept.
    """
    if not training.is_finished(source):
        training_run.resume_or_restart(
            lambda resume: training_run.run(training.job(options, command, resume), source, reporter), training.folder
        )


def following(name: str, epochs: int, send: Callable[[Step], None]) -> Reporter:
    """Sends the progress of a training."""
    finished = 0

    def step(done: int, total: int) -> None:
        send(Step(name, (finished + done / total) / epochs))

    def epoch(row: Mapping[str, Any]) -> None:
        nonlocal finished
        finished = row["epoch"]

    return Reporter(step=step, epoch=epoch)


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What the trainings of each contender predict for one split, and how well.

    values: label -> float32 (trainings, N, T), of the trainings that left weights.
    Intervals cover the sequences, those that overlap together, and the trainings; see evaluation/intervals.py.
    """

    split: Split
    values: Mapping[str, np.ndarray]

    @cached_property
    def groups(self) -> np.ndarray:
        """Number of the sequence of each row, int (N,); both strands of a sequence have the same."""
        return np.unique(splits.keys(self.split.codes), return_inverse=True)[1]

    @cached_property
    def blocks(self) -> np.ndarray:
        """Number of the block of each row, int (N,): sequences that overlap are drawn together."""
        return blocks(self.split.codes)

    def score(self, label: str, target: int, metric: str) -> Interval | None:
        """A metric of a contender, the mean over its trainings; None if it is not defined."""
        runs = self.values[label][:, :, target]
        if not len(runs):
            return None
        return intervals.mean_score(self.split.targets[:, target], runs, metric, groups=self.blocks)

    def mean(self, label: str, target: int, metric: str) -> float | None:
        """The same without its interval, which takes time."""
        runs = self.values[label][:, :, target]
        found = [getattr(metrics.score(self.split.targets[:, [target]], run[:, None])[0], metric) for run in runs]
        return None if not found or None in found else float(np.mean(found))

    def difference(self, first: str, second: str, target: int, metric: str) -> PairedDifference:
        """Metric of `first` minus that of `second`, on the same sequences."""
        for label in (first, second):
            if not len(self.values[label]):
                return PairedDifference(None, None, None, "no clear difference", f"{label} {NO_WEIGHTS}")
        a, b = (self.values[label][:, :, target] for label in (first, second))
        return intervals.paired_difference(self.split.targets[:, target], a, b, metric, groups=self.blocks)


def predictions(done: Sequence[Training], split: Split) -> Predictions:
    """Predict a split with the best weights of each training that left any."""
    import torch

    values: dict[str, list[np.ndarray]] = {}
    for training in done:
        found = values.setdefault(training.contender.label, [])
        weights = RunFolder(training.folder).weights
        if weights.is_file():
            module = network.from_checkpoint(checkpoint.load(weights))
            found.append(scores.predict(module, split.codes, torch.device("cpu")))
    nothing = np.empty((0, *split.targets.shape), np.float32)
    return Predictions(split, {label: np.stack(runs) if runs else nothing for label, runs in values.items()})
