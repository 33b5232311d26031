"""The output folder of an experiment, whose files appear together or not at all.

    NAME.tsv    a row for each condition: what it is, and for each target the measured numbers
    NAME.npz    effects: of each condition in each background, float32 (B, C, T); and the columns of the table
    NAME.png    the figure; or .svg or .pdf
    NAME.json   the command, the options, and all rows of the table

NAME is that of the command. Axes: B backgrounds, C conditions, T targets.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import require
from zoo.experiments.effects import Measured
from zoo.formats import table_writer
from zoo.formats.table_writer import Column
from zoo.prediction import description
from zoo.prediction.model import Model
from zoo.spec import SPREAD
from zoo.system import figures
from zoo.system.atomic import Inputs, check_folder_target, replacing_folder

EFFECTS = "effects"


@dataclasses.dataclass(frozen=True)
class Outputs:
    """name: of the experiment.  summary: of what NAME_SUMMARY.tsv has a row, or "" for no such table.
    figure_format: suffix of the figure.  inputs: files that are never replaced."""

    name: str
    folder: Path
    figure_format: str = "png"
    overwrite: bool = False
    inputs: Inputs = ()
    command: str = ""
    summary: str = ""

    @property
    def ours(self) -> tuple[str, ...]:
        """Files that a run writes; it replaces no others."""
        kinds = ("tsv", "npz", "json", *figures.WITHOUT_DATE)
        return (*(f"{self.name}.{kind}" for kind in kinds), f"{self.name}_*.tsv", f"{self.name}.bed")

    def listed(self) -> str:
        """The names of the files, for a person."""
        summary = f", {self.name}_{self.summary}.tsv" if self.summary else ""
        return f"{self.name}.tsv{summary}, {self.name}.{self.figure_format}, {self.name}.npz and {self.name}.json"

    def check(self) -> None:
        """Raise ZooError or MissingDependency, before any work, if the folder cannot be written."""
        require("matplotlib", "explain", "figures")
        require("scipy", "explain", "intervals")
        check_folder_target(self.folder, self.overwrite, self.ours, self.inputs)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Path]:
        """The folder to write into, which gets its name at the end."""
        with replacing_folder(self.folder, self.overwrite, self.ours, self.inputs) as partial:
            yield partial


class Columns(abc.ABC):
    """A table: columns of labels, then columns of numbers, float (C,). targets: names."""

    targets: Sequence[str]

    @abc.abstractmethod
    def columns(self) -> dict[str, Column | np.ndarray]:
        """All columns by name; an array has numbers, a list labels."""

    def frame(self) -> Any:
        """The table as a pandas DataFrame."""
        import pandas

        return pandas.DataFrame(self.columns())

    def rows(self) -> list[dict[str, Any]]:
        """The rows with the numbers of the text, for JSON."""
        columns = {
            name: [_plain(one) for one in column] if isinstance(column, np.ndarray) else list(column)
            for name, column in self.columns().items()
        }
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def write(self, path: Path) -> None:
        """Write tab-separated text."""
        columns = self.columns()
        numbers = {name: column for name, column in columns.items() if isinstance(column, np.ndarray)}
        first, *more = (list(column) for name, column in columns.items() if name not in numbers)
        values = np.stack([*numbers.values()], 1).astype(np.float32)
        text = table_writer.header([*numbers], labels=[name for name in columns if name not in numbers])
        path.write_bytes(text + table_writer.rows([*map(str, first)], values, more=more, missing=True))


@dataclasses.dataclass(frozen=True)
class Listed(Columns):
    """labels: name -> a column of C texts or whole numbers.  numbers: name -> float32 (C,).  targets: names."""

    labels: Mapping[str, Column]
    numbers: Mapping[str, np.ndarray]
    targets: Sequence[str]

    def columns(self) -> dict[str, Column | np.ndarray]:
        return {**self.labels, **self.numbers}


@dataclasses.dataclass(frozen=True)
class Table(Columns):
    """labels: name -> a column of C texts or numbers.  measured: name -> numbers of C conditions and T targets, with
    their intervals, or float (C, T) without.  targets: names.  over: what the means are over.  A number that does not
    exist is NaN, NA in the text."""

    labels: Mapping[str, Column]
    measured: Mapping[str, Measured | np.ndarray]
    targets: Sequence[str]
    over: str = "backgrounds"

    def columns(self) -> dict[str, Column | np.ndarray]:
        """All columns: the labels, then for each target and quantity the mean, its interval, and what says how it
        varies: the standard deviation over the backgrounds, and for an ensemble over its members; p and q of a test."""
        found: dict[str, Column | np.ndarray] = dict(self.labels)
        for number, target in enumerate(self.targets):
            for name, one in self.measured.items():
                start = f"{target}_{name}" if name else target
                if isinstance(one, np.ndarray):
                    found[start] = one[:, number]
                    continue
                found |= {
                    start: one.mean[:, number],
                    f"{start}_low": one.low[:, number],
                    f"{start}_high": one.high[:, number],
                    f"{start}_sd_{self.over}": one.sd[:, number],
                }
                if one.members_sd is not None:
                    found[f"{start}{SPREAD}"] = one.members_sd[:, number]
                if one.p is not None and one.q is not None:
                    found |= {f"{start}_p": one.p[:, number], f"{start}_q": one.q[:, number]}
        return found

    def interval(self, name: str) -> Measured:
        """A quantity that has an interval."""
        found = self.measured[name]
        assert isinstance(found, Measured)
        return found


def _plain(number: float) -> float | None:
    """A number as the text has it; None for NaN."""
    return None if np.isnan(number) else float(np.float32(number))


def write(
    outputs: Outputs,
    folder: Path,
    model: Model,
    table: Columns,
    about: Mapping[str, Any],
    summary: Columns | None = None,
) -> dict[str, Any]:
    """Write the tables and the description into an opened folder; returns the description.

    about: entries of the description: `options`, and `counts` with `records` first.  summary: a second table, see
    Outputs.summary.
    """
    table.write(folder / f"{outputs.name}.tsv")
    if summary is not None:
        summary.write(folder / f"{outputs.name}_{outputs.summary}.tsv")
    described = {
        "command": outputs.command,
        **description.of_run(model.runtime, model.provider, model.spec),
        "rc": model.rc,
        "targets": list(table.targets),
        "unit": model.spec.unit,
        **about,
    }
    rows = {"rows": table.rows()} | ({outputs.summary: summary.rows()} if summary is not None else {})
    written = json.dumps(described | rows, indent=2, allow_nan=False, default=str)  # paths
    (folder / f"{outputs.name}.json").write_text(written + "\n", "utf-8")
    return described


class Arrays:
    """The file NAME.npz: float32 arrays that are written row by row, and then whole ones.

    shapes: name -> shape of an array; its first axis has the rows.
    """

    def __init__(self, path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._archive = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)
        # an archive takes one entry at a time
        first, others = [*shapes][:1], [*shapes][1:]
        self._rows = {name: self._archive.open(_entry(name), "w", force_zip64=True) for name in first}
        self._rows |= {name: tempfile.TemporaryFile(dir=path.parent) for name in others}  # noqa: SIM115 - `close` does
        descr = np.lib.format.dtype_to_descr(np.dtype("<f4"))
        for name, shape in shapes.items():
            header = {"descr": descr, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(self._rows[name], header)

    def add(self, *rows: np.ndarray) -> None:
        """Add rows to each of the arrays."""
        for file, numbers in zip(self._rows.values(), rows, strict=True):
            file.write(np.ascontiguousarray(numbers, "<f4").tobytes())

    def finish(self, columns: Mapping[str, Column | np.ndarray]) -> None:
        """Add whole arrays, such as the columns of the table."""
        for number, (name, file) in enumerate(self._rows.items()):
            if not number:
                file.close()
                continue
            file.seek(0)
            with self._archive.open(_entry(name), "w", force_zip64=True) as entry:
                shutil.copyfileobj(file, entry)
        for name, column in columns.items():
            content = io.BytesIO()
            np.save(content, np.asarray(column), allow_pickle=False)
            self._archive.writestr(_entry(name), content.getvalue())

    def close(self) -> None:
        """Close the file."""
        for file in self._rows.values():
            file.close()
        self._archive.close()


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry without a time, so that the same numbers give the same bytes."""
    return zipfile.ZipInfo(f"{name}.npy")
