"""Columns of a TSV, CSV or Parquet file: text as text, numbers as float64 with NaN where missing.

Strict: every line below the header is one row with as many fields as the header, or the table is refused; no row is
skipped, joined or filled up. Tab-separated text has no quotes. Parquet needs pyarrow, imported inside.
A row is counted from 1 without the header, a line from 1 with it.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import ZooError, nearest, require
from zoo.formats.names import CONTROL, listed, shown
from zoo.formats.text_input import lines
from zoo.system.files import file_sha256

if TYPE_CHECKING:
    import pyarrow

SEPARATORS = {".tsv": "\t", ".txt": "\t", ".csv": ","}

PARQUET = (".parquet", ".pq")

SUFFIXES = (*SEPARATORS, *PARQUET)

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes that may follow the suffix of a format."""

MISSING = frozenset(("", ".", "-", "na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "null", "none"))
"""Cells that mean "no value" in a column of numbers, sequences or alleles, in upper or lower case; not in one of names.
See `is_missing`."""

Cells = list[str | None]
"""A column as text; None where Parquet has no value."""


@dataclasses.dataclass(frozen=True)
class Table:
    """text: column -> N values.  columns: names of the T columns of numbers, as in the file.

    numbers: float64 (N, T), each in the range of float32, NaN where a value is missing.
    """

    text: dict[str, list[str]]
    numbers: np.ndarray
    columns: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.numbers)


def is_missing(cell: str) -> bool:
    """Whether a cell, or an allele, is a word for a missing value, in any case: empty, NA, nan, null, and others."""
    return cell.strip().lower() in MISSING


def suffix(path: Path) -> str:
    """The suffix of the format in lower case: ".tsv" for "a.tsv" and for "a.TSV.gz"."""
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
    advice: Mapping[str, str] | None = None,
    may_be_missing: Sequence[str] = (),
) -> Table:
    """Read the columns `numbers` and `text` of a table, and those text columns in `optional` that it has.

    path: a suffix in neither SEPARATORS nor PARQUET means tab-separated text. Text may be compressed.
    other_names: names to try, in order, if the table has no column with exactly the name in `numbers`.
    advice: column -> what to do if it is missing.
    may_be_missing: columns of text whose cells may be empty.
    A number may be missing (see MISSING). Other text may not, and is read literally: NA is a name.
    Raises ZooError if the file cannot be read or has no rows, if two columns have the same name, for missing columns
    (the message lists those that exist), and for the first line or value that is not valid.
    """
    if not path.is_file():
        raise ZooError(f"{path}: {'expected a table, this is a folder' if path.is_dir() else 'no such file'}")
    table = _Parquet(path) if suffix(path) in PARQUET else _Text(path)
    present = table.columns
    doubled = next((name for name in present if name and present.count(name) > 1), None)
    if doubled is not None:
        raise ZooError(f"{path}: has several columns named {shown(doubled)!r}; give each a different name")
    aliases = other_names or {}
    numbers = [next((alias for alias in (name, *aliases.get(name, ())) if alias in present), name) for name in numbers]
    missing = [name for name in (*numbers, *text) if name not in present]
    if missing:
        names = ", ".join(repr(shown(name)) for name in missing)
        hints = "".join(f"; {hint}" for hint in _hints(missing, present, advice or {}))
        raise ZooError(f"{path}: has no column {names}; its columns are {listed(present)}{hints}")
    texts = [*text, *(name for name in optional if name in present)]
    cells = table.read(list(dict.fromkeys((*numbers, *texts))))
    count = len(next(iter(cells.values()), ()))
    if not count:
        raise ZooError(f"{path}: expected rows below the header, found none")
    parsed = [_numbers(cells[name], f"{path}: column {shown(name)}") for name in numbers]
    return Table(
        {name: _words(cells[name], f"{path}: column {shown(name)}", name in may_be_missing) for name in texts},
        np.stack(parsed, axis=1) if parsed else np.empty((count, 0)),
        tuple(numbers),
    )


def digest_and_count(path: Path) -> tuple[str, int]:
    """sha256 (hex) of a table's file, and its number of rows, which are not checked, in one reading of the file."""
    if suffix(path) in PARQUET:
        return file_sha256(path), _Parquet(path).rows
    digest = hashlib.sha256()
    filled = sum(1 for _, line in lines(path, digest=digest) if line)
    return digest.hexdigest(), max(0, filled - 1)


def _hints(missing: Sequence[str], present: Sequence[str], advice: Mapping[str, str]) -> list[str]:
    """What to do about missing columns."""
    if any(f'"{name}"' in present for name in missing):
        return ["write the table without quotes"]
    hints = list(dict.fromkeys(advice[name] for name in missing if name in advice))
    near = {name: other for name in missing if name not in advice and (other := nearest(name, present))}
    if near:
        hints.append(f"did you mean {', '.join(map(shown, near.values()))}? rename it to {', '.join(near)}")
    return hints


