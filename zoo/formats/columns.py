"""Columns of a TSV, CSV or Parquet file: text as text, numbers as float64 with NaN where missing.

Strict: every line below the header is one row with as many fields as the header, or the table is refused; no row is
skipped, joined or filled up. What spreadsheets and other programs change is read where it has one meaning (semicolons,
decimal commas, quotes in tab-separated text, a header in other case), and a ZooWarning says so, with counts; else it is
refused. Parquet needs pyarrow, imported inside. A row is counted from 1 without the header, a line from 1 with it.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.dna.read_options import MISSING_WORDS
from zoo.errors import ZooError, ZooWarning, counted, nearest, require
from zoo.formats import kinds
from zoo.formats.names import CONTROL, listed, none_among, shown
from zoo.formats.text_input import STANDARD_INPUT, Digest, lines, title
from zoo.system.files import file_sha256

if TYPE_CHECKING:
    import pyarrow

SEPARATORS = {".tsv": "\t", ".txt": "\t", ".csv": ","}

SEPARATOR_NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons"}
"""Every separator -> how messages name it."""

PARQUET = (".parquet", ".pq")

SUFFIXES = (*SEPARATORS, *PARQUET)

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes that may follow the suffix of a format."""

MISSING = MISSING_WORDS | {"", ".", "-", "n/a", "#n/a", "#na", "<na>", "-nan"}
"""Cells that mean "no value" in a column of numbers, sequences or alleles, in upper or lower case; not in one of names.
See `is_missing`."""

COMMENT = re.compile(r"#([#\s]|$)")
"""Start of a line before the header that is a comment; #chrom is the name of a column."""

DECIMAL_COMMA = re.compile(r"\s*[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?\s*")

THOUSANDS = re.compile(r"\s*[+-]?[1-9][0-9]{0,2},[0-9]{3}\s*")
"""A number with a comma that may also separate its thousands."""

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

    path: a suffix in neither SEPARATORS nor PARQUET means tab-separated text; another separator is taken if only it
        gives all columns. Text may be compressed; "-" is standard input.
    other_names: names to try, in order, if the table has no column with exactly the name in `numbers`. After these, a
        name in other case, or with a # before it, counts if it is the only one.
    advice: column -> what to do if it is missing.
    may_be_missing: columns of text whose cells may be empty.
    A number may be missing (see MISSING). Other text may not, and is read literally: NA is a name.
    Raises ZooError if the file cannot be read or has no rows, if two columns have the same name, for missing columns
    (the message lists those that exist), and for the first line or value that is not valid. Gives a ZooWarning for what
    was not read literally.
    """
    where = title(str(path))
    names = {name: (name, *(other_names or {}).get(name, ())) for name in (*numbers, *text, *optional)}
    wanted = {name: names[name] for name in (*numbers, *text)}
    table = _opened(path, wanted.values())
    present = table.columns
    doubled = next((name for name in present if name and present.count(name) > 1), None)
    if doubled is not None:
        raise ZooError(f"{where}: has several columns named {shown(doubled)!r}; give each a different name")
    found = {name: column for name, known in names.items() if (column := _column(known, present)) is not None}
    missing = [name for name in wanted if name not in found]
    if missing:
        raise ZooError(_lacking(path, missing, present, advice or {}))
    texts = [*text, *(name for name in optional if name in found)]
    cells = table.read(list(dict.fromkeys(found[name] for name in (*numbers, *texts))))
    count = len(next(iter(cells.values()), ()))
    if not count:
        raise ZooError(f"{where}: expected rows below the header, found none")
    columns = tuple(found[name] for name in numbers)
    with_points, commas = _with_points({column: cells[column] for column in columns})
    parsed = [_numbers(with_points[column], f"{where}: column {shown(column)}") for column in columns]
    titles = {name: f"{where}: column {shown(found[name])}" for name in texts}
    words = {name: _words(cells[found[name]], titles[name], name in may_be_missing) for name in texts}
    changes = [*table.changes, *([f"decimal commas in {counted(commas, 'numbers')}"] if commas else [])]
    changes += [f"the column {shown(found[name])} for {name}" for name in found if found[name] not in names[name]]
    if changes:
        warnings.warn(ZooWarning(f"{where}: has {', '.join(changes)}; read accordingly"), stacklevel=2)
    return Table(words, np.stack(parsed, axis=1) if parsed else np.empty((count, 0)), columns)


def _column(names: Sequence[str], present: Sequence[str]) -> str | None:
    """The column with the first of these names, else the only one that differs from one of them in case or a #."""
    exact = next((name for name in names if name in present), None)
    near = [column for column in present if plain(column) in map(plain, names)]
    return exact or (near[0] if len(near) == 1 else None)


