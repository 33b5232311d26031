"""Tables of numbers, written in the format that the suffix of a name says: text, compressed text or Parquet.

Rows are written as they come, so memory does not grow with the table, and nothing is written before the first rows.
Numbers have the fewest digits that give the same float32 back. Parquet has float32 columns; it needs pyarrow, which is
imported inside.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

import numpy as np

from zoo.errors import CheckFailed, ZooError, require
from zoo.formats.columns import COMPRESSIONS, PARQUET, SEPARATORS, suffix
from zoo.formats.names import CONTROL, shown
from zoo.system.atomic import replacing

if TYPE_CHECKING:
    import pyarrow

TAB = "\t"

NAME = ("name",)
"""The label columns of a table of predictions."""

NOT_AVAILABLE = "NA"
"""A missing number in text."""

ROW_GROUP = 1 << 17
"""Rows that a Parquet file keeps together; a reader takes that many at once."""

COMPRESSION_LEVELS = {"gz": 1, "zst": 3, "bz2": 9, "xz": 1}
"""Format -> level: the fastest that saves nearly as much, since float digits hardly shrink further."""


Column = Sequence[Any]
"""N texts or whole numbers."""


class Table(Protocol):
    """An open table."""

    def write(self, labels: Sequence[Column], values: np.ndarray, after: Sequence[Column] = ()) -> None:
        """Add N rows: label columns, float32 (N, T), and the columns after it.

        Raises ZooError for a text that the table cannot hold, CheckFailed for a value that is not finite, unless the
        layout allows missing numbers.
        """

    def end_group(self) -> None:
        """End the row group, in formats that have them."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """The columns of a table: labels, numbers, and those after the numbers. A label is text or a whole number.

    missing: a number may be missing: NA in text, null in Parquet.
    decimals: decimals of a number in text; None writes all its digits.
    """

    numbers: Sequence[str]
    labels: Mapping[str, type] = dataclasses.field(default_factory=lambda: dict.fromkeys(NAME, str))
    after: Mapping[str, type] = dataclasses.field(default_factory=dict)
    missing: bool = False
    decimals: int | None = None


def check_name(output: Path) -> None:
    """Raise ZooError for a suffix that is not a table's, MissingDependency for Parquet without pyarrow."""
    _format(output)


@contextlib.contextmanager
def opened(output: Path | None, file: Digested, layout: Layout) -> Iterator[Table]:
    """A table in `file`, in the format of the name `output`; None, standard output, is tab-separated text.

    The table is completed when the block ends without an error; `file` stays open.
    """
    separator, compression = _format(output)
    with contextlib.ExitStack() as stack:
        if separator is None:
            from pyarrow import parquet

            schema = _schema(layout)
            writer = stack.enter_context(parquet.ParquetWriter(cast(BinaryIO, file), schema))
            table = _Parquet(writer, schema, layout.missing)
            yield table
            table.end_group()
            return
        content: Any = file
        if compression:
            from xopen import xopen

            level = COMPRESSION_LEVELS[compression]
            content = stack.enter_context(
                xopen(cast(BinaryIO, file), "wb", compresslevel=level, threads=0, format=compression)
            )
        yield _Text(content, layout, separator, flush=not compression)


def _format(output: Path | None) -> tuple[str | None, str]:
    """Separator of text, or None for Parquet; and the compression, which may be ""."""
    if output is None:
        return TAB, ""
    kind = suffix(output) or ".tsv"
    compression = output.suffix.lower() if output.suffix.lower() in COMPRESSIONS else ""
    if kind in PARQUET and not compression:
        require("pyarrow", "train", f"{output}")
        return None, ""
    if kind not in SEPARATORS:
        raise ZooError(
            f"{output}: expected a name that ends in {', '.join((*SEPARATORS, PARQUET[0]))}, or in one of text "
            f"followed by {', '.join(COMPRESSIONS)}"
        )
    return SEPARATORS[kind], compression.removeprefix(".")


