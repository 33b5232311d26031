"""Compare two tables of numbers for the same records: two conditions, two models, or measured and predicted values.

Rows are joined by the first of KEYS whose columns both tables have. Axes: N rows that both have, T targets.
"""

from __future__ import annotations

import dataclasses
import math
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from zoo.errors import ZooError, ZooWarning
from zoo.evaluation import figures as drawing
from zoo.evaluation import metrics
from zoo.evaluation.metrics import Score
from zoo.formats import columns, table_writer
from zoo.formats.columns import Table, is_missing
from zoo.formats.names import listed, shown
from zoo.formats.table_writer import Digested, Layout
from zoo.options import Bounds, check
from zoo.spec import MOST_SHOWN, UNIT
from zoo.system import figures
from zoo.system.atomic import check_target, replacing

KEYS = (("chrom", "pos", "ref", "alt"), ("chrom", "start", "end", "name", "strand"), ("name",), ("sequence",))
"""Columns that identify a row: of zoo variants, of zoo predict --bed, of zoo predict, and of a table of sequences."""

NUMBER = re.compile(r"\s*[-+]?([0-9]+[.,]?[0-9]*|[.,][0-9]+)([eE][-+]?[0-9]+)?\s*")
"""What a column of numbers begins with."""

MOST_NAMED = 8
"""Columns that a message lists."""


@dataclasses.dataclass(frozen=True)
class CompareOptions:
    """Which columns are compared, and what is shown."""

    targets: tuple[str, ...] = ()
    """Columns to compare; TARGET=COLUMN if B has another name for it; default all columns of numbers in both."""

    number: Annotated[int, Bounds(0, 1000)] = 10
    """Differences to print, the largest first."""

    unit: str = UNIT
    """Unit of the numbers, for the axes of the figure."""

    def __post_init__(self) -> None:
        check(self)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Names of each target's columns in the first and in the second table."""
        found = [(first, second or first) for first, _, second in (one.partition("=") for one in self.targets)]
        for name, _ in found:
            if not name or [first for first, _ in found].count(name) > 1:
                raise ZooError(f"targets: expected each column once, got {', '.join(self.targets)}")
        return found


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How the second table's values of a target differ from the first's.

    score: over the rows where both have a value.  slope: of the least squares line of the second on the first.
    mean: of second - first.  What is not defined, such as the slope of constant values, is None.
    """

    target: str
    score: Score
    slope: float | None
    mean: float | None

    @property
    def rms(self) -> float | None:
        """Root mean square of second - first."""
        return None if self.score.mse is None else math.sqrt(self.score.mse)

    def to_dict(self) -> dict[str, Any]:
        score = {name: getattr(self.score, name) for name in ("n", "pearson", "spearman")}
        return {"target": self.target, **score, "slope": self.slope, "mean_difference": self.mean, "rms": self.rms}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two tables, joined.

    key: names of the key's columns.  labels: those columns, N texts each, in the order of the first table.
    first, second: float64 (N, T), NaN where missing.  only_first, only_second: rows that the other table lacks.
    left_out: columns that both have and that are not numbers in both.
    """

    files: tuple[Path, Path]
    key: tuple[str, ...]
    labels: tuple[list[str], ...]
    targets: tuple[str, ...]
    first: np.ndarray
    second: np.ndarray
    only_first: int
    only_second: int
    left_out: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.first)

    @property
    def names(self) -> tuple[str, str]:
        """Short names of the two tables that differ: names of the files, with folders where these are the same."""
        first, second = (path.resolve().parts for path in self.files)
        count = next(n for n in range(1, len(first) + len(second)) if first[-n:] != second[-n:])
        return "/".join(first[-count:]), "/".join(second[-count:])

    @property
    def agreements(self) -> list[Agreement]:
        """One for each target."""
        return [_agreement(*one) for one in zip(self.targets, self.first.T, self.second.T, strict=True)]

    def largest(self, number: int) -> list[tuple[int, int]]:
        """Row and target of the largest differences, at most `number`, the largest first."""
        differences = np.abs(self.second - self.first)
        order = np.argsort(-np.where(np.isnan(differences), -1, differences), axis=None, kind="stable")[:number]
        found = [divmod(int(place), len(self.targets)) for place in order]
        return [place for place in found if differences[place] > 0]

    def order(self) -> np.ndarray:
        """Rows by their largest difference in any target, the largest first, int (N,). Rows without one are last."""
        differences = np.abs(self.second - self.first)
        largest = np.where(np.isnan(differences), -1, differences).max(axis=1)
        return np.argsort(-largest, kind="stable")

    def to_dict(self) -> dict[str, Any]:
        """JSON types, without the rows."""
        return {
            "files": list(map(str, self.files)),
            "key": list(self.key),
            "rows": len(self),
            "only_first": self.only_first,
            "only_second": self.only_second,
            "left_out": list(self.left_out),
            "targets": [one.to_dict() for one in self.agreements],
        }


