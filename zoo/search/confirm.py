"""Confirm a search: train its best trials and other models with several seeds, and compare them on the test split.

Nothing before this has read the test split. Needs PyTorch.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoo.comparison import contenders
from zoo.comparison.contenders import Contender, Step, Training
from zoo.data.dataset import Dataset
from zoo.errors import CheckFailed, ZooError
from zoo.evaluation.intervals import PairedDifference
from zoo.evaluation.metrics import METRICS, Interval
from zoo.formats import table_writer
from zoo.search import results
from zoo.search.search_options import SearchOptions
from zoo.search.space import Space
from zoo.search.study import Study
from zoo.search.trial import options_of
from zoo.training.config import TrainConfig
from zoo.training.run_folder import RunFolder

FOLDER, TABLE = "confirm", "confirm.tsv"

OPTION = "--against"
"""The option that names the models to compare with."""


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
    Raises ZooError as zoo.comparison.contenders.read does.
    """
    for name in names:
        if Path(name).resolve() == (study / results.BEST).resolve():
            raise ZooError(f"{OPTION} {name}: is the best trial of this study; a comparison needs another model")
    return contenders.read(names, space.protocol, OPTION)


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


def trainings(models: list[Contender], folder: Path, options: SearchOptions) -> list[Training]:
    """All trainings, seed by seed. The seed of the search is left out: the best trial was partly lucky with it."""
    seeds = range(options.seed + 1, options.seed + 1 + (options.confirm or 0))
    return contenders.trainings(models, folder / FOLDER, seeds)


def run(
    training: Training, source: Dataset, options: SearchOptions, command: str, send: Callable[[Step], None]
) -> None:
    """Train, or continue where it stopped; a training that diverges keeps its best weights so far, if it has any.
    send: receives progress."""
    reporter = contenders.following(training.folder.name, TrainConfig(**training.contender.settings).most_epochs, send)
    with contextlib.suppress(CheckFailed):
        contenders.train(training, source, options_of(options, training.folder, False), command, reporter)


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
    if source.test is None:
        raise RuntimeError("a confirmation needs a test split")
    metric = next((one.kind for one in study.objectives if one.kind in METRICS), METRICS[0])
    predicted = contenders.predictions(done, source.test)
    return [
        Confirmation(
            first.label, second.label, metric, target,
            min(len(predicted.values[one.label]) for one in (first, second)),
            predicted.score(first.label, number, metric), predicted.score(second.label, number, metric),
            predicted.difference(first.label, second.label, number, metric),
        )
        for number, target in enumerate(source.targets)
        for first in ours
        for second in others
    ]  # fmt: skip


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
    table_writer.write_records(folder / TABLE, names, table)
