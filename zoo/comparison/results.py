"""What a comparison of models found, and its files: comparison.tsv, comparison.json and a figure.

Axes: T targets.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

import zoo
from zoo.evaluation import figures
from zoo.evaluation.intervals import PairedDifference
from zoo.evaluation.metrics import Interval
from zoo.formats import table_writer
from zoo.system.atomic import replacing
from zoo.training.run_folder import RunFolder

TABLE, NUMBERS, FIGURE = "comparison.tsv", "comparison.json", "comparison"
"""Files of a comparison; the figure has the suffix of its format."""

METRIC = "pearson"
"""The metric that has intervals and decides which model is best."""


@dataclasses.dataclass(frozen=True)
class TrainedOnce:
    """One training. epochs: done.  best_epoch: whose weights are kept, None without weights.  rate: training sequences
    per second, the median over epochs.  failure: why it ended early, empty if it did not."""

    seed: int
    folder: Path
    epochs: int | None
    best_epoch: int | None
    seconds: float | None
    rate: float | None
    failure: str = ""

    @property
    def note(self) -> str:
        """What its failure means for the comparison."""
        used = "it is left out" if self.best_epoch is None else f"it is compared as of epoch {self.best_epoch}"
        return f"seed {self.seed}: {self.failure}; {used}" if self.failure else ""


def trained_once(seed: int, folder: Path, failure: str = "") -> TrainedOnce:
    """The facts of a training in its run folder."""
    run = RunFolder(folder)
    receipts = run.read_receipts() if run.receipts.is_file() else {}
    rates = [row["sequences_per_second"] for row in run.read_metrics()]
    rates = [rate for rate in rates if rate is not None]
    return TrainedOnce(
        seed, folder, receipts.get("epochs"), receipts.get("best_epoch"), receipts.get("seconds"),
        median(rates) if rates else None, failure,
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class TargetScore:
    """A model on one target. pearson, mse: means over its trainings, None if not defined.

    difference: of Pearson r from the model that all are compared with, which itself has none.
    """

    pearson: Interval | None
    mse: float | None
    difference: PairedDifference | None = None


@dataclasses.dataclass(frozen=True)
class ComparedModel:
    """One model. parameters: number of trained weights.  settings: of its network and its training.

    scores: one for each target.  runtime, rate: the fastest runtime here and its predicted sequences per second.
    """

    label: str
    settings: dict[str, Any]
    parameters: int
    trainings: Sequence[TrainedOnce]
    scores: Sequence[TargetScore]
    runtime: str | None = None
    rate: float | None = None

    @property
    def pearson(self) -> float | None:
        """Mean Pearson r over targets and trainings; None if that of one target is not defined."""
        values = [one.pearson.value for one in self.scores if one.pearson is not None]
        return fmean(values) if len(values) == len(self.scores) else None

    @property
    def notes(self) -> list[str]:
        """Why a training failed, and why a score or a difference is not defined."""
        failed = [one.note for one in self.trainings if one.note]
        if all(one.best_epoch is None for one in self.trainings):
            return failed
        undefined = [one.difference.note for one in self.scores if one.difference is not None and one.difference.note]
        return list(dict.fromkeys([*failed, *undefined]))

    @property
    def is_worse(self) -> bool:
        """Whether it is clearly worse in some target than the model that all are compared with."""
        return any(one.difference is not None and one.difference.verdict == "worse" for one in self.scores)

    def mean(self, name: str) -> float | None:
        """A fact of TrainedOnce, averaged over the trainings that have it."""
        values = [value for one in self.trainings if (value := getattr(one, name)) is not None]
        return fmean(values) if values else None


@dataclasses.dataclass(frozen=True)
class ComparedModels:
    """A comparison. models: the one with the highest mean Pearson r first; those without scores last.

    against: label of the model that all others are compared with; None if no model has scores.
    data: source, sha256, side ("test" or "validation") and size of the split that the scores are of.
    """

    models: Sequence[ComparedModel]
    targets: tuple[str, ...]
    against: str | None
    data: dict[str, Any]
    folder: Path
    command: str = ""

    @property
    def failures(self) -> list[str]:
        """A line for each training that failed."""
        return [f"{model.label}, {one.note}" for model in self.models for one in model.trainings if one.note]

    @property
    def conclusion(self) -> str:
        """One line: the best model, and the fastest of those that are not clearly worse."""
        best = self.models[0]
        if self.against is None or best.pearson is None:
            return "no model has a score"
        others = [model for model in self.models[1:] if model.pearson is not None]
        if not others:
            return f"{best.label}: mean Pearson r {best.pearson:.3f}; no other model has a score"
        line = f"{best.label} has the highest mean Pearson r, {best.pearson:.3f}"
        if best.label != self.against:
            return line
        close = [model for model in others if not model.is_worse]
        if not close:
            return f"{line}; all others are clearly worse in a target"
        line += f"; not clearly worse in any target: {', '.join(model.label for model in close)}"
        timed = [model for model in (best, *close) if model.rate is not None]
        if timed:
            fast = max(timed, key=lambda model: model.rate or 0)
            line += f"; of these, {fast.label} predicts fastest ({fast.rate:,.0f} sequences/s)"
        return line

    def rows(self) -> list[dict[str, Any]]:
        """The rows of comparison.tsv: one for each model; absent values are omitted."""
        return [self._row(model) for model in self.models]

    def _row(self, model: ComparedModel) -> dict[str, Any]:
        row: dict[str, Any] = {"model": model.label}
        for target, score in zip(self.targets, model.scores, strict=True):
            found = score.difference
            row |= _interval(f"{METRIC}_{target}", score.pearson)
            row |= _interval(f"difference_{target}", found.interval if found else None)
            row |= {f"verdict_{target}": found and found.verdict, f"mse_{target}": score.mse}
        return {
            **row,
            "against": self.against,
            "trainings": sum(one.best_epoch is not None for one in model.trainings),
            "parameters": model.parameters,
            "epochs": model.mean("epochs"),
            "best_epoch": model.mean("best_epoch"),
            "training_seconds": model.mean("seconds"),
            "training_sequences_per_second": model.mean("rate"),
            "prediction_sequences_per_second": model.rate,
            "runtime": model.runtime,
            "note": "; ".join(model.notes),
        }

    def to_dict(self) -> dict[str, Any]:
        """The content of comparison.json: JSON types, undefined values are null."""
        rows = self.rows()
        models = [
            {
                **row,
                "settings": model.settings,
                "trainings": [{**dataclasses.asdict(one), "folder": str(one.folder)} for one in model.trainings],
            }
            for row, model in zip(rows, self.models, strict=True)
        ]
        head = {"version": zoo.__version__, "command": self.command, "data": self.data, "targets": list(self.targets)}
        return {**head, "against": self.against, "models": models}


def _interval(name: str, found: Interval | None) -> dict[str, float | None]:
    values = (None, None, None) if found is None else (found.value, found.low, found.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def write(found: ComparedModels, figure_format: str) -> list[str]:
    """Write the table, the numbers and the figure into the folder; names of the files."""
    rows = found.rows()
    table_writer.write_records(found.folder / TABLE, list(rows[0]), rows)
    with replacing(found.folder / NUMBERS, overwrite=True) as partial:
        partial.write_text(json.dumps(found.to_dict(), indent=2, allow_nan=False) + "\n", "utf-8")
    if found.against is None:
        return [TABLE, NUMBERS]
    path = found.folder / f"{FIGURE}.{figure_format}"
    differences = {
        model.label: [one.difference.interval if one.difference else None for one in model.scores]
        for model in found.models
        if model.label != found.against
    }
    costs = {
        "training seconds": {model.label: model.mean("seconds") for model in found.models},
        "predicted sequences per second": {model.label: model.rate for model in found.models},
    }
    scores = {model.label: [one.pearson for one in model.scores] for model in found.models}
    figures.comparison(scores, differences, found.against, found.targets, METRIC, path, costs)
    return [TABLE, NUMBERS, path.name]
