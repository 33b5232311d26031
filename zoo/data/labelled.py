"""Labelled sequences of one file, or of a FASTA and its table: base codes, targets, names, undivided.

Row i of the labels belongs to record i of the FASTA: counts are checked, and names where both have them.
Axes: N sequences, L positions, T targets.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from zoo.data import published
from zoo.dna.encoding import encode_as
from zoo.dna.read_options import ReadOptions
from zoo.errors import ZooError
from zoo.formats import columns
from zoo.formats.fasta import Reader
from zoo.formats.names import first_word, shown

FASTA = (".fa", ".fasta", ".fna")


Division = Literal["chromosome", "fraction"]

DIVISIONS: tuple[str, ...] = get_args(Division)
"""Ways to divide one file, whether or not it has a split column."""


@dataclasses.dataclass(frozen=True)
class Layout(ReadOptions):
    """Where things stand in a file of one's own, how it is read, and how it is divided."""

    labels: Path | None = None
    """Table whose row i belongs to record i of a FASTA file; by default the one beside it (x.fa: x_activity.txt)."""

    sequence_column: str = "sequence"
    """Column of a table that holds the sequences."""

    name_column: str = "name"
    """Column of the names, which may be missing."""

    split_column: str = "split"
    """Column that says train, validation or test; it may be missing."""

    chromosome_column: str = "chromosome"
    """Column of the chromosomes; without it, names such as chr2L_5750_5998 are asked."""

    split_by: Division | None = None
    """Divide one file, whatever its split column says; the two strands of a sequence stay together."""

    validation_chromosomes: tuple[str, ...] = ()
    """Held out by --split-by chromosome."""

    test_chromosomes: tuple[str, ...] = ()
    """Held out by --split-by chromosome."""

    validation_fraction: float = 0.1
    """Of --split-by fraction."""

    test_fraction: float = 0.1
    """Of --split-by fraction."""

    split_seed: int = 0
    """Of --split-by fraction."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("validation_chromosomes", "test_chromosomes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        both = set(self.validation_chromosomes) & set(self.test_chromosomes)
        if both:
            raise ZooError(f"expected a chromosome for validation or for test, got {min(both)} for both")
        validation, test = self.validation_fraction, self.test_fraction
        if not (0 < validation < 1 and 0 <= test < 1 and validation + test < 1):
            raise ZooError(
                "expected fractions that leave something to validate and to train on, got "
                f"{validation} for validation and {test} for test"
            )
        if not 0 <= self.split_seed < 2**64:
            raise ZooError(f"split seed: expected a whole number of at least 0, got {self.split_seed}")
        if self.split_by is not None and self.split_by not in DIVISIONS:
            raise ZooError(f"--split-by: expected {' or '.join(DIVISIONS)}, got {self.split_by!r}")

    def check(self, path: Path) -> None:
        """Raise ZooError for what has no say in how `path` is read and divided."""
        for division, options in OF_DIVISION.items():
            for name in options:
                if self.split_by != division and getattr(self, name) != getattr(Layout, name):
                    raise ZooError(f"--{name.replace('_', '-')}: has a say with --split-by {division} alone")
        if path.is_dir() and self.split_by is not None:
            raise ZooError(
                f"{path}: its files divide it already; leave out --split-by, or give one file with all sequences"
            )
        if self.labels is not None and (path.is_dir() or not is_fasta(path)):
            raise ZooError(f"--labels {self.labels}: belongs to a FASTA file; {path} is none")


OF_DIVISION = {
    "chromosome": ("validation_chromosomes", "test_chromosomes"),
    "fraction": ("validation_fraction", "test_fraction", "split_seed"),
}
"""Division -> the fields of Layout that say how."""


@dataclasses.dataclass(frozen=True)
class Split:
    """codes: base codes, uint8 (N, L).  targets: float32 (N, T), NaN where missing.  names: N names, if there are.
    columns: of the file, which held the T targets; empty where they come from no file."""

    codes: np.ndarray
    targets: np.ndarray
    names: list[str] | None = None
    columns: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.codes)

    def rows(self, chosen: np.ndarray) -> Split:
        """Those records for which `chosen`, bool (N,), is true, in order."""
        names = None if self.names is None else [self.names[row] for row in np.flatnonzero(chosen)]
        return Split(self.codes[chosen], self.targets[chosen], names, self.columns)


@dataclasses.dataclass(frozen=True)
class Records:
    """All records of one file; what its split and chromosome columns say of each, None where there is no column."""

    split: Split
    sides: list[str] | None = None
    chromosomes: list[str] | None = None


def is_fasta(path: Path) -> bool:
    """By suffix; a second one such as .gz does not count."""
    return columns.suffix(path) in FASTA


def read_file(path: Path, targets: tuple[str, ...], length: int, layout: Layout) -> Records:
    """A table with a sequence column, or a FASTA file with its labels beside it; `length` in bases.

    Raises ZooError if it is neither, or not as described.
    """
    if is_fasta(path):
        return read_pair(path, _labels_beside(path, layout), targets, length, layout)
    if columns.suffix(path) not in columns.SUFFIXES:
        raise ZooError(
            f"{path}: {'expected' if path.exists() else 'no such file or folder; expected'} a folder, a table "
            f"({', '.join(columns.SUFFIXES)}) or a FASTA file ({', '.join(FASTA)})"
        )
    advice = {**_advice(targets), layout.sequence_column: "--sequence-column NAME takes another"}
    table = columns.read(path, targets, (layout.sequence_column,), _optional(layout), published.columns(), advice)
    sequences = table.text.pop(layout.sequence_column)
    codes = encode_as(sequences, length, layout, lambda row: f"{path}: row {row}")
    return _records(codes, table, table.text.get(layout.name_column), layout)


def read_pair(fasta: Path, labels: Path, targets: tuple[str, ...], length: int, layout: Layout) -> Records:
    """A FASTA file and the table whose row i belongs to record i.

    Raises ZooError if the counts differ, or, where the table has names, if one is not that of its record.
    """
    if not fasta.is_file():
        raise ZooError(f"{fasta}: no such file")
    table = columns.read(labels, targets, (), _optional(layout), published.columns(), _advice(targets))
    codes = np.empty((len(table), length), np.uint8)
    names: list[str] = []
    reader = Reader(fasta, length, reading=layout)
    for batch_names, batch in reader:
        room = codes[len(names) : len(names) + len(batch)]
        room[:] = batch[: len(room)]
        names += batch_names
    if len(names) != len(table):
        raise ZooError(
            f"{fasta}: expected {len(table):,} records, one for each row of {labels.name}, got {len(names):,}; "
            "row i must belong to record i"
        )
    # a FASTA name ends at the first white space, which the same name in a table may go beyond
    for row, (name, given) in enumerate(zip(names, table.text.get(layout.name_column, names), strict=True), 1):
        if given != name and first_word(given) != name:
            raise ZooError(
                f"{labels}: row {row}: expected {shown(name)!r}, the name of record {row} of {fasta.name}, "
                f"got {shown(given)!r}; row i must belong to record i"
            )
    return _records(codes, table, names, layout)


def _optional(layout: Layout) -> tuple[str, ...]:
    """Columns that a table may have."""
    return layout.name_column, layout.split_column, layout.chromosome_column


def _records(codes: np.ndarray, table: columns.Table, names: list[str] | None, layout: Layout) -> Records:
    return Records(
        Split(codes, table.numbers.astype(np.float32), names, table.columns),
        table.text.get(layout.split_column),
        table.text.get(layout.chromosome_column),
    )


def _advice(targets: tuple[str, ...]) -> dict[str, str]:
    return dict.fromkeys(targets, "--targets TARGET=COLUMN takes another")


def first_file(path: Path) -> Path | None:
    """The file, plain or gzipped; None if there is neither."""
    return next((found for found in (path, path.with_name(f"{path.name}.gz")) if found.is_file()), None)


def _labels_beside(fasta: Path, layout: Layout) -> Path:
    if layout.labels is not None:
        if columns.suffix(layout.labels) not in columns.SUFFIXES:
            raise ZooError(f"{layout.labels}: expected a table, {', '.join(columns.SUFFIXES)}, got another suffix")
        return layout.labels
    stem = fasta.name[: fasta.name.lower().rindex(columns.suffix(fasta))]
    wanted = [f"{stem}_activity{suffix}" for suffix in columns.SEPARATORS]
    of_layout = published.labels_of(f"{stem}{columns.suffix(fasta)}")
    if of_layout:
        wanted = [of_layout]
    for name in wanted:
        found = first_file(fasta.with_name(name))
        if found is not None:
            return found
    raise ZooError(f"{fasta}: found no labels beside it, expected {' or '.join(wanted)}; name them with --labels")
