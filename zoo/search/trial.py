"""A trial: one training in a run folder of its own, on data without a test split. Needs PyTorch and Optuna.

An interrupted trial continues in its run folder, bit for bit on a CPU; if the folder is damaged it starts again.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zoo.comparison.contenders import Step, following
from zoo.data.dataset import Dataset
from zoo.errors import CheckFailed, OutOfMemory
from zoo.search import objective, results
from zoo.search.objective import COST, SPEED, Objective
from zoo.search.search_options import SearchOptions
from zoo.search.space import Space
from zoo.search.study import Drawn, Study
from zoo.training.config import TrainingOptions
from zoo.training.run import TrainingJob, resume_or_restart, run
from zoo.training.run_folder import RunFolder
from zoo.training.tracking import About
from zoo.weights import network

TRIALS = "trials"
"""Folder of the run folders, each named after the number of its trial."""

SPEED_SECONDS = 0.2
"""Seconds for which each batch size is timed."""


class Hopeless(Exception):  # noqa: N818
    """The pruner stopped a trial before it was resumed."""


@dataclasses.dataclass(frozen=True)
class Trainings:
    """Trains trials: all that the trials of a process share. step: receives progress.  command: for receipts."""

    folder: Path
    space: Space
    objectives: tuple[Objective, ...]
    options: SearchOptions
    source: Dataset
    step: Callable[[Step], None] = lambda _: None
    command: str = ""

    def __call__(self, study: Study, drawn: Drawn) -> None:
        """Train a trial and report the result to the study."""
        source, folder = self.source, self.folder_of(drawn.number)
        config = dataclasses.replace(
            self.space.config(drawn.point), sequence_length=source.sequence_length, targets=source.targets
        )
        cost = network.arithmetic(self.space.architecture, config)
        study.note(drawn, {COST: cost})
        epochs = self.space.train_config(drawn.point, 0).most_epochs
        pruned = False

        def prune(row: Mapping[str, Any]) -> bool:
            nonlocal pruned
            column = self.objectives[0].column
            value = row[column] if len(self.objectives) == 1 and column is not None else None
            pruned = value is not None and study.report(drawn, row["epoch"], value) and row["epoch"] < epochs
            return pruned

        def train(resume: bool) -> dict[str, Any]:
            if resume:
                for row in RunFolder(folder).read_metrics():
                    prune(row)
                if pruned:
                    raise Hopeless
            reporter = dataclasses.replace(following(f"trial {drawn.number}", epochs, self.step), enough=prune)
            return run(self._job(drawn, folder, resume), source, reporter)

        try:
            row = resume_or_restart(train, folder)
        except Hopeless:
            row = min(RunFolder(folder).read_metrics(), key=lambda row: row["validation_loss"])
        except (CheckFailed, OutOfMemory) as error:
            study.note(drawn, _receipts(folder))
            study.tell(drawn, None, str(error))
            return
        study.note(drawn, _receipts(folder))
        values = [self._value(one, row, cost, folder) for one in self.objectives]
        if None in values and not pruned:
            missing = self.objectives[values.index(None)]
            study.tell(drawn, None, f"{missing} is not defined for these predictions")
        else:
            study.tell(drawn, [value for value in values if value is not None], pruned=pruned)

    def folder_of(self, number: int) -> Path:
        return self.folder / TRIALS / f"{number:04d}"

    def _job(self, drawn: Drawn, folder: Path, resume: bool) -> TrainingJob:
        logged_as, sweep = getattr(self.space.plugin, "LOGGED_AS", {}), self.space.sweep
        about = About(
            **({"project": sweep["project"]} if "project" in sweep else {}),
            group=sweep.get("name") or self.folder.name,
            config=drawn.point,
            logged=lambda row: objective.to_logged(row, logged_as),
        )
        where, settings = (
            options_of(self.options, folder, resume),
            self.space.train_config(drawn.point, self.options.seed),
        )
        config = self.space.config(drawn.point)
        return TrainingJob(self.space.architecture, config, settings, where, self.command, about=about)

    def _value(self, one: Objective, row: Mapping[str, Any], cost: int, folder: Path) -> float | None:
        if one.column is not None:
            return row[one.column]
        if one.kind != SPEED:
            return float(cost)
        from zoo.checks import bench

        weights = RunFolder(folder).weights
        return bench.measure(None, str(weights), one.of, SPEED_SECONDS, self.options.threads).best

    def drop_weights(self, study: Study) -> None:
        """Remove weights and checkpoints of all finished trials but the `keep` best."""
        if self.options.keep is None:
            return
        kept = {trial.number for trial in study.finished()[: self.options.keep]}
        for trial in study.trials():
            if trial.state.is_finished() and trial.number not in kept:
                folder = RunFolder(self.folder_of(trial.number))
                folder.weights.unlink(missing_ok=True)
                shutil.rmtree(folder.checkpoints, ignore_errors=True)


def options_of(options: SearchOptions, folder: Path, resume: bool) -> TrainingOptions:
    """The options of a training of the search."""
    return TrainingOptions(
        output=folder, resume=resume, device=options.device, threads=options.threads, track=options.track
    )


def without_test(dataset: Dataset) -> Dataset:
    """The data of a search, which must not see the test split."""
    return dataclasses.replace(dataset, test=None)


def _receipts(folder: Path) -> dict[str, Any]:
    """Time and epochs from run.json; empty if it is missing or damaged."""
    try:
        receipts = json.loads(RunFolder(folder).receipts.read_text())
    except (OSError, ValueError):
        return {}
    return {name: receipts.get(name) for name in results.FACTS}