def compare(first: Path, second: Path, options: CompareOptions | None = None) -> Comparison:
    """Read and join two tables: TSV, CSV or Parquet.

    Raises ZooError for one file given twice, for tables without a common key or column of numbers, for rows that have
    the same key, and for tables without a common row.
    """
    options = options or CompareOptions()
    files = (Path(first), Path(second))
    headers = [columns.names(path) for path in files]
    if files[0].samefile(files[1]):
        raise ZooError(f"{second}: this is the same file as {first}; expected two different tables")
    key = _key(files, headers)
    common = [name for name in headers[0] if name in headers[1] and columns.plain(name) not in key]
    numbers = [] if options.targets else _columns_of_numbers(files, common)
    pairs = options.pairs or [(name, name) for name in numbers]
    if not pairs:
        raise ZooError(
            f"{second}: has no column of numbers in common with {first}; these have {_listed(headers[0])} and "
            f"{_listed(headers[1])}; --targets A=B names two columns"
        )
    tables = [
        columns.read(path, [pair[number] for pair in pairs], key, may_be_missing=key)
        for number, path in enumerate(files)
    ]
    places = _joined(files, tables, key)
    return Comparison(
        files,
        key,
        tuple([tables[0].text[name][row] for row in places[0]] for name in key),
        tuple(target for target, _ in pairs),
        tables[0].numbers[places[0]],
        tables[1].numbers[places[1]],
        len(tables[0]) - len(places[0]),
        len(tables[1]) - len(places[1]),
        () if options.targets else tuple(name for name in common if (name, name) not in pairs),
    )


def _listed(names: Sequence[str]) -> str:
    return listed(list(names), MOST_NAMED)


def _key(files: Sequence[Path], headers: Sequence[Sequence[str]]) -> tuple[str, ...]:
    for key in KEYS:
        if all(set(key) <= set(map(columns.plain, header)) for header in headers):
            return key
    known = "; ".join(", ".join(key) for key in KEYS)
    raise ZooError(
        f"{files[1]}: has no key in common with {files[0]}; expected in both the columns {known}; found "
        f"{_listed(headers[0])} and {_listed(headers[1])}"
    )


def _columns_of_numbers(files: Sequence[Path], names: Sequence[str]) -> list[str]:
    """Those of some columns whose first value that is not missing is a number in both tables."""
    found = list(names)
    for path in files:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ZooWarning)  # the second reading gives them
            text = columns.read(path, (), found, may_be_missing=found).text if found else {}
        first = {name: next((cell for cell in cells if not is_missing(cell)), "") for name, cells in text.items()}
        found = [name for name in found if NUMBER.fullmatch(first[name])]
    return found


def _joined(files: Sequence[Path], tables: Sequence[Table], key: Sequence[str]) -> list[list[int]]:
    """Rows of the first and of the second table that have the same key, in the order of the first."""
    keys = [list(zip(*(table.text[name] for name in key), strict=True)) for table in tables]
    if keys[0] == keys[1]:  # row by row, even if keys repeat
        return [list(range(len(keys[0])))] * 2
    rows: list[dict[tuple[str, ...], int]] = []
    for path, its in zip(files, keys, strict=True):
        rows.append({})
        for row, one in enumerate(its):
            if one in rows[-1]:
                raise ZooError(
                    f"{path}: rows {rows[-1][one] + 1:,} and {row + 1:,} have the same {', '.join(key)} "
                    f"({shown(' '.join(one))}); rows that are joined by it need different ones"
                )
            rows[-1][one] = row
    shared = [one for one in keys[0] if one in rows[1]]
    if not shared:
        examples = " and ".join(repr(shown(" ".join(its[0]))) for its in keys)
        raise ZooError(f"{files[1]}: has no {', '.join(key)} in common with {files[0]}; they begin with {examples}")
    return [[its[one] for one in shared] for its in rows]


def _agreement(target: str, first: np.ndarray, second: np.ndarray) -> Agreement:
    there = ~np.isnan(first) & ~np.isnan(second)
    x, y = first[there], second[there]
    (score,) = metrics.score(x[:, None], y[:, None])
    slope = None if score.pearson is None else float(score.pearson * y.std() / x.std())
    return Agreement(target, score, slope, float((y - x).mean()) if len(x) else None)


def draw(found: Comparison, path: Path, unit: str = UNIT) -> None:
    """A scatter of the second table's values against the first's for each target, with r and the diagonal; for more
    than MOST_SHOWN targets the distribution of each metric."""
    if len(found.targets) > MOST_SHOWN:
        drawing.distributions({found.names[1]: [one.score for one in found.agreements]}, path)
        return
    first = np.where(np.isnan(found.second), np.nan, found.first)
    scores = {"": [one.score for one in found.agreements]}
    drawing.scatter(first, {"": found.second}, scores, found.targets, path, found.names, unit)


def check_outputs(output: Path | None, figure: Path | None, overwrite: bool, inputs: Sequence[Path]) -> None:
    """Raise ZooError if the table of differences or the figure cannot be written."""
    if figure is not None:
        figures.check_name(figure)
        check_target(figure, overwrite, inputs)
    if output is not None:
        check_target(output, overwrite, inputs)
        table_writer.check_name(output)


def save(found: Comparison, output: Path, overwrite: bool = False) -> None:
    """Write all joined rows, the largest difference first: the key, then A, B and their difference of each target."""
    order = found.order()
    numbers = [f"{kind}_{target}" for target in found.targets for kind in ("A", "B", "difference")]
    values = np.stack([found.first, found.second, found.second - found.first], axis=2)[order]
    layout = Layout(numbers, dict.fromkeys(found.key, str), missing=True)
    labels = [[column[row] for row in order.tolist()] for column in found.labels]
    with (
        replacing(output, overwrite, found.files) as partial,
        partial.open("wb") as content,
        table_writer.opened(output, Digested(content), layout) as table,
    ):
        table.write(labels, values.reshape(len(order), len(numbers)).astype(np.float32))
