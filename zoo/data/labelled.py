"""Labelled sequences of one file, or of a FASTA and its table: base codes, targets, names, not yet divided.

Row i of the labels belongs to record i of the FASTA: counts are checked, and names if both have them.
Axes: N sequences, L positions, T targets.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np

from zoo.data import published
from zoo.dna.encoding import encode_as
from zoo.dna.read_options import ReadOptions
from zoo.errors import ZooError
from zoo.formats import columns
from zoo.formats.fasta import Reader, first_length
from zoo.formats.names import first_word, shown
from zoo.options import Bounds

FASTA = (".fa", ".fasta", ".fna")

Division = Literal["chromosome", "fraction"]

DIVISIONS: tuple[str, ...] = get_args(Division)
"""Ways to divide one file, whether or not it has a split column."""

OF_DIVISION = {
    "chromosome": ("validation_chromosomes", "test_chromosomes"),
    "fraction": ("validation_fraction", "test_fraction", "split_seed"),
}
"""Division -> the fields of Layout that apply to it."""


FEWEST_FOLDS = 3


@dataclasses.dataclass(frozen=True)
class Layout(ReadOptions):
    """The columns of one file, how its sequences are read, and how it is divided."""

    labels: Path | None = None
    """Table whose row i belongs to record i of a FASTA file; default: the one beside it (x.fa: x_activity.txt)."""

    sequence_column: str = "sequence"
    """Column of the sequences in a table."""

    name_column: str = "name"
    """Column of the names; optional."""

    split_column: str = "split"
    """Column with train, validation or test; optional."""

    chromosome_column: str = "chromosome"
    """Column of the chromosomes; else the chromosome is read from names like chr2L_5750_5998."""

    split_by: Division | None = None
    """Divide one file, whatever its split column says; both strands of a sequence stay together."""

    validation_chromosomes: tuple[str, ...] = ()
    """Chromosomes for validation, with --split-by chromosome."""

    test_chromosomes: tuple[str, ...] = ()
    """Chromosomes for the test, with --split-by chromosome."""

    validation_fraction: Annotated[float, Bounds(above=0, below=1)] = 0.1
    """Share of the sequences for validation, with --split-by fraction."""

    test_fraction: Annotated[float, Bounds(0, below=1)] = 0.1
    """Share of the sequences for the test, with --split-by fraction."""

    split_seed: Annotated[int, Bounds(0, 2**64 - 1)] = 0
    """Seed of the division, with --split-by fraction."""

    folds: tuple[str, ...] = ()
    """Cross-validation: a number of folds, which makes groups of chromosomes of about as many sequences, or the
    chromosomes of each fold: chr2L,chr2R,chr3L+chr4. Data without chromosomes have folds of sequences."""

    fold: Annotated[int | None, Bounds(0)] = None
    """Take one of --folds, from 0: it is the test split, the next one the validation split."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("validation_chromosomes", "test_chromosomes", "folds"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        both = set(self.validation_chromosomes) & set(self.test_chromosomes)
        if both:
            raise ZooError(f"expected a chromosome for validation or for test, got {min(both)} for both")
        validation, test = self.validation_fraction, self.test_fraction
        if validation + test >= 1:
            raise ZooError(
                f"expected fractions that leave sequences for training, got {validation} for validation and {test} for "
                "test"
            )

    def _check_folds(self) -> None:
        if not self.folds:
            if self.fold is not None:
                raise ZooError("--fold: only applies with --folds")
            return
        if len(self.folds) == 1 and not (self.folds[0].isascii() and self.folds[0].isdigit()):
            raise ZooError(f"--folds: expected a number, or the chromosomes of each fold, got {self.folds[0]!r}")
        if self.number_of_folds < FEWEST_FOLDS:
            raise ZooError(
                f"--folds: expected at least {FEWEST_FOLDS}, one to test, one to validate and one to train on, got "
                f"{self.number_of_folds}"
            )
        if self.fold is not None and self.fold >= self.number_of_folds:
            raise ZooError(f"--fold: expected 0 to {self.number_of_folds - 1}, got {self.fold}")
        for name in ("validation_chromosomes", "test_chromosomes", "validation_fraction", "test_fraction"):
            if getattr(self, name) != getattr(Layout, name):
                raise ZooError(f"--{name.replace('_', '-')}: --folds chooses what is held out; omit one of them")

    @property
    def number_of_folds(self) -> int:
        return int(self.folds[0]) if len(self.folds) == 1 else len(self.folds)

    def check_applies(self, path: Path) -> None:
        """Raise ZooError for options that do not apply to `path`."""
        self._check_folds()
        for division, names in OF_DIVISION.items():
            for name in names:
                if self.split_by != division and getattr(self, name) != getattr(Layout, name):
                    raise ZooError(f"--{name.replace('_', '-')}: only applies with --split-by {division}")
        for name in ("split_by", "folds"):
            if path.is_dir() and getattr(self, name):
                option = f"--{name.replace('_', '-')}"
                raise ZooError(
                    f"{path}: its files divide it already; omit {option}, or give one file with all sequences"
                )
        if self.labels is not None and (path.is_dir() or not is_fasta(path)):
            raise ZooError(f"--labels {self.labels}: only applies to a FASTA file, which {path} is not")