def plain(name: str) -> str:
    """A column's name as it is compared with another if none is the same: without case and without a # before it."""
    return name.strip(" ").removeprefix("#").lower()


def _lacking(path: Path, missing: Sequence[str], present: Sequence[str], advice: Mapping[str, str]) -> str:
    """Message for columns that a table lacks."""
    kind = kinds.of_file(path) if suffix(path) not in PARQUET else None
    names = ", ".join(repr(shown(name)) for name in missing)
    if kind is not None and not kind.is_table:
        return f"{title(str(path))}: expected a table with the column {names}, found {kind}"
    hints = list(dict.fromkeys(advice[name] for name in missing if name in advice))
    near = {name: other for name in missing if name not in advice and (other := nearest(name, present))}
    if near:
        hints.append(f"did you mean {', '.join(map(shown, near.values()))}? rename it to {', '.join(near)}")
    what_to_do = "".join(f"; {hint}" for hint in hints)
    return f"{title(str(path))}: has no column {names}; its columns are {listed(list(present))}{what_to_do}"


def names(path: Path) -> list[str]:
    """Names of all columns of a table. Raises ZooError as `read`, which checks the rows."""
    return list(_opened(path).columns)


def _opened(path: Path, wanted: Collection[Sequence[str]] = ()) -> _Text | _Parquet:
    """An open table. wanted: as for _Text. Raises ZooError if there is none."""
    if str(path) != STANDARD_INPUT and not path.is_file():
        raise ZooError(f"{path}: {'expected a table, this is a folder' if path.is_dir() else 'no such file'}")
    return _Parquet(path) if suffix(path) in PARQUET else _Text(path, wanted)


def digest_and_count(path: Path) -> tuple[str, int]:
    """sha256 (hex) of a table's file, and its number of rows, which are not checked, in one reading of the file."""
    if suffix(path) in PARQUET:
        return file_sha256(path), _Parquet(path).rows
    digest = hashlib.sha256()
    filled = sum(1 for _ in _content(path, digest))
    return digest.hexdigest(), max(0, filled - 1)


def _content(path: Path, digest: Digest | None = None) -> Iterator[tuple[int, str]]:
    """The header and the rows of a text, each with the number of its line. Raises ZooError without a header.

    Comments before the header are left out; empty lines are allowed at the end of the file.
    """
    empty = comments = content = 0
    for number, line in lines(path, digest=digest):
        if not line:
            empty = empty or number
        elif not content and COMMENT.match(line):
            comments += 1
        elif empty:
            raise ZooError(f"{title(str(path))}: line {empty}: expected a row, the line is empty")
        else:
            content += 1
            yield number, line
    if not content:
        found = none_among(comments, "comments")
        raise ZooError(f"{title(str(path))}: expected a table whose first line names the columns, {found}")


