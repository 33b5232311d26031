"""Tables in: chosen columns of a TSV, CSV or Parquet file, text as text, numbers as float64 with NaN where missing.

Strict: every line below the header is one row of as many fields, or the table is refused; none is skipped, joined with
another or filled up. Tab-separated text has no quotes. Parquet needs pyarrow, imported inside.
A row is counted from 1, the header not counted; a line is counted from 1, the header included.
"""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import MissingDependency, ZooError, nearest
from zoo.formats import compressed
from zoo.formats.names import CONTROL, listed, shown

if TYPE_CHECKING:
    import pyarrow

SEPARATORS = {".tsv": "\t", ".txt": "\t", ".csv": ","}

PARQUET = (".parquet", ".pq")

SUFFIXES = (*SEPARATORS, *PARQUET)

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes that may follow another one and say nothing of what is inside."""

MISSING = frozenset(("", "na", "n/a", "#n/a", "<na>", "nan", "null", "none"))
"""What stands in a column of numbers for none, in any case."""

BLOCK_BYTES = 1 << 20
"""Text read at once."""

LINE_BYTES = 16 << 20
"""A line of a table may have."""

Cells = list[str | None]
"""A column as text; None where Parquet has no value."""


@dataclasses.dataclass(frozen=True)
class Table:
    """text: column -> N values.  columns: T, of the numbers.

    numbers: float64 (N, T), each in the range of float32, NaN where a value is missing.
    """

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
    advice: Mapping[str, str] | None = None,
) -> Table:
    """Columns `numbers` and `text` of a table, and those of the text columns `optional` that it has.

    path: of any suffix; one that is in neither SEPARATORS nor PARQUET is read as tab-separated text. Text may be
    compressed, known by its content.
    other_names: of a column in `numbers`, taken in order where the table has none of exactly its name.
    advice: column -> what to do where the table has no such column.
    A number may be missing (see MISSING); text may not, and is taken as it stands: NA is a name.
    Raises ZooError if the file cannot be read or has no rows, if two columns have one name, for columns that are
    missing, with those that exist, and for the first line or value that is not as it should be.
    """
    if not path.is_file():
        raise ZooError(f"{path}: {'expected a table, this is a folder' if path.is_dir() else 'no such file'}")
    found = _Parquet(path) if suffix(path) in PARQUET else _Text(path)
    present = found.columns
    doubled = next((name for name in present if name and present.count(name) > 1), None)
    if doubled is not None:
        raise ZooError(f"{path}: has several columns called {shown(doubled)!r}; give each a name of its own")
    other_names = other_names or {}
    numbers = [
        next((known for known in (name, *other_names.get(name, ())) if known in present), name) for name in numbers
    ]
    missing = [name for name in (*numbers, *text) if name not in present]
    if missing:
        names = ", ".join(repr(shown(name)) for name in missing)
        told = "".join(f"; {one}" for one in _advice(missing, present, advice or {}))
        raise ZooError(f"{path}: has no column {names}; its columns are {listed(present)}{told}")
    chosen_text = [*text, *(name for name in optional if name in present)]
    cells = found.read(dict.fromkeys((*numbers, *chosen_text)))
    count = len(next(iter(cells.values()), ()))
    if not count:
        raise ZooError(f"{path}: expected rows below the header, found none")
    parsed = [_numbers(cells[name], f"{path}: column {shown(name)}") for name in numbers]
    return Table(
        {name: _words(cells[name], f"{path}: column {shown(name)}") for name in chosen_text},
        np.stack(parsed, axis=1) if parsed else np.empty((count, 0)),
        tuple(numbers),
    )


def _advice(missing: Sequence[str], present: Sequence[str], advice: Mapping[str, str]) -> list[str]:
    """What to do about columns that a table has not."""
    if any(f'"{name}"' in present for name in missing):
        return ["write the table without quotes"]
    given = list(dict.fromkeys(advice[name] for name in missing if name in advice))
    near = {name: other for name in missing if name not in advice and (other := nearest(name, present))}
    if near:
        given.append(f"did you mean {', '.join(map(shown, near.values()))}? call it {', '.join(near)}")
    return given


class _Text:
    """Tab- or comma-separated text: its columns, and then its rows, once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._separator = SEPARATORS.get(suffix(path), "\t")
        self._rows = self._numbered_rows()
        _, self.columns = next(self._rows, (1, []))
        if not self.columns:
            raise ZooError(f"{path}: expected a table whose first line names the columns, the file is empty")

    def read(self, chosen: Mapping[str, None]) -> dict[str, Cells]:
        """The chosen columns. Raises ZooError for a row that has more or fewer fields than the header."""
        expected = len(self.columns)
        places = [(self.columns.index(name), column) for name in chosen for column in [Cells()]]
        for line, row in self._rows:
            if len(row) != expected:
                raise ZooError(
                    f"{self._path}: line {line}: expected {expected} fields as the header has, got {len(row)}"
                )
            for place, column in places:
                column.append(row[place])
        return dict(zip(chosen, (column for _, column in places), strict=True))

    def _numbered_rows(self) -> Iterator[tuple[int, list[str]]]:
        """Number of the line, from 1, and its fields; empty lines at the end of the file are none."""
        number = 0
        empty = 0
        for lines in self._lines():
            rows = self._split(lines, number)
            for line, row in zip(lines, rows, strict=True):
                number += 1
                if not line:
                    empty = empty or number
                    continue
                if empty:
                    raise ZooError(f"{self._path}: line {empty}: expected a row, the line is empty")
                yield number, row

    def _split(self, lines: list[str], before: int) -> Iterator[list[str]]:
        """The fields of each line; `before`: lines before these."""
        if self._separator == "\t":
            yield from (line.split("\t") for line in lines)
            return
        for number, line in enumerate(lines, before + 1):
            try:
                # one line at a time: a quote that is not closed must not swallow those that follow
                yield next(csv.reader([line], strict=True), [])
            except csv.Error as error:
                wrong = "a quote is opened and not closed" if "end of data" in str(error) else str(error)
                raise ZooError(f"{self._path}: line {number}: expected comma-separated fields ({wrong})") from None

    def _lines(self) -> Iterator[list[str]]:
        """Lines without their ends, some at a time."""
        rest = b""
        first = True
        with compressed.opened(str(self._path)) as source:
            while piece := source.read(BLOCK_BYTES):
                rest += piece
                if first and b"\n" not in rest and b"\r" in rest[:-1]:
                    raise ZooError(
                        f"{self._path}: its lines end in carriage returns alone; convert it with tr '\\r' '\\n'"
                    )
                end = rest.rfind(b"\n") + 1
                if end:
                    yield _decoded(rest[:end])
                    first = False
                    rest = rest[end:]
                if len(rest) > LINE_BYTES:
                    raise ZooError(f"{self._path}: expected lines of at most {LINE_BYTES:,} bytes, got a longer one")
            if rest:
                yield _decoded(rest + b"\n")


