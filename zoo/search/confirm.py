"""Confirm a search: train its best trials and other models with several seeds, and compare them on the test split.

Nothing before this has read the test split. Needs PyTorch.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data import splits
from zoo.data.dataset import Dataset
from zoo.data.labelled import Split
from zoo.errors import CheckFailed, ZooError
from zoo.evaluation import intervals
from zoo.evaluation.intervals import PairedDifference
from zoo.evaluation.metrics import METRICS, Interval
from zoo.search import results
from zoo.search.search_options import SearchOptions
from zoo.search.space import Space
from zoo.search.study import Study
from zoo.search.trial import Step, following, options_of, resume_or_restart
from zoo.training import run as training_run
from zoo.training import scores
from zoo.training.config import TrainConfig, make, read_model
from zoo.training.run import TrainingJob
from zoo.training.run_folder import RunFolder
from zoo.weights import checkpoint, network

FOLDER, TABLE = "confirm", "confirm.tsv"

NO_WEIGHTS = "has no training that finished an epoch"
"""Why a contender is not compared."""


@dataclasses.dataclass(frozen=True)
class Contender:
    """One model of a confirmation. settings: those of its training; the seed is replaced."""

    label: str
    architecture: str
    config: Any
    settings: dict[str, Any]

    @property
    def trained_as(self) -> tuple[str, Any, dict[str, Any]]:
        """All but the label and the seed."""
        return self.architecture, self.config, {**self.settings, "seed": None}


@dataclasses.dataclass(frozen=True)
class Training:
    """One training of a confirmation, and its run folder."""

    contender: Contender
    seed: int
    folder: Path


@dataclasses.dataclass(frozen=True)
class Confirmation:
    """Two contenders compared in one metric of one target.

    first_score, second_score: means over trainings, with intervals.  trainings: number of trainings of each that left
    weights, of the one with fewer.
    """

    first: str
    second: str
    metric: str
    target: str
    trainings: int
    first_score: Interval | None
    second_score: Interval | None
    found: PairedDifference

    @property
    def words(self) -> str:
        """One line for a reader."""
        verb = {"better": "is better than", "worse": "is worse than"}.get(
            self.found.verdict, "shows no clear difference from"
        )
        line = f"{self.first} {verb} {self.second} in {self.metric}:{self.target} on the test split"
        interval = self.found.interval
        if interval is None:
            return f"{line}: {self.found.note}"
        return (
            f"{line}: {interval.value:+.4f} (95% interval {interval.low:+.4f} to {interval.high:+.4f}, "
            f"{self.trainings} trainings each)"
        )


def against(space: Space, names: tuple[str, ...], study: Path) -> list[Contender]:
    """The models to compare with: each with its own recipe, and the training settings that the space fixes.

    study: folder of the study, whose own best trial is none of them.
    Raises ZooError for an unknown model, for two models with one name, and as `check_different` does.
    """
    found: list[Contender] = []
    for name in names:
        if Path(name).resolve() == (study / results.BEST).resolve():
            raise ZooError(f"--against {name}: is the best trial of this study; a comparison needs another model")
        architecture, config, own = read_model(name)
        settings = make(TrainConfig, {**own, **space.protocol}, name)
        found.append(Contender(Path(name).stem, architecture, config, settings.to_dict()))
        if Path(name).stem in {one.label for one in found[:-1]}:
            raise ZooError(f"--against: expected different names, got {Path(name).stem!r} twice")
    check_different(found)
    return found


def check_different(contenders: Sequence[Contender]) -> None:
    """Raise ZooError if two have the same network and the same training, apart from its seed."""
    for number, one in enumerate(contenders):
        for other in contenders[:number]:
            if one.trained_as == other.trained_as:
                raise ZooError(
                    f"--against: {one.label} and {other.label} are the same network, trained in the same way; a "
                    "comparison needs different models"
                )


def best(study: Study) -> list[Contender]:
    """The best trials of a study."""
    space = study.space
    return [
        Contender(
            f"trial {one.number}", space.architecture, space.config(one.params),
            space.train_config(one.params, 0).to_dict(),
        )
        for one in study.finished()[: study.options.best]
    ]  # fmt: skip


def trainings(contenders: list[Contender], folder: Path, options: SearchOptions) -> list[Training]:
    """All trainings, seed by seed. The seed of the search is left out: the best trial was partly lucky with it."""
    seeds = range(options.seed + 1, options.seed + 1 + (options.confirm or 0))
    return [
        Training(one, seed, folder / FOLDER / f"{one.label.replace(' ', '-')}-seed-{seed}")
        for seed in seeds
        for one in contenders
    ]


def run(
    training: Training, source: Dataset, options: SearchOptions, command: str, send: Callable[[Step], None]
) -> None:
    """Train, or continue where it stopped; a training that diverges keeps its best weights so far, if it has any.
    send: receives progress."""
    contender = training.contender
    settings = TrainConfig(**{**contender.settings, "seed": training.seed})

    def train(resume: bool) -> dict[str, Any]:
        where = options_of(options, training.folder, resume)
        job = TrainingJob(contender.architecture, contender.config, settings, where, command)
        return training_run.run(job, source, following(training.folder.name, settings.epochs, send))

    with contextlib.suppress(CheckFailed):
        resume_or_restart(train, training.folder)


def diverged(done: list[Training]) -> list[str]:
    """A line for each training that did not end because it diverged."""
    lines = []
    for one in done:
        receipts = RunFolder(one.folder).read_receipts()
        if receipts["status"] == "failed":
            used = (
                "it is left out" if receipts["best_epoch"] is None else f"compared as of epoch {receipts['best_epoch']}"
            )
            lines.append(f"{one.folder.name}: its training diverged; {used}")
    return lines


def compare(
    study: Study, source: Dataset, done: list[Training], ours: list[Contender], others: list[Contender]
) -> list[Confirmation]:
    """Compare each of ours with each of the others, in the metric of the search, for every target."""
    test = source.test
    if test is None:
        raise RuntimeError("a confirmation needs a test split")
    metric = next((one.kind for one in study.objectives if one.kind in METRICS), METRICS[0])
    predicted = {one.label: _predictions(done, one, test) for one in [*ours, *others]}
    groups = np.unique(splits.keys(test.codes), return_inverse=True)[1]
    found = []
    for number, target in enumerate(source.targets):
        labels = test.targets[:, number]

        def score(label: str, labels: np.ndarray = labels, number: int = number) -> Interval | None:
            runs = predicted[label][:, :, number]
            return intervals.mean_score(labels, runs, metric, groups=groups) if len(runs) else None

        for first in ours:
            for second in others:
                a, b = (predicted[one.label][:, :, number] for one in (first, second))
                if len(a) and len(b):
                    difference = intervals.paired_difference(labels, a, b, metric, groups=groups)
                else:
                    which = (second if len(a) else first).label
                    difference = PairedDifference(None, None, None, "no clear difference", f"{which} {NO_WEIGHTS}")
                found.append(
                    Confirmation(
                        first.label, second.label, metric, target, min(len(a), len(b)),
                        score(first.label), score(second.label), difference,
                    )
                )  # fmt: skip
    return found


def write(folder: Path, comparisons: list[Confirmation]) -> None:
    """Write confirm.tsv."""
    table: list[dict[str, Any]] = []
    for one in comparisons:
        row: dict[str, Any] = {"first": one.first, "second": one.second, "metric": one.metric, "target": one.target}
        sides = {"first": one.first_score, "second": one.second_score, "difference": one.found.interval}
        for name, interval in sides.items():
            if interval is not None:
                parts = (interval.value, interval.low, interval.high)
                row |= dict(zip((f"{name}_value", f"{name}_low", f"{name}_high"), parts, strict=True))
        table.append({**row, "trainings": one.trainings, "verdict": one.found.verdict, "note": one.found.note})
    numbers = [f"{side}_{part}" for side in ("first", "second", "difference") for part in ("value", "low", "high")]
    names = ["first", "second", "metric", "target", "trainings", *numbers, "verdict", "note"]
    results.write_table(folder / TABLE, names, table)


def _predictions(done: list[Training], contender: Contender, test: Split) -> np.ndarray:
    """Predictions on the test split after each training of a contender that left weights, float32 (runs, N, T)."""
    import torch

    found = []
    for training in done:
        weights = RunFolder(training.folder).weights
        if training.contender.label == contender.label and weights.is_file():
            module = network.from_checkpoint(checkpoint.load(weights))
            found.append(scores.predict(module, test.codes, torch.device("cpu")))
    return np.stack(found) if found else np.empty((0, *test.targets.shape), np.float32)