class Digested(io.RawIOBase):
    """Passes bytes on to a file, and counts and digests them."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._digest = hashlib.sha256()
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._file.write(content)
        self._digest.update(content)
        size = memoryview(content).nbytes
        self._size += size
        return size

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        if not self.closed:
            self._file.flush()

    def facts(self) -> dict[str, Any]:
        """`bytes` written so far, and their `sha256` as `sha256sum` prints it."""
        return {"bytes": self._size, "sha256": self._digest.hexdigest()}


class _Text:
    """flush: after every write, so that others see rows while more are computed. A compressor works worse with it."""

    def __init__(self, file: BinaryIO, layout: Layout, separator: str, flush: bool) -> None:
        self._file = file
        self._separator, self._layout, self._flush = separator, layout, flush
        self._header = header(layout.numbers, separator, tuple(layout.labels), tuple(layout.after))

    def write(self, labels: Sequence[Column], values: np.ndarray, after: Sequence[Column] = ()) -> None:
        names, *more = labels
        self._file.write(self._header + self._rows(names, values, more, after))
        self._header = b""
        if self._flush:
            self._file.flush()

    def _rows(self, names: Column, values: np.ndarray, more: Sequence[Column], after: Sequence[Column]) -> bytes:
        layout = self._layout
        return rows(names, values, self._separator, more, after, layout.missing, layout.decimals)

    def end_group(self) -> None:
        """Text has no row groups."""


def header(
    targets: Sequence[str], separator: str = TAB, labels: Sequence[str] = NAME, after: Sequence[str] = ()
) -> bytes:
    """The first line of a text: names of the labels, the targets, and the columns after them."""
    fields = (*labels, *targets, *after)
    return (separator.join(fields if separator == TAB else map(_quoted, fields)) + "\n").encode()


def rows(
    names: Sequence[str],
    values: np.ndarray,
    separator: str = TAB,
    more: Sequence[Sequence[object]] = (),
    after: Sequence[Sequence[object]] = (),
    missing: bool = False,
    decimals: int | None = None,
) -> bytes:
    """Names of N records and float32 (N, T) -> N lines of text.

    separator: if it is a comma, fields with a comma or a quotation mark are quoted.
    more, after: further columns of N texts or whole numbers, after the names and after the values.
    missing: write NaN as NA instead of refusing it.  decimals: round to so many, for a reader at a terminal.
    Raises CheckFailed for a value that is not finite, ZooError for a name with control characters.
    """
    import orjson  # the fastest writer of shortest float32 digits that has wheels for every platform

    if not missing:
        _check_values(names, values)
    if not len(names):
        return b""
    numbers = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY).decode()
    if decimals is not None:
        numbers = re.sub(r"-?\d[^,\]]*", lambda digits: f"{float(digits[0]):.{decimals}f}", numbers)
    if missing:
        numbers = numbers.replace("null", NOT_AVAILABLE)
    labels, behind = (names, *map(_texts, more)), [_texts(column) for column in after]
    if separator == TAB:
        lines, own = numbers[2:-2].replace(",", TAB).split("]\t["), values.shape[1] + len(labels) + len(behind)
    else:
        lines, own = numbers[2:-2].split("],["), 1
        labels, behind = tuple(map(_quoted_where_needed, labels)), list(map(_quoted_where_needed, behind))
    fields = zip(*labels, lines, *behind, strict=True)
    text = ("\n".join(map(separator.join, fields)) + "\n").encode("utf-8", "surrogateescape")
    # the only control characters are our own: a tab between two fields, a line feed after each row
    if np.count_nonzero(np.frombuffer(text, np.uint8) < ord(" ")) != len(names) * own:
        wrong = next(word for column in (*labels, *behind) for word in column if CONTROL.search(word))
        raise ZooError(f"{shown(wrong)!r}: expected a name without tabs, line ends and other control characters")
    return text


def _texts(column: Sequence[object]) -> Sequence[str]:
    return [one if isinstance(one, str) else str(one) for one in column]


def _check_values(names: Sequence[str], values: np.ndarray) -> None:
    """Raise CheckFailed, which names the record, unless all values, float32 (N, T), are finite."""
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise CheckFailed(f"{names[row]}: output {column + 1} of the model is {values[row, column]}")


def _quoted_where_needed(names: Sequence[str]) -> Sequence[str]:
    every = "\n".join(names)
    return list(map(_quoted, names)) if "," in every or '"' in every else names


def _quoted(field: str) -> str:
    """A field, quoted as RFC 4180 says."""
    return '"' + field.replace('"', '""') + '"' if "," in field or '"' in field else field


def _schema(layout: Layout) -> pyarrow.Schema:
    import pyarrow

    kinds = {str: pyarrow.string(), int: pyarrow.int64()}
    labels, after = (
        [pyarrow.field(name, kinds[kind], nullable=False) for name, kind in columns.items()]
        for columns in (layout.labels, layout.after)
    )
    numbers = [pyarrow.field(name, pyarrow.float32(), nullable=layout.missing) for name in layout.numbers]
    return pyarrow.schema([*labels, *numbers, *after])


class _Parquet:
    """Collects rows until they fill a group."""

    def __init__(self, writer: Any, schema: pyarrow.Schema, missing: bool) -> None:
        self._writer = writer
        self._schema = schema
        self._missing = missing
        self._waiting: list[pyarrow.Table] = []
        self._rows = 0

    def write(self, labels: Sequence[Column], values: np.ndarray, after: Sequence[Column] = ()) -> None:
        import pyarrow

        if not self._missing:
            _check_values(labels[0], values)
        numbers = [pyarrow.array(np.ascontiguousarray(column), from_pandas=self._missing) for column in values.T]
        columns = [*labels, *numbers, *after]
        try:
            arrays = [
                column if isinstance(column, pyarrow.Array) else pyarrow.array(column, field.type)
                for column, field in zip(columns, self._schema, strict=True)
            ]
        except UnicodeEncodeError as error:
            name = shown(ascii(error.object))
            raise ZooError(f"{name}: this name is not UTF-8, which Parquet needs; write a .tsv instead") from None
        self._waiting.append(pyarrow.table(arrays, schema=self._schema))
        self._rows += len(values)
        if self._rows >= ROW_GROUP:
            self.end_group()

    def end_group(self) -> None:
        import pyarrow

        if self._rows:
            self._writer.write_table(pyarrow.concat_tables(self._waiting), row_group_size=self._rows)
        self._waiting, self._rows = [], 0


def write_records(path: Path, names: Sequence[str], records: Sequence[Mapping[str, Any]]) -> None:
    """Write a small table of mixed values as tab-separated text; absent values are empty cells. A file is replaced."""
    with replacing(path, overwrite=True) as partial:
        lines = [TAB.join(names)]
        lines += [TAB.join(_cell(record.get(name)) for name in names) for record in records]
        partial.write_text("\n".join([*lines, ""]), "utf-8")


def _cell(value: Any) -> str:
    return "" if value is None else " ".join(str(value).split())