class _Text:
    """Tab- or comma-separated text: its columns, and then its rows, once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._separator = SEPARATORS.get(suffix(path), "\t")
        self._rows = self._numbered_rows()
        _, self.columns = next(self._rows, (1, []))
        if not self.columns:
            raise ZooError(f"{path}: expected a table whose first line names the columns, the file is empty")

    def read(self, names: Sequence[str]) -> dict[str, Cells]:
        """Raises ZooError for a row with more or fewer fields than the header."""
        expected = len(self.columns)
        cells: dict[str, Cells] = {name: [] for name in names}
        places = [(self.columns.index(name), column) for name, column in cells.items()]
        for line, row in self._rows:
            if len(row) != expected:
                raise ZooError(f"{self._path}: line {line}: expected {expected} fields like the header, got {len(row)}")
            for place, column in places:
                column.append(row[place])
        return cells

    def _numbered_rows(self) -> Iterator[tuple[int, list[str]]]:
        """Number of each line, and its fields; empty lines are allowed at the end of the file."""
        empty = 0
        for number, line in lines(self._path):
            if not line:
                empty = empty or number
            elif empty:
                raise ZooError(f"{self._path}: line {empty}: expected a row, the line is empty")
            else:
                yield number, line.split("\t") if self._separator == "\t" else self._quoted(number, line)

    def _quoted(self, number: int, line: str) -> list[str]:
        try:
            # one line at a time: an unclosed quote must not swallow the following lines
            return next(csv.reader([line], strict=True), [])
        except csv.Error as error:
            wrong = "a quote is opened and not closed" if "end of data" in str(error) else str(error)
            raise ZooError(f"{self._path}: line {number}: expected comma-separated fields ({wrong})") from None


class _Parquet:
    """A Parquet file: its columns, and then its rows."""

    def __init__(self, path: Path) -> None:
        require("pyarrow", "train", f"{path}")
        import pyarrow.parquet

        self._path = path
        self._errors = (pyarrow.lib.ArrowException, OSError, ValueError, OverflowError)
        try:
            self._file = pyarrow.parquet.ParquetFile(path, page_checksum_verification=True)
            self.columns = list(self._file.schema_arrow.names)
            self.rows: int = self._file.metadata.num_rows
        except self._errors as error:
            raise self._damaged(error) from None

    def read(self, names: Sequence[str]) -> dict[str, Cells]:
        """Raises ZooError for columns that are damaged, or neither text nor numbers."""
        try:
            table = self._file.read(columns=names)
            table.validate(full=True)
            return {name: self._cells(table.column(name), name) for name in names}
        except self._errors as error:
            raise self._damaged(error) from None

    def _cells(self, column: pyarrow.ChunkedArray, name: str) -> Cells:
        import pyarrow.types as kinds

        kind = column.type.value_type if kinds.is_dictionary(column.type) else column.type
        known = (kinds.is_string, kinds.is_large_string, kinds.is_integer, kinds.is_floating, kinds.is_null)
        if not any(is_kind(kind) for is_kind in (*known, kinds.is_decimal, kinds.is_string_view)):
            raise ZooError(f"{self._path}: column {shown(name)}: expected numbers or text, got {shown(str(kind))}")
        # str of a float64 reads back to the same number; to_pylist makes float64 of float16 and float32, which is exact
        return [None if value is None else str(value) for value in column.to_pylist()]

    def _damaged(self, error: BaseException) -> ZooError:
        reason = " ".join(str(error).split())
        return ZooError(f"{self._path}: cannot be read as Parquet, the file may be damaged ({shown(reason)})")


def _words(cells: Cells, where: str, may_be_missing: bool) -> list[str]:
    words: list[str] = []
    for row, cell in enumerate(cells, 1):
        word = cell or ""
        if not word and not may_be_missing:
            raise ZooError(f"{where}, row {row}: expected text, the value is missing")
        if CONTROL.search(word):
            raise ZooError(f"{where}, row {row}: expected text without control characters, got {shown(word)!r}")
        words.append(word)
    return words


def _numbers(cells: Cells, where: str) -> np.ndarray:
    """Text -> float64 (N,). Raises ZooError for the first cell that is neither missing nor a float32 number."""
    parsed = np.fromiter(map(_number, cells), np.float64, len(cells))
    with np.errstate(over="ignore"):
        wrong = np.isinf(parsed.astype(np.float32))
    if wrong.any():
        row = int(np.argmax(wrong))
        expected = "a number or nothing" if np.isinf(parsed[row]) else "a number that float32 can hold"
        raise ZooError(f"{where}, row {row + 1}: expected {expected}, got {shown(cells[row] or '')!r}")
    return parsed


def _number(cell: str | None) -> float:
    """A number, NaN for a missing one, infinity for text that is not a number."""
    if cell is None or is_missing(cell):
        return np.nan
    try:
        # Python reads 1_000 and digits of other scripts as numbers, which no other program writes
        return float(cell) if "_" not in cell and cell.isascii() else np.inf
    except ValueError:
        return np.inf
