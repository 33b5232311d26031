"""How the records of a file are divided, as its Layout says: by a column, by chromosome, by fraction, or into folds.

The arrays are divided by zoo/data/splits.py; here are columns, names and messages. Axes: N sequences.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np

from zoo.data import splits
from zoo.data.labelled import Layout, Records, Split
from zoo.data.splits import SIDES
from zoo.errors import ZooError, counted


@dataclasses.dataclass(frozen=True)
class Division:
    """sides: uint8 (N,), see splits.SIDES.  notes: lines for the user.  held_out: chromosomes not trained on;
    for a fold those of its test, since the validation chooses the epoch."""

    sides: np.ndarray
    notes: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Folds:
    """Member i of a cross-validation holds out fold i as its test, and the next fold as its validation.

    of_rows: fold of each row, int (N,).  keys: see splits.keys.  chromosomes: those of each fold, empty for folds of
    single sequences.  notes: lines for the user.
    """

    of_rows: np.ndarray
    keys: np.ndarray
    chromosomes: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.chromosomes)

    def validation(self, fold: int) -> tuple[str, ...]:
        """Chromosomes of the validation of a member."""
        return self.chromosomes[(fold + 1) % len(self)]

    def division(self, fold: int) -> Division:
        """The division of a member."""
        sides, moved = splits.by_fold(self.keys, self.of_rows, fold, len(self))
        return Division(sides, (*self.notes, *_moved(moved)), self.chromosomes[fold])


def divide(records: Records, path: Path, layout: Layout) -> Division | None:
    """The division of the records of a file; None if nothing divides them."""
    if layout.folds:
        if layout.fold is None:
            raise ZooError(
                f"--folds {','.join(layout.folds)}: choose one with --fold, from 0; only zoo train takes all of them"
            )
        return folds(records, path, layout).division(layout.fold)
    if layout.split_by == "fraction":
        keys = splits.keys(records.split.codes)
        return Division(splits.by_fraction(keys, layout.validation_fraction, layout.test_fraction, layout.split_seed))
    if layout.split_by == "chromosome":
        return _by_chromosome(records, path, layout)
    if records.sides is not None:
        return Division(_sides(records.sides, f"{path}: column {layout.split_column}"))
    return None


def folds(records: Records, path: Path, layout: Layout) -> Folds:
    """The folds of the records: of chromosomes, or of single sequences if they have none or for a split by fraction.

    Raises ZooError if there are fewer chromosomes than folds, or if those given are not those of the data.
    """
    keys, number = splits.keys(records.split.codes), layout.number_of_folds
    named = records.split.names is not None and any(map(splits.chromosome, records.split.names))
    if layout.split_by != "fraction" and (layout.split_by or records.chromosomes or named):
        chromosomes = _chromosomes(records, path, layout)
        try:
            groups = splits.groups(chromosomes, layout.folds)
        except ZooError as error:
            raise ZooError(f"{path}: {error}") from None
        fold_of = {name: fold for fold, group in enumerate(groups) for name in group}
        return Folds(np.array([fold_of[name] for name in chromosomes]), keys, tuple(groups))
    if len(layout.folds) > 1:
        raise ZooError(
            f"{path}: --folds {','.join(layout.folds)}: the data have no chromosomes; give a number of folds"
        )
    note = "folds of single sequences: windows that overlap may be in different folds, and the scores are then too good"
    return Folds(splits.folds_of_keys(keys, number, layout.split_seed), keys, ((),) * number, (note,))


def _sides(words: list[str], where: str) -> np.ndarray:
    """Words of a split column -> sides, uint8 (N,)."""
    numbers = {}
    for word in dict.fromkeys(words):
        try:
            numbers[word] = SIDES.index(splits.side(word))
        except ZooError as error:
            raise ZooError(f"{where}, row {words.index(word) + 1}: {error}") from None
    return np.fromiter((numbers[word] for word in words), np.uint8, len(words))


def _by_chromosome(records: Records, path: Path, layout: Layout) -> Division:
    chromosomes = _chromosomes(records, path, layout)
    if not layout.validation_chromosomes:
        counts = ", ".join(f"{name} ({count:,})" for name, count in Counter(chromosomes).most_common(30))
        raise ZooError(
            f"{path}: --split-by chromosome needs --validation-chromosomes NAME; known chromosomes: {counts}"
        )
    keys = splits.keys(records.split.codes)
    try:
        sides, moved = splits.by_chromosome(keys, chromosomes, layout.validation_chromosomes, layout.test_chromosomes)
    except ZooError as error:
        raise ZooError(f"{path}: {error}") from None
    return Division(sides, _moved(moved), (*layout.validation_chromosomes, *layout.test_chromosomes))


def _moved(number: int) -> tuple[str, ...]:
    note = f"{counted(number, 'sequences')} on several chromosomes; all copies went to the held-out side"
    return (note,) if number else ()


def _chromosomes(records: Records, path: Path, layout: Layout) -> list[str]:
    return records.chromosomes or _chromosomes_in_names(records.split, path, layout)


def _chromosomes_in_names(split: Split, path: Path, layout: Layout) -> list[str]:
    """Chromosomes in names such as chr2L_5750_5998_+."""
    if split.names is None:
        raise ZooError(
            f"{path}: --split-by chromosome needs a column {layout.chromosome_column!r} (--chromosome-column NAME "
            f"takes another), or a column {layout.name_column!r} (--name-column) with names such as chr2L_5750_5998"
        )
    chromosomes = []
    for row, name in enumerate(split.names, 1):
        chromosome = splits.chromosome(name)
        if chromosome is None:
            raise ZooError(f"{path}: row {row}: expected a name with its chromosome, chr2L_5750_5998, got {name!r}")
        chromosomes.append(chromosome)
    return chromosomes
