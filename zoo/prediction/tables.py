"""Sequences in a column of a table, as records to predict: the same rules as for FASTA.

A table is read whole. A row that is not valid is an error, as a record of FASTA is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.dna.encoding import BASES_AND_N, encode_as
from zoo.dna.read_options import ReadOptions
from zoo.formats import columns
from zoo.formats.fasta import Counts
from zoo.formats.names import shown
from zoo.formats.table_writer import Column
from zoo.formats.text_input import title
from zoo.prediction.options import TableOptions

NAMES = ("name", "id")
"""Columns of the names, the first that a table has."""


class TableRecords:
    """The rows of tables, in order; iterate over it once.

    Iterating raises ZooError for a file that cannot be read or has no such column, and for a row that is not valid.
    """

    def __init__(
        self, paths: Sequence[str | Path], options: TableOptions, length: int, batch_size: int, reading: ReadOptions
    ) -> None:
        """length: L, bases that every sequence must have, unless `reading` says otherwise."""
        self._paths, self._options, self._length = [Path(path) for path in paths], options, length
        self._batch_size, self._reading = batch_size, reading
        self._inputs: list[dict[str, str | int]] = []
        self.counts = Counts()
        self.bytes_read = 0

    def __iter__(self) -> Iterator[tuple[Sequence[Column], np.ndarray]]:
        for path in self._paths:
            names, sequences = self._read(path)
            size = path.stat().st_size if path.is_file() else 0
            before = self.bytes_read
            for first in range(0, len(sequences), self._batch_size):
                here = slice(first, first + self._batch_size)
                codes = self._codes(path, sequences[here], names[here], first)
                self.bytes_read = before + size * (first + len(codes)) // len(sequences)
                yield (names[here],), codes
            self._inputs.append({"file": str(path), "records": len(sequences)})

    def described(self) -> dict[str, Any]:
        return {"inputs": self._inputs, **dataclasses.asdict(self._options)}

    def _read(self, path: Path) -> tuple[list[str], list[str]]:
        """Names and sequences."""
        column, given = self._options.column or "", self._options.name_column
        advice = {column: "--column NAME takes another"}
        required, optional = ([column, given], ()) if given else ([column], NAMES)
        table = columns.read(path, [], required, optional, advice=advice, may_be_missing=optional)
        found = next((name for name in (given, *NAMES) if name in table.text), None)
        rows = range(1, len(table) + 1)
        return table.text[found] if found else list(map(str, rows)), table.text[column]

    def _codes(self, path: Path, sequences: list[str], names: list[str], first: int) -> np.ndarray:
        """Base codes, uint8 (n, L), of the rows from number `first` on, counted."""

        def name_of(number: int) -> str:
            return f"{title(str(path))}: row {first + number} ({shown(names[number - 1])})"

        codes = encode_as(sequences, self._length, self._reading, name_of)
        other = len("".join(sequences).encode().translate(None, BASES_AND_N)) if self._reading.ambiguous == "n" else 0
        self.counts.add(codes, np.fromiter(map(len, sequences), np.intp, len(sequences)), other)
        return codes
