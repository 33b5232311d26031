"""What all experiments with backgrounds have in common: they change each background in the same ways, and measure.

Axes: B backgrounds, C conditions (rows of the table), L positions, M members, T targets.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from zoo.experiments.backgrounds import Backgrounds, Block
from zoo.experiments.effects import Moments
from zoo.experiments.files import EFFECTS, Arrays, Outputs, Table, write
from zoo.formats.table_writer import Column
from zoo.prediction.model import Model
from zoo.spec import ModelSpec
from zoo.system import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Progress = Callable[[int, int], None]
"""Called with the number of backgrounds done, and of all."""

EFFECT, ACTIVITY = "effect", "activity"
"""Names of quantities: the difference to the background, and the prediction after the change."""


class Experiment(Protocol):
    """labels: columns that say what each of C conditions is.  targets: numbers of the T targets.  tested: the quantity
    whose p and q the table has, or None."""

    @property
    def tested(self) -> str | None: ...

    @property
    def labels(self) -> Mapping[str, Column]: ...

    @property
    def targets(self) -> list[int]: ...

    def effects(self, model: Model, block: Block) -> Mapping[str, np.ndarray]:
        """Quantity -> its numbers, float32 (B, C, M, T). The first is kept for each background."""

    def draw(self, table: Table, unit: str) -> Figure:
        """The figure of the results."""


class Found(NamedTuple):
    """Results of an experiment.

    table: a row for each condition.  effects: the first quantity in each background, float32 (B, C, T), of an ensemble
    the mean over its members.
    """

    table: Table
    effects: np.ndarray

    def frame(self) -> Any:
        """The table as a pandas DataFrame."""
        return self.table.frame()


def measure(
    model: Model,
    experiment: Experiment,
    backgrounds: Backgrounds,
    keep: Callable[[np.ndarray], None],
    on_progress: Progress = lambda *_: None,
) -> Table:
    """Do an experiment with all backgrounds. keep: is given the first quantity of each block, float32 (B, C, T)."""
    model.settle()  # the first blocks too are then computed in the way of all
    moments: dict[str, Moments] = {}
    done = 0
    for block in backgrounds:
        quantities = experiment.effects(model, block)
        for name, numbers in quantities.items():
            moments.setdefault(name, Moments()).add(numbers)
        keep(next(iter(quantities.values())).mean(2, dtype=np.float64).astype(np.float32))
        done += len(block.codes)
        on_progress(done, len(backgrounds))
    measured = {name: one.measured() for name, one in moments.items()}
    if experiment.tested is not None:
        measured[experiment.tested] = measured[experiment.tested].tested(len(backgrounds))
    return Table(experiment.labels, measured, names(model.spec, experiment.targets))


def found(model: Model, experiment: Experiment, backgrounds: Backgrounds) -> Found:
    """Do an experiment in memory."""
    parts: list[np.ndarray] = []
    table = measure(model, experiment, backgrounds, parts.append)
    return Found(table, np.concatenate(parts))


def save(
    model: Model,
    experiment: Experiment,
    backgrounds: Backgrounds,
    outputs: Outputs,
    options: Mapping[str, Any],
    on_progress: Progress = lambda *_: None,
) -> dict[str, Any]:
    """Do an experiment and write its folder, see files.py, in memory that does not grow with the backgrounds. Returns
    the description of the run."""
    conditions = len(next(iter(experiment.labels.values())))
    shape = (len(backgrounds), conditions, len(experiment.targets))
    with outputs.opened() as folder:
        with contextlib.closing(Arrays(folder / f"{outputs.name}.npz", {EFFECTS: shape})) as arrays:
            table = measure(model, experiment, backgrounds, arrays.add, on_progress)
            arrays.finish(table.columns())
        draw(experiment, table, folder / f"{outputs.name}.{outputs.figure_format}", model.spec.unit)
        counts = {"records": len(backgrounds), "conditions": conditions}
        return write(outputs, folder, model, table, {"options": options, "counts": counts})


def draw(experiment: Experiment, table: Table, path: Path, unit: str) -> None:
    """Write the figure in the format of the suffix."""
    figures.write(experiment.draw(table, unit), path)


def names(spec: ModelSpec, targets: list[int]) -> list[str]:
    """Names of targets by their numbers."""
    return [spec.targets[number] for number in targets]
