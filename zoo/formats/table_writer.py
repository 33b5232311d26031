"""A table of predictions, written as the suffix of its name says: one place that maps a suffix to a writer.

Rows are written as they come, so that memory does not grow with the table; nothing is written before the first rows
are there. Text is tab- or comma-separated and may be compressed. Parquet holds the names as text and float32 columns,
and needs pyarrow, which is imported inside.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
from collections.abc import Callable, Iterator, Sequence
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


class Table(Protocol):
    """What rows go to."""

    def write(self, names: Sequence[str], values: np.ndarray) -> None:
        """Names of N records and float32 (N, T). Raises ZooError for a name that the table cannot hold, CheckFailed
        for a value that is not finite."""


def check_name(output: Path) -> None:
    """Raise ZooError for a name whose suffix is no table's, MissingDependency for Parquet without pyarrow."""
    _writer(output)


@contextlib.contextmanager
def opened(output: Path | None, file: Digested, targets: Sequence[str]) -> Iterator[Table]:
    """A table in `file`, of the kind that the name `output` says; None, standard output, is tab-separated text.

    The end of it is written when the block ends well; `file` stays open.
    """
    with _writer(output)(cast(BinaryIO, file), targets) as table:
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


Writer = Callable[[BinaryIO, Sequence[str]], contextlib.AbstractContextManager[Table]]


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
    return lambda file, targets: _text(file, targets, separator, compression.removeprefix("."))


@contextlib.contextmanager
def _text(file: BinaryIO, targets: Sequence[str], separator: str, compression: str) -> Iterator[Table]:
    with contextlib.ExitStack() as stack:
        if compression:
            from xopen import xopen

            level = COMPRESSION_LEVELS[compression]
            file = stack.enter_context(xopen(file, "wb", compresslevel=level, threads=0, format=compression))
        yield _Text(file, targets, separator, at_once=not compression)


class _Text:
    """at_once: rows are seen where they are read while others are computed; a compressor would work worse for it."""

    def __init__(self, file: BinaryIO, targets: Sequence[str], separator: str, at_once: bool) -> None:
        self._at_once = at_once
        self._file = file
        self._separator = separator
        self._header = prediction_table.header(targets, separator)

    def write(self, names: Sequence[str], values: np.ndarray) -> None:
        rows = prediction_table.rows(names, values, self._separator)
        self._file.write(self._header + rows)
        self._header = b""
        if self._at_once:
            self._file.flush()


@contextlib.contextmanager
def _parquet(file: BinaryIO, targets: Sequence[str]) -> Iterator[Table]:
    import pyarrow
    from pyarrow import parquet

    columns = [pyarrow.field(target, pyarrow.float32(), nullable=False) for target in targets]
    schema = pyarrow.schema([pyarrow.field("name", pyarrow.string(), nullable=False), *columns])
    with parquet.ParquetWriter(file, schema) as writer:
        table = _Parquet(writer, schema)
        yield table
        table.finish()


class _Parquet:
    """Rows that wait until there are enough of them for a group."""

    def __init__(self, writer: Any, schema: pyarrow.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self._names: list[pyarrow.Array] = []
        self._values: list[np.ndarray] = []
        self._rows = 0

    def write(self, names: Sequence[str], values: np.ndarray) -> None:
        import pyarrow

        prediction_table.check_values(names, values)
        try:
            self._names.append(pyarrow.array(names, pyarrow.string()))
        except UnicodeEncodeError as error:
            name = shown(ascii(error.object))
            raise ZooError(f"{name}: a name that is no UTF-8; Parquet holds none, a .tsv does") from None
        self._values.append(values)
        self._rows += len(names)
        if self._rows >= ROW_GROUP:
            self.finish()

    def finish(self) -> None:
        import pyarrow

        if self._rows:
            values = np.concatenate(self._values)
            columns = [pyarrow.array(np.ascontiguousarray(column)) for column in values.T]
            names = pyarrow.chunked_array(self._names)
            self._writer.write_table(pyarrow.table([names, *columns], schema=self._schema), row_group_size=self._rows)
        self._names, self._values, self._rows = [], [], 0
