"""A table of predictions, written as the suffix of its name says: one place that maps a suffix to a writer.

Rows are written as they come, so that memory does not grow with the table; nothing is written before the first rows
are there. Text is tab- or comma-separated and may be compressed. Parquet holds the names as text and float32 columns,
and needs pyarrow, which is imported inside.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

import numpy as np

from zoo.errors import MissingDependency, ZooError
from zoo.formats import prediction_table
from zoo.formats.columns import COMPRESSIONS, PARQUET, SEPARATORS, suffix
from zoo.formats.names import shown

if TYPE_CHECKING:
    import pyarrow

ROW_GROUP = 1 << 17
"""Rows of a Parquet file that are written together; a reader takes as many at once."""

COMPRESSION_LEVELS = {"gz": 1, "zst": 3, "bz2": 9, "xz": 1}
"""Format -> level: the fastest that saves nearly as much, since float digits hardly shrink further."""


Column = Sequence[Any]
"""N texts or whole numbers."""


class Table(Protocol):
    """What rows go to."""

    def write(self, labels: Sequence[Column], values: np.ndarray, after: Sequence[Column] = ()) -> None:
        """The label columns of N records, float32 (N, T), and what stands behind it. Raises ZooError for a text that
        the table cannot hold, CheckFailed for a value that is not finite where none may be missing."""

    def end_group(self) -> None:
        """What comes next stands in another row group, where the table has them."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """The columns of a table: labels, numbers, and what stands behind them; a label is text or a whole number.

    missing: a number may be missing: NA in text, null in Parquet.
    """

    numbers: Sequence[str]
    labels: Mapping[str, type] = dataclasses.field(default_factory=lambda: dict.fromkeys(prediction_table.NAME, str))
    after: Mapping[str, type] = dataclasses.field(default_factory=dict)
    missing: bool = False


def check_name(output: Path) -> None:
    """Raise ZooError for a name whose suffix is no table's, MissingDependency for Parquet without pyarrow."""
    _writer(output)


@contextlib.contextmanager
def opened(output: Path | None, file: Digested, layout: Layout) -> Iterator[Table]:
    """A table in `file`, of the kind that the name `output` says; None, standard output, is tab-separated text.

    The end of it is written when the block ends well; `file` stays open.
    """
    with _writer(output)(cast(BinaryIO, file), layout) as table:
        yield table


class Digested(io.RawIOBase):
    """Passes bytes on to a file, and knows how many and their sha256."""

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
        """Of what has been written: bytes, and sha256 as `sha256sum` prints it."""
        return {"bytes": self._size, "sha256": self._digest.hexdigest()}


Writer = Callable[[BinaryIO, Layout], contextlib.AbstractContextManager[Table]]


def _writer(output: Path | None) -> Writer:
    kind = (suffix(output) if output is not None else "") or ".tsv"
    compression = output.suffix.lower() if output is not None and output.suffix.lower() in COMPRESSIONS else ""
    if kind in PARQUET and not compression:
        if importlib.util.find_spec("pyarrow") is None:
            raise MissingDependency(f"{output}: Parquet needs pyarrow; pip install pyarrow brings it")
        return _parquet
    separator = SEPARATORS.get(kind)
    if separator is None:
        raise ZooError(
            f"{output}: expected a name that ends in {', '.join((*SEPARATORS, PARQUET[0]))}, or in one of text with "
            f"{', '.join(COMPRESSIONS)} behind it"
        )
    return lambda file, layout: _text(file, layout, separator, compression.removeprefix("."))


@contextlib.contextmanager
def _text(file: BinaryIO, layout: Layout, separator: str, compression: str) -> Iterator[Table]:
    with contextlib.ExitStack() as stack:
        if compression:
            from xopen import xopen

            level = COMPRESSION_LEVELS[compression]
            file = stack.enter_context(xopen(file, "wb", compresslevel=level, threads=0, format=compression))
        yield _Text(file, layout, separator, at_once=not compression)


class _Text:
    """at_once: rows are seen where they are read while others are computed; a compressor would work worse for it."""

    def __init__(self, file: BinaryIO, layout: Layout, separator: str, at_once: bool) -> None:
        self._at_once = at_once
        self._file = file
        self._separator = separator
        self._missing = layout.missing
        self._header = prediction_table.header(layout.numbers, separator, tuple(layout.labels), tuple(layout.after))

    def write(self, labels: Sequence[Column], values: np.ndarray, after: Sequence[Column] = ()) -> None:
        names, *more = labels
        rows = prediction_table.rows(names, values, self._separator, more, after, self._missing)
        self._file.write(self._header + rows)
        self._header = b""
        if self._at_once:
            self._file.flush()

    def end_group(self) -> None:
        """Text has none."""


@contextlib.contextmanager
def _parquet(file: BinaryIO, layout: Layout) -> Iterator[Table]:
    from pyarrow import parquet

    schema = _schema(layout)
    with parquet.ParquetWriter(file, schema) as writer:
        table = _Parquet(writer, schema, layout.missing)
        yield table
        table.end_group()


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
    """Rows that wait until there are enough of them for a group."""

    def __init__(self, writer: Any, schema: pyarrow.Schema, missing: bool) -> None:
        self._writer = writer
        self._schema = schema
        self._missing = missing
        self._waiting: list[pyarrow.Table] = []
        self._rows = 0

    def write(self, labels: Sequence[Column], values: np.ndarray, after: Sequence[Column] = ()) -> None:
        import pyarrow

        if not self._missing:
            prediction_table.check_values(labels[0], values)
        numbers = [pyarrow.array(np.ascontiguousarray(column), from_pandas=self._missing) for column in values.T]
        columns = [*labels, *numbers, *after]
        try:
            arrays = [
                column if isinstance(column, pyarrow.Array) else pyarrow.array(column, field.type)
                for column, field in zip(columns, self._schema, strict=True)
            ]
        except UnicodeEncodeError as error:
            name = shown(ascii(error.object))
            raise ZooError(f"{name}: a name that is no UTF-8; Parquet holds none, a .tsv does") from None
        self._waiting.append(pyarrow.table(arrays, schema=self._schema))
        self._rows += len(values)
        if self._rows >= ROW_GROUP:
            self.end_group()

    def end_group(self) -> None:
        import pyarrow

        if self._rows:
            self._writer.write_table(pyarrow.concat_tables(self._waiting), row_group_size=self._rows)
        self._waiting, self._rows = [], 0
