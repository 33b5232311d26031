"""A trial: one training in a run folder of its own, on data that has no test split. Needs PyTorch and Optuna.

A trial that was cut off goes on in its run folder, bit for bit on a CPU; where the folder is damaged it begins anew.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from zoo.data.dataset import Dataset
from zoo.errors import CheckFailed, OutOfMemory, ZooError
from zoo.search import objective, results
from zoo.search.objective import COST, SPEED, Objective
from zoo.search.options import SearchOptions
from zoo.search.space import Space
from zoo.search.study import Drawn, Study
from zoo.training.config import TrainingOptions
from zoo.training.run import TrainingJob, run
from zoo.training.run_folder import RunFolder
from zoo.training.tracking import About
from zoo.training.trainer import Reporter
from zoo.weights import network

TRIALS = "trials"
"""Folder of the run folders, each called after the number of its trial."""

SPEED_SECONDS = 0.2
"""That each number of sequences a call is measured for."""


class Halted(Exception):  # noqa: N818
    """A trial that is hopeless before it goes on."""


@dataclasses.dataclass(frozen=True)
class Trainings:
    """What all trials of a process share. step: hears how much of a trial is done, 0 to 1.  command: for receipts."""

    folder: Path
    space: Space
    objectives: tuple[Objective, ...]
    options: SearchOptions
    source: Dataset
    step: Callable[[float], None] = lambda _: None
    command: str = ""

    def __call__(self, study: Study, drawn: Drawn) -> None:
        """Train a trial and tell the study what came out."""
        source, folder = self.source, self.folder_of(drawn.number)
        config = dataclasses.replace(
            self.space.config(drawn.point), sequence_length=source.sequence_length, targets=source.targets
        )
        cost = network.arithmetic(self.space.architecture, config)
        study.note(drawn, {COST: cost})
        watch = _Watch(self, study, drawn)
        try:
            row = train(partial(self._job, drawn, folder), folder, source, watch.reporter)
        except Halted:
            row = watch.best()
        except (CheckFailed, OutOfMemory) as error:
            study.note(drawn, _receipts(folder))
            study.tell(drawn, None, str(error))
            return
        study.note(drawn, _receipts(folder))
        values = [self._value(one, row, cost, folder) for one in self.objectives]
        known = [value for value in values if value is not None]
        if watch.hopeless:
            study.tell(drawn, known, pruned=True)
        elif len(known) < len(values):
            missing = self.objectives[values.index(None)]
            study.tell(drawn, None, f"{missing} is not defined for what it predicts")
        else:
            study.tell(drawn, known)

    def folder_of(self, number: int) -> Path:
        return self.folder / TRIALS / f"{number:04d}"

    def _job(self, drawn: Drawn, folder: Path, resume: bool) -> TrainingJob:
        plugin, options = self.space.plugin, self.options
        logged_as = getattr(plugin, "LOGGED_AS", {})
        sweep = self.space.sweep
        about = About(
            **({"project": sweep["project"]} if "project" in sweep else {}),
            group=sweep.get("name") or self.folder.name,
            config=drawn.point,
            logged=lambda row: objective.to_logged(row, logged_as),
        )
        where = TrainingOptions(
            output=folder, resume=resume, device=options.device, threads=options.threads, track=options.track
        )
        settings = self.space.train_config(drawn.point, options.seed)
        return TrainingJob(
            self.space.architecture, self.space.config(drawn.point), settings, where, self.command, about=about
        )

    def _value(self, one: Objective, row: Mapping[str, Any], cost: int, folder: Path) -> float | None:
        if one.column is not None:
            return row[one.column]
        if one.kind != SPEED:
            return float(cost)
        from zoo.checks import bench

        weights = RunFolder(folder).weights
        return bench.measure(None, str(weights), one.of, SPEED_SECONDS, self.options.threads).best


class _Watch:
    """Follows a training: tells the study each epoch's value, and stops a hopeless trial."""

    def __init__(self, trainings: Trainings, study: Study, drawn: Drawn) -> None:
        self._trainings, self._study, self._drawn = trainings, study, drawn
        self._epochs = trainings.space.train_config(drawn.point, 0).epochs
        self._done = 0
        self.hopeless = False

    def reporter(self, resumed: bool) -> Reporter:
        """Raises Halted where the trial was found hopeless before it was cut off, or should have been."""
        if resumed:
            for row in self._rows():
                self.hopeless = self._report(row)
            if self.hopeless:
                raise Halted
        return Reporter(step=self._step, enough=self._enough)

    def best(self) -> dict[str, Any]:
        """The row of the epoch whose weights are kept, of those in the run folder."""
        return min(self._rows(), key=lambda row: row["validation_loss"])

    def _step(self, done: int, total: int) -> None:
        self._trainings.step((self._done + done / total) / self._epochs)

    def _enough(self, row: Mapping[str, Any]) -> bool:
        self._done = row["epoch"]
        self.hopeless = self._report(row)
        return self.hopeless

    def _report(self, row: Mapping[str, Any]) -> bool:
        column = self._trainings.objectives[0].column
        if len(self._trainings.objectives) > 1 or column is None or row[column] is None:
            return False
        hopeless = self._study.report(self._drawn, row["epoch"], row[column])
        return hopeless and row["epoch"] < self._epochs

    def _rows(self) -> list[dict[str, Any]]:
        """metrics.csv of the run folder; none where it is not there yet."""
        path = RunFolder(self._trainings.folder_of(self._drawn.number)).metrics
        if not path.is_file():
            return []
        with path.open(newline="") as file:
            rows = [{name: float(text) if text else None for name, text in row.items()} for row in csv.DictReader(file)]
        return [{**row, "epoch": int(row["epoch"] or 0)} for row in rows]


def train(
    job: Callable[[bool], TrainingJob], folder: Path, source: Dataset, reporter: Callable[[bool], Reporter]
) -> dict[str, Any]:
    """The row of the best epoch of a training that may have begun in `folder`, see the head of this file.

    job, reporter: made for whether it is resumed.
    """
    folder.parent.mkdir(exist_ok=True)
    if folder.is_dir():
        try:
            return run(job(True), source, reporter(True))
        except (CheckFailed, OutOfMemory):
            raise
        except ZooError:  # its folder is damaged, or of a training under other conditions
            shutil.rmtree(folder)
    return run(job(False), source, reporter(False))


def without_test(dataset: Dataset) -> Dataset:
    """The data of a search: whoever has it cannot look at the test split."""
    return dataclasses.replace(dataset, test=None)


def drop_weights(study: Study, trainings: Trainings) -> None:
    """Remove the weights and checkpoints of all finished trials but the best that are to be kept."""
    if trainings.options.keep is None:
        return
    kept = {trial.number for trial in study.finished()[: trainings.options.keep]}
    for trial in study.trials():
        if trial.state.is_finished() and trial.number not in kept:
            folder = RunFolder(trainings.folder_of(trial.number))
            folder.weights.unlink(missing_ok=True)
            shutil.rmtree(folder.checkpoints, ignore_errors=True)


def _receipts(folder: Path) -> dict[str, Any]:
    """What run.json says of time and epochs."""
    try:
        receipts = json.loads(RunFolder(folder).receipts.read_text())
    except (OSError, ValueError):
        return {}
    return {name: receipts.get(name) for name in results.FACTS}
