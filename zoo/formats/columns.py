"""Tables in: chosen columns of a TSV, CSV or Parquet file, text as text, numbers as float32 with NaN where missing.

Needs pandas (and pyarrow for Parquet), imported inside. A row is counted from 1, the header not counted.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from zoo.errors import MissingDependency, ZooError

if TYPE_CHECKING:
    import pandas

T = TypeVar("T")

SEPARATORS = {".tsv": "\t", ".txt": "\t", ".csv": ","}

PARQUET = (".parquet", ".pq")

SUFFIXES = (*SEPARATORS, *PARQUET)

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes that may follow another one and say nothing of what is inside."""


@dataclasses.dataclass(frozen=True)
class Table:
    """text: column -> N values.  numbers: float32 (N, T), NaN where a value is missing.  columns: T, of the numbers."""

    text: dict[str, list[str]]
    numbers: np.ndarray
    columns: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.numbers)


def suffix(path: Path) -> str:
    """The suffix that tells the kind of a file, lower case: ".tsv" for "a.tsv" as for "a.TSV.gz"."""
    suffixes = [part.lower() for part in path.suffixes[-2:]]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def read(
    path: Path,
    numbers: Sequence[str],
    text: Sequence[str] = (),
    optional: Sequence[str] = (),
    other_names: Mapping[str, Sequence[str]] | None = None,
) -> Table:
    """Columns `numbers` and `text` of a table, and those of the text columns `optional` that it has.

    other_names: of a column in `numbers`, taken in order where the table has none of exactly its name.
    A number may be missing (empty, NA, NaN); text may not. Raises ZooError if the file cannot be read or has no rows,
    for the first column that is missing, with those that exist, and for the first value that is not as it should be.
    """
    for library in ("pandas", "pyarrow") if suffix(path) in PARQUET else ("pandas",):
        if importlib.util.find_spec(library) is None:
            raise MissingDependency(
                f"{library} (tables) is not installed; pip install 'deepstarr-zoo[train]' brings it"
            )
    if not path.is_file():
        raise ZooError(f"{path}: {'expected a table, this is a folder' if path.is_dir() else 'no such file'}")
    present = _guarded(path, _column_names)
    other_names = other_names or {}
    numbers = [
        next((known for known in (name, *other_names.get(name, ())) if known in present), name) for name in numbers
    ]
    for name in (*numbers, *text):
        if name not in present:
            raise ZooError(f"{path}: has no column {name!r}; its columns are {', '.join(present)}")
    chosen_text = [*text, *(name for name in optional if name in present)]
    frame = _guarded(path, lambda path: _frame(path, [*numbers, *chosen_text], chosen_text))
    if not len(frame):
        raise ZooError(f"{path}: expected rows below the header, found none; the split is empty")
    return Table(
        {name: _text(frame[name], f"{path}: column {name}") for name in chosen_text},
        np.stack([_numbers(frame[name], f"{path}: column {name}") for name in numbers], axis=1)
        if numbers
        else np.empty((len(frame), 0), np.float32),
        tuple(numbers),
    )


def _guarded(path: Path, reader: Callable[[Path], T]) -> T:
    """reader(path), its errors turned into one line."""
    try:
        return reader(path)
    # the errors of the parsers of pandas and pyarrow are ValueErrors
    except (OSError, EOFError, ValueError, ImportError, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise ZooError(f"{path}: cannot be read as a {suffix(path)[1:]} table ({reason})") from None


def _column_names(path: Path) -> list[str]:
    import pandas

    if suffix(path) in PARQUET:
        import pyarrow.parquet

        return list(pyarrow.parquet.read_schema(path).names)
    return [str(name) for name in pandas.read_csv(path, sep=SEPARATORS[suffix(path)], nrows=0).columns]


def _frame(path: Path, columns: list[str], text: list[str]) -> pandas.DataFrame:
    import pandas

    if suffix(path) in PARQUET:
        return pandas.read_parquet(path, columns=columns)
    # all columns, though few are used: only then does pandas notice rows that have too many fields
    frame = pandas.read_csv(
        path,
        sep=SEPARATORS[suffix(path)],
        dtype=dict.fromkeys(text, str),
        # the same file has the same numbers whether it comes as text or as Parquet
        float_precision="round_trip",
        low_memory=False,
    )
    if not isinstance(frame.index, pandas.RangeIndex):
        raise ZooError(f"{path}: its rows have more fields than its header; give every column a name")
    return frame[columns]


def _text(column: pandas.Series, where: str) -> list[str]:
    missing = column.isna().to_numpy()
    if missing.any():
        raise ZooError(f"{where}, row {int(np.argmax(missing)) + 1}: expected text, the value is missing")
    return column.astype(str).tolist()


def _numbers(column: pandas.Series, where: str) -> np.ndarray:
    import pandas

    parsed = pandas.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    wrong = ~np.isfinite(parsed) & column.notna().to_numpy()
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ZooError(f"{where}, row {row + 1}: expected a number or nothing, got {str(column.iloc[row])!r}")
    return parsed.astype(np.float32)