class _Text:
    """Tab-, comma- or semicolon-separated text: its columns, and then its rows, once.

    changes: what was not read literally, for the user.
    """

    def __init__(self, path: Path, wanted: Collection[Sequence[str]]) -> None:
        """wanted: names of each column, which decide on the separator."""
        self._where, self._unquoted = title(str(path)), 0
        self._lines = _content(path)
        header = next(self._lines)
        usual = self._usual = SEPARATORS.get(suffix(path), "\t")
        by_separator = {usual: self._fields(*header, usual)}
        for other in SEPARATOR_NAMES:
            with contextlib.suppress(ZooError):
                by_separator.setdefault(other, self._fields(*header, other))
        fitting = [one for one, present in by_separator.items() if all(_column(names, present) for names in wanted)]
        if len(fitting) != 1 and len(by_separator[usual]) == 1:
            fitting = [max(by_separator, key=lambda one: len(by_separator[one]))]
        self._separator = fitting[0] if len(fitting) == 1 else usual
        self.columns = by_separator[self._separator]

    def read(self, names: Sequence[str]) -> dict[str, Cells]:
        """Raises ZooError for a row with more or fewer fields than the header."""
        expected = len(self.columns)
        cells: dict[str, Cells] = {name: [] for name in names}
        places = [(self.columns.index(name), column) for name, column in cells.items()]
        self._unquoted = 0
        for line, content in self._lines:
            row = self._fields(line, content, self._separator)
            if len(row) != expected:
                commas = self._separator == "," and len(row) > expected
                hint = "; a decimal comma needs semicolons between the fields, or quotes" if commas else ""
                raise ZooError(
                    f"{self._where}: line {line}: expected {expected} fields like the header, got {len(row)}{hint}"
                )
            for place, column in places:
                column.append(row[place])
        return cells

    @property
    def changes(self) -> list[str]:
        said = []
        if self._separator != self._usual:
            said.append(f"{SEPARATOR_NAMES[self._separator]} between the fields")
        if self._unquoted:
            said.append(f"quotes around {counted(self._unquoted, 'fields')}")
        return said

    def _fields(self, number: int, line: str, separator: str) -> list[str]:
        """The fields of a line, without quotes around a whole field."""
        if separator == "\t":
            return line.split(separator) if '"' not in line else [self._bare(field) for field in line.split(separator)]
        try:
            # one line at a time: an unclosed quote must not swallow the following lines
            return next(csv.reader([line], delimiter=separator, strict=True), [])
        except csv.Error as error:
            wrong = "a quote is opened and not closed" if "end of data" in str(error) else str(error)
            between = SEPARATOR_NAMES[separator]
            raise ZooError(f"{self._where}: line {number}: expected fields between {between} ({wrong})") from None

    def _bare(self, field: str) -> str:
        inner = field[1:-1]
        if len(field) < 2 or not field[0] == field[-1] == '"' or '"' in inner.replace('""', ""):
            return field
        self._unquoted += 1
        return inner.replace('""', '"')


class _Parquet:
    """A Parquet file: its columns, and then its rows."""

    changes: Sequence[str] = ()

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
            raise ZooError(f"{where}, row {row}: expected a value, it is missing")
        if CONTROL.search(word):
            raise ZooError(f"{where}, row {row}: expected text without control characters, got {shown(word)!r}")
        words.append(word)
    return words


def _with_points(columns: dict[str, Cells]) -> tuple[dict[str, Cells], int]:
    """Columns of numbers, with points instead of decimal commas, and the number of those.

    Commas stay, and are refused, where they could separate thousands: if all of them look so, or if a number of the
    table has a point.
    """
    cells = [cell for column in columns.values() for cell in column if cell]
    commas = [cell for cell in cells if "," in cell]
    if not all(map(DECIMAL_COMMA.fullmatch, commas)) or all(map(THOUSANDS.fullmatch, commas)):
        return columns, 0
    if any("." in cell and not is_missing(cell) for cell in cells):
        return columns, 0
    return {name: [cell and cell.replace(",", ".") for cell in column] for name, column in columns.items()}, len(commas)


def _numbers(cells: Cells, where: str) -> np.ndarray:
    """Text -> float64 (N,). Raises ZooError for the first cell that is neither missing nor a float32 number."""
    parsed = np.fromiter(map(_number, cells), np.float64, len(cells))
    with np.errstate(over="ignore"):
        wrong = np.isinf(parsed.astype(np.float32))
    if wrong.any():
        row = int(np.argmax(wrong))
        expected = "a number or nothing" if np.isinf(parsed[row]) else "a number that float32 can hold"
        got = shown(cells[row] or "")
        hint = "; write decimals with a point, and nothing between thousands" if "," in got else ""
        raise ZooError(f"{where}, row {row + 1}: expected {expected}, got {got!r}{hint}")
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
