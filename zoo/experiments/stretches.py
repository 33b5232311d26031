"""What all experiments on stretches of given sequences have in common: the stretch is edited in K ways, and measured.

Axes: N sequences, S stretches, K edits of each, M members, T targets.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from zoo.errors import ZooError
from zoo.experiments import effects
from zoo.experiments.effects import Measured, Moments
from zoo.experiments.files import EFFECTS, Arrays, Outputs, Table, write
from zoo.experiments.instances import Stretch
from zoo.experiments.measure import Progress, names
from zoo.prediction.model import Model
from zoo.spec import ALPHABET
from zoo.system import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLOCK = 256
"""Stretches that are edited together."""

LETTERS = np.frombuffer(f"{ALPHABET}N".encode(), np.uint8)

UNNAMED = "window"


class Found(NamedTuple):
    """Results of an experiment on stretches.

    table: a row for each stretch.  summary: a row for each motif, or each place of a window: means over stretches with
    their intervals.  effects: of each edit, float32 (S, K, T), of an ensemble means over its members.
    """

    table: Table
    summary: Table
    effects: np.ndarray

    def frame(self) -> Any:
        """The table of stretches as a pandas DataFrame."""
        import pandas

        return pandas.DataFrame(self.table.columns())


class Edits(Protocol):
    """How stretches are edited, and what is measured.

    edits: K, the number of edited sequences of each stretch.
    """

    @property
    def edits(self) -> int: ...

    def edited(self, codes: np.ndarray, one: Stretch) -> np.ndarray:
        """The sequence of a stretch, uint8 (L,) -> edited sequences, uint8 (K, L)."""

    def quantities(self, effects: np.ndarray) -> Mapping[str, np.ndarray]:
        """Effects of the edits, float32 (S, K, M, T) -> quantity -> samples of it, float (S, k, M, T), whose mean and
        interval are shown."""

    def plain(self, effects: np.ndarray) -> Mapping[str, np.ndarray]:
        """Effects of the edits, float32 (S, K, T) -> quantity -> numbers without an interval, float (S, T)."""

    def draw(self, summary: Table, unit: str) -> Figure:
        """The figure of the summary."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """The sequences of an experiment and their stretches.

    codes: base codes, uint8 (N, L).  names: those of the sequences.  by_place: whether the summary has a row for each
    place, as for windows, else for each motif.
    """

    codes: np.ndarray
    names: Sequence[str]
    stretches: Sequence[Stretch]
    by_place: bool = False

    def __post_init__(self) -> None:
        if not self.stretches:
            raise ZooError(
                f"found no site of the motifs in {len(self.codes):,} sequences; use other motifs or --p-value"
            )

    @property
    def keys(self) -> list[str | int]:
        """What the summary has a row for, of each stretch."""
        return [one.start + 1 if self.by_place else one.name for one in self.stretches]


def measure(
    model: Model,
    sample: Sample,
    edits: Edits,
    targets: list[int],
    keep: Callable[[np.ndarray], None],
    on_progress: Progress = lambda *_: None,
) -> tuple[Table, Table]:
    """Edit all stretches. keep: is given the effects of each block, float32 (S, K, T). Returns the table of stretches,
    and the summary."""
    model.settle()
    blocks: dict[str, list[Measured]] = {}
    plain: dict[str, list[np.ndarray]] = {}
    means: dict[str, list[np.ndarray]] = {}
    total = len(sample.stretches)
    for first in range(0, total, BLOCK):
        part = sample.stretches[first : first + BLOCK]
        changed = np.concatenate([edits.edited(sample.codes[one.row], one) for one in part])
        rows = np.repeat([one.row for one in part], edits.edits)
        numbers = effects.edited(model, sample.codes, changed, rows, targets)
        numbers = numbers.reshape(len(part), edits.edits, *numbers.shape[1:])
        for name, samples in edits.quantities(numbers).items():
            moments = Moments()
            moments.add(samples.swapaxes(0, 1))
            blocks.setdefault(name, []).append(moments.measured())
            means.setdefault(name, []).append(samples.mean(1, dtype=np.float64))
        over_members = numbers.mean(2, dtype=np.float64).astype(np.float32)
        for name, values in edits.plain(over_members).items():
            plain.setdefault(name, []).append(values)
        keep(over_members)
        on_progress(first + len(part), total)
    shown = names(model.spec, targets)
    before = model.predict_codes(sample.codes)[:, targets]
    measured: dict[str, Measured | np.ndarray] = {"": before[[one.row for one in sample.stretches]]}
    measured |= {name: joined(parts) for name, parts in blocks.items()}
    measured |= {name: np.concatenate(parts) for name, parts in plain.items()}
    return (
        Table(labels(sample), measured, shown, "replacements"),
        summary(sample, {name: np.concatenate(parts) for name, parts in means.items()}, shown),
    )


def labels(sample: Sample) -> dict[str, list[Any]]:
    """Columns that say which stretch a row is; positions are counted from 1."""
    found = sample.stretches
    columns: dict[str, list[Any]] = {"sequence": [sample.names[one.row] for one in found]}
    if not sample.by_place:
        columns["motif"] = [one.name for one in found]
    columns |= {"start": [one.start + 1 for one in found], "end": [one.end for one in found]}
    if not sample.by_place:
        columns["strand"] = [one.strand for one in found]
    bases = (LETTERS[sample.codes[one.row, one.start : one.end]].tobytes().decode() for one in found)
    return columns | {"site": list(bases)}


def summary(sample: Sample, means: Mapping[str, np.ndarray], targets: Sequence[str]) -> Table:
    """Means over the stretches of each motif or place, with their intervals. means: quantity -> that of each stretch,
    float64 (S, M, T)."""
    rows: dict[str | int, list[int]] = {}
    for number, key in enumerate(sample.keys):
        rows.setdefault(key, []).append(number)
    found = {}
    for name, values in means.items():
        parts = []
        for those in rows.values():
            moments = Moments()
            moments.add(values[those][:, None])
            parts.append(moments.measured())
        found[name] = joined(parts)
    counts = [len(those) for those in rows.values()]
    sequences = [len({sample.stretches[number].row for number in those}) for those in rows.values()]
    title = "start" if sample.by_place else "motif"
    return Table({title: list(rows), "sites": counts, "sequences": sequences}, found, targets, "sites")


def joined(parts: Sequence[Measured]) -> Measured:
    """Numbers of blocks of conditions as one."""
    mean, low, high, sd = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("mean", "low", "high", "sd")
    )
    spreads = [part.members_sd for part in parts if part.members_sd is not None]
    return Measured(mean, low, high, sd, np.concatenate(spreads) if spreads else None)


def found(model: Model, sample: Sample, edits: Edits, targets: list[int]) -> Found:
    """Do an experiment in memory."""
    parts: list[np.ndarray] = []
    table, about = measure(model, sample, edits, targets, parts.append)
    return Found(table, about, np.concatenate(parts))


def save(
    model: Model,
    sample: Sample,
    edits: Edits,
    targets: list[int],
    outputs: Outputs,
    options: Mapping[str, Any],
    on_progress: Progress = lambda *_: None,
) -> dict[str, Any]:
    """Do an experiment and write its folder, see files.py. Returns the description of the run."""
    shape = (len(sample.stretches), edits.edits, len(targets))
    with outputs.opened() as folder:
        with contextlib.closing(Arrays(folder / f"{outputs.name}.npz", {EFFECTS: shape})) as arrays:
            table, about = measure(model, sample, edits, targets, arrays.add, on_progress)
            arrays.finish(table.columns())
        figure = edits.draw(about, model.spec.unit)
        figures.write(figure, folder / f"{outputs.name}.{outputs.figure_format}")
        counts = {"records": len(sample.codes), "stretches": len(sample.stretches)}
        return write(outputs, folder, model, table, {"options": options, "counts": counts}, about)