def _decoded(text: bytes) -> list[str]:
    """Whole lines -> those lines without their ends. Bytes that are not UTF-8 survive as surrogate escapes."""
    return text.replace(b"\r\n", b"\n").decode("utf-8", "surrogateescape").split("\n")[:-1]


class _Parquet:
    """A Parquet file: its columns, and then its rows."""

    def __init__(self, path: Path) -> None:
        if importlib.util.find_spec("pyarrow") is None:
            raise MissingDependency("pyarrow (Parquet) is not installed; pip install 'deepstarr-zoo[train]' brings it")
        import pyarrow.parquet

        self._path = path
        self._errors = (pyarrow.lib.ArrowException, OSError, ValueError, OverflowError)
        try:
            self._file = pyarrow.parquet.ParquetFile(path, page_checksum_verification=True)
            self.columns = list(self._file.schema_arrow.names)
        except self._errors as error:
            raise self._refused(error) from None

    def read(self, chosen: Mapping[str, None]) -> dict[str, Cells]:
        """The chosen columns as text. Raises ZooError if they are damaged, or are neither text nor numbers."""
        try:
            table = self._file.read(columns=list(chosen))
            table.validate(full=True)
            return {name: self._cells(table.column(name), name) for name in chosen}
        except self._errors as error:
            raise self._refused(error) from None

    def _cells(self, column: pyarrow.ChunkedArray, name: str) -> Cells:
        import pyarrow.types as kinds

        kind = column.type.value_type if kinds.is_dictionary(column.type) else column.type
        known = (kinds.is_string, kinds.is_large_string, kinds.is_integer, kinds.is_floating, kinds.is_null)
        if not any(is_kind(kind) for is_kind in (*known, kinds.is_decimal, kinds.is_string_view)):
            raise ZooError(f"{self._path}: column {shown(name)}: expected numbers or text, got {shown(str(kind))}")
        # repr of a float64 reads back to the same; float16 and float32 are float64 as they stand
        return [
            None if value is None else value if isinstance(value, str) else str(value) for value in column.to_pylist()
        ]

    def _refused(self, error: BaseException) -> ZooError:
        reason = " ".join(str(error).split())
        return ZooError(f"{self._path}: cannot be read as Parquet, damaged on the way? ({shown(reason)})")


def _words(cells: Cells, where: str) -> list[str]:
    words: list[str] = []
    for row, word in enumerate(cells, 1):
        if not word:
            raise ZooError(f"{where}, row {row}: expected text, the value is missing")
        if CONTROL.search(word):
            raise ZooError(f"{where}, row {row}: expected text without control characters, got {shown(word)!r}")
        words.append(word)
    return words


def _numbers(cells: Cells, where: str) -> np.ndarray:
    """Text -> float64 (N,). Raises ZooError for the first that is neither missing nor a number of float32's range."""
    try:
        parsed = np.fromiter(map(_number, cells), np.float64, len(cells))
    except ValueError:
        parsed = np.fromiter((_number_or_infinity(cell) for cell in cells), np.float64, len(cells))
    with np.errstate(over="ignore"):
        wrong = np.isinf(parsed.astype(np.float32))
    if wrong.any():
        row = int(np.argmax(wrong))
        expected = "a number or nothing" if np.isinf(parsed[row]) else "a number that float32 can hold"
        raise ZooError(f"{where}, row {row + 1}: expected {expected}, got {shown(cells[row] or '')!r}")
    return parsed


def _number(cell: str | None) -> float:
    """Raises ValueError for what is neither missing nor a number."""
    if cell is None or cell.strip().lower() in MISSING:
        return np.nan
    # Python takes 1_000 and digits of other scripts, which no other program writes for a number
    if "_" in cell or not cell.isascii():
        raise ValueError
    return float(cell)


def _number_or_infinity(cell: str | None) -> float:
    try:
        return _number(cell)
    except ValueError:
        return np.inf