@dataclasses.dataclass(frozen=True)
class Split:
    """codes: base codes, uint8 (N, L).  targets: float32 (N, T), NaN where missing.  names: N names, or None.
    columns: names of the T target columns in the file; empty for data from no file.  profiles: counts at P positions
    of S strands of all targets, float32 (N, S, P), for networks of profiles; targets are then log(1 + counts)."""

    codes: np.ndarray
    targets: np.ndarray
    names: list[str] | None = None
    columns: tuple[str, ...] = ()
    profiles: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.codes)

    def rows(self, mask: np.ndarray) -> Split:
        """The records where `mask`, bool (N,), is true, in order."""
        names = None if self.names is None else [self.names[row] for row in np.flatnonzero(mask)]
        profiles = None if self.profiles is None else self.profiles[mask]
        return Split(self.codes[mask], self.targets[mask], names, self.columns, profiles)

    def observed(self, rows: np.ndarray | slice) -> np.ndarray:
        """The targets of some rows, and their profiles as further columns, float32 (N, T + S P)."""
        if self.profiles is None:
            return self.targets[rows]
        return np.concatenate([self.targets[rows], self.profiles[rows].reshape(len(self.targets[rows]), -1)], 1)


@dataclasses.dataclass(frozen=True)
class Records:
    """All records of one file, and the values of its split and chromosome columns, or None without such a column."""

    split: Split
    sides: list[str] | None = None
    chromosomes: list[str] | None = None


def is_fasta(path: Path) -> bool:
    """Whether the suffix is that of FASTA, apart from one such as .gz."""
    return columns.suffix(path) in FASTA


def read_file(path: Path, targets: tuple[str, ...], length: int | None, layout: Layout) -> Records:
    """Read a table with a sequence column, or a FASTA file with its labels beside it.

    length: L, bases; None for those of the first sequence.

    Raises ZooError if it is neither, or not as described.
    """
    if is_fasta(path):
        return read_pair(path, _labels_beside(path, layout), targets, length, layout)
    if columns.suffix(path) not in columns.SUFFIXES:
        raise ZooError(
            f"{path}: {'expected' if path.exists() else 'no such file or folder; expected'} a folder, a table "
            f"({', '.join(columns.SUFFIXES)}) or a FASTA file ({', '.join(FASTA)})"
        )
    table = _table(path, targets, layout, (layout.sequence_column,))
    sequences = table.text[layout.sequence_column]
    codes = encode_as(sequences, length or len(sequences[0]), layout, lambda row: f"{path}: row {row}")
    return _records(codes, table, table.text.get(layout.name_column), layout)


def read_pair(fasta: Path, labels: Path, targets: tuple[str, ...], length: int | None, layout: Layout) -> Records:
    """Read a FASTA file and the table whose row i belongs to record i. length: as for read_file.

    Raises ZooError if the counts differ, or if the table has names and one differs from the name of its record.
    """
    if not fasta.is_file():
        raise ZooError(f"{fasta}: no such file")
    table = _table(labels, targets, layout)
    length = length or first_length(fasta)
    codes = np.empty((len(table), length), np.uint8)
    names: list[str] = []
    for batch_names, batch in Reader(fasta, length, reading=layout):
        room = codes[len(names) : len(names) + len(batch)]
        room[:] = batch[: len(room)]
        names += batch_names
    if len(names) != len(table):
        raise ZooError(
            f"{fasta}: expected {len(table):,} records, one for each row of {labels.name}, got {len(names):,}; "
            "row i must belong to record i"
        )
    # a FASTA name ends at the first white space; the same name in a table may be longer
    for row, (name, given) in enumerate(zip(names, table.text.get(layout.name_column, names), strict=True), 1):
        if given != name and first_word(given) != name:
            raise ZooError(
                f"{labels}: row {row}: expected {shown(name)!r}, the name of record {row} of {fasta.name}, "
                f"got {shown(given)!r}; row i must belong to record i"
            )
    return _records(codes, table, names, layout)


def _table(path: Path, targets: tuple[str, ...], layout: Layout, text: tuple[str, ...] = ()) -> columns.Table:
    optional = layout.name_column, layout.split_column, layout.chromosome_column
    advice = dict.fromkeys(targets, "--targets TARGET=COLUMN takes another")
    advice[layout.sequence_column] = "--sequence-column NAME takes another"
    return columns.read(path, targets, text, optional, published.columns(), advice)


def _records(codes: np.ndarray, table: columns.Table, names: list[str] | None, layout: Layout) -> Records:
    return Records(
        Split(codes, table.numbers.astype(np.float32), names, table.columns),
        table.text.get(layout.split_column),
        table.text.get(layout.chromosome_column),
    )


def first_file(path: Path) -> Path | None:
    """The file, plain or gzipped; None if neither exists."""
    return next((file for file in (path, path.with_name(f"{path.name}.gz")) if file.is_file()), None)


def _labels_beside(fasta: Path, layout: Layout) -> Path:
    if layout.labels is not None:
        if columns.suffix(layout.labels) not in columns.SUFFIXES:
            raise ZooError(f"{layout.labels}: expected a table, {', '.join(columns.SUFFIXES)}, got another suffix")
        return layout.labels
    suffix = columns.suffix(fasta)
    stem = fasta.name[: fasta.name.lower().rindex(suffix)]
    published_name = published.labels_of(f"{stem}{suffix}")
    wanted = [published_name] if published_name else [f"{stem}_activity{suffix}" for suffix in columns.SEPARATORS]
    for name in wanted:
        file = first_file(fasta.with_name(name))
        if file is not None:
            return file
    raise ZooError(f"{fasta}: found no labels beside it, expected {' or '.join(wanted)}; name them with --labels")
