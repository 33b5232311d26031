"""Labelled sequences for training and evaluation, divided into splits and checked for leakage.

Sequences stay base codes (249 bytes each); the code that computes makes one-hot, a batch at a time.
Axes: N sequences, L positions, T targets.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from zoo.card import Card
from zoo.data import division, labelled, published, splits
from zoo.data.division import Division, Folds
from zoo.data.labelled import DIVISIONS, Layout, Split
from zoo.data.splits import SIDES
from zoo.errors import ZooError

__all__ = ["Dataset", "DividedFile", "Layout", "Source", "Split", "read", "read_folds", "read_split"]

EVERY_ROW = "all"


class Source(Protocol):
    """Interface of a source of training data, such as Dataset."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the T targets."""

    @property
    def sequence_length(self) -> int:
        """L, bases."""

    @property
    def train(self) -> Split | None:
        """Training sequences that every epoch has; None if each epoch has its own."""

    @property
    def validation(self) -> Split:
        """Sequences that decide which weights are kept."""

    @property
    def test(self) -> Split | None:
        """Sequences on which the kept weights are measured once, at the end."""

    @property
    def card(self) -> Card:
        """What is known about the data, for the card of the trained weights."""

    def epoch(self, number: int) -> Split:
        """Training sequences of epoch `number`, counted from 1; the same at every call."""

    def identity(self) -> dict[str, Any]:
        """Identifies the data, as JSON types: for the receipts, and to refuse to resume on other data."""


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Labelled sequences of files. targets: names of the T targets.  source: the path they were read from.

    sha256: hex, over the codes and targets of all splits.  notes: lines for the user about allowed leakage and about
    sequences that changed sides.  card: see Source.
    """

    train: Split
    validation: Split
    test: Split | None
    targets: tuple[str, ...]
    sha256: str
    source: str
    notes: tuple[str, ...] = ()
    card: Card = dataclasses.field(default_factory=Card)

    @property
    def splits(self) -> dict[str, Split]:
        """Side -> split, without absent ones, in the order of splits.SIDES."""
        return {name: split for name in SIDES if (split := getattr(self, name)) is not None}

    @property
    def sequence_length(self) -> int:
        return self.train.codes.shape[1]

    def epoch(self, number: int) -> Split:  # noqa: ARG002 - every epoch has the same sequences
        return self.train

    def identity(self) -> dict[str, Any]:
        sizes = {"train": len(self.train), "validation": len(self.validation)}
        return {"source": self.source, "sha256": self.sha256, **sizes}


def read(
    path: Path,
    targets: tuple[str, ...],
    allow_leakage: bool = False,
    *,
    length: int | None,
    layout: Layout | None = None,
) -> Dataset:
    """Read all sequences at `path`, divided into train, validation and test (None if absent).

    path: a folder in a published layout (see published.py; files plain or .gz; row i of the labels belongs to record
    i), a table with a sequence column, or a FASTA file with labels beside it.
    targets: their names; each is the column of exactly this name, else that of published labels. TARGET=COLUMN reads
    another column.
    length: L, bases; None for those of the first sequence.
    layout: the columns of one file, and how it is divided; both strands of a sequence are always on the same side.

    Raises ZooError if anything is missing or not as described, and, unless `allow_leakage`, if a sequence or its
    reverse complement is in two splits.
    """
    layout = layout or Layout()
    names, columns = _parsed(path, targets, layout)
    if path.is_dir():
        parts = {}
        for side in SIDES:
            # the test split may be absent as a whole; for the other two a missing file is an error
            if side != "test" or any(_published_files(path, side)):
                parts[side] = _read_published(path, side, columns, length, layout)
                length = parts[side].codes.shape[1]
        return _dataset(parts, path, names, columns, allow_leakage)
    records = labelled.read_file(path, columns, length, layout)
    divided = division.divide(records, path, layout)
    if divided is None:
        raise ZooError(_undivided(path, layout))
    parts = _parts(records.split, divided)
    del records
    return _dataset(parts, path, names, columns, allow_leakage, divided)


@dataclasses.dataclass(frozen=True)
class DividedFile:
    """A file that is divided into folds.  targets: names of the T targets.  whole: all of its records."""

    whole: Split
    folds: Folds
    targets: tuple[str, ...]
    path: Path
    columns: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """hex, over the codes and targets of all records, and their folds."""
        parts = {str(fold): self.whole.rows(self.folds.of_rows == fold) for fold in range(len(self.folds))}
        return _sha256(parts)

    def holding_out(self, fold: int) -> Dataset:
        """The data of the member that holds out this fold."""
        divided = self.folds.division(fold)
        return _dataset(_parts(self.whole, divided), self.path, self.targets, self.columns, False, divided)


def read_folds(path: Path, targets: tuple[str, ...], *, length: int | None, layout: Layout) -> DividedFile:
    """Read one file and divide it into the folds of `layout`. Arguments and errors are those of `read`."""
    names, columns = _parsed(path, targets, layout)
    records = labelled.read_file(path, columns, length, layout)
    return DividedFile(records.split, division.folds(records, path, layout), names, path, columns)


def _parsed(path: Path, targets: tuple[str, ...], layout: Layout) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the targets and their columns. Raises ZooError for a request that cannot be met."""
    parsed = [published.parse_target(text) for text in targets]
    names = tuple(published.target_of(name) for name, _ in parsed)
    columns = tuple(column for _, column in parsed)
    _check_request(path, columns, layout)
    if len(set(names)) != len(names):
        given = ", ".join(name for name, _ in parsed)
        raise ZooError(f"targets: expected different targets, got {given}; two of them are the same target")
    return names, columns


def _parts(whole: Split, divided: Division) -> dict[str, Split]:
    """Side -> its split; empty ones are absent."""
    return {side: whole.rows(divided.sides == i) for i, side in enumerate(SIDES) if (divided.sides == i).any()}


def _dataset(
    parts: dict[str, Split],
    path: Path,
    names: tuple[str, ...],
    columns: tuple[str, ...],
    allow_leakage: bool,
    divided: Division | None = None,
) -> Dataset:
    """A Dataset of splits that are checked. divided: how a file was divided; None for a folder."""
    for side in ("train", "validation"):
        if side not in parts:
            raise ZooError(f"{path}: the split {side} is empty; found {_sizes(parts)}")
        missing = np.isnan(parts[side].targets).all(axis=0)
        if missing.any():
            column = columns[int(np.argmax(missing))]
            raise ZooError(f"{path}: the split {side}: no value of {column} in any of {len(parts[side]):,} rows")
    notes = (*(divided.notes if divided else ()), *_leakage(parts, path, allow_leakage))
    digest, card = _sha256(parts), _card(path, divided.held_out if divided else ())
    return Dataset(parts["train"], parts["validation"], parts.get("test"), names, digest, str(path), notes, card)


def _card(path: Path, held_out: tuple[str, ...]) -> Card:
    """The name of the data and the chromosomes that are held out; for data that `zoo pull` fetched, what was published
    about them."""
    published_card = published.card(path)
    if published_card is not None:
        return published_card
    return Card(training_data=path.name if path.name.isprintable() else "", held_out=held_out)


def read_split(
    path: Path,
    split: str,
    targets: tuple[str, ...],
    *,
    length: int,
    layout: Layout | None = None,
) -> Split:
    """Read one split of the data that `read` takes; of a folder, only its two files. Leakage is not checked.

    split: train, validation (val) or test, or "all" for every row of a file.  A FASTA file that `layout` does not
    divide is read completely.  Raises ZooError as `read` does, and if the split is empty.
    """
    layout = layout or Layout()
    _check_request(path, targets, layout)
    if path.is_dir():
        return _read_published(path, splits.side(split), targets, length, layout)
    side = None if split == EVERY_ROW else splits.side(split)
    records = labelled.read_file(path, targets, length, layout)
    if side is None:
        return records.split
    divided = division.divide(records, path, layout)
    if divided is None:
        if labelled.is_fasta(path):
            return records.split
        raise ZooError(f"{_undivided(path, layout)}, --split {EVERY_ROW} takes every row")
    parts = _parts(records.split, divided)
    if side not in parts:
        raise ZooError(f"{path}: the split {side} is empty; found {_sizes(parts)}")
    return parts[side]


def _check_request(path: Path, targets: tuple[str, ...], layout: Layout) -> None:
    if not targets or len(set(targets)) != len(targets):
        raise ZooError(f"targets: expected one or more different columns, got {', '.join(targets) or 'none'}")
    layout.check_applies(path)


def _undivided(path: Path, layout: Layout) -> str:
    reason = "" if labelled.is_fasta(path) else f" (it has no column {layout.split_column!r})"
    return f"{path}: does not say which split a sequence is in{reason}; --split-by {' or '.join(DIVISIONS)} divides it"


def _sizes(parts: Mapping[str, Split]) -> str:
    return ", ".join(f"{len(part):,} in {name}" for name, part in parts.items() if len(part)) or "nothing"


def _layout_of(folder: Path) -> Mapping[str, tuple[str, str]]:
    """The published layout that most files of the folder belong to."""

    def files(layout: Mapping[str, tuple[str, str]]) -> int:
        return sum(labelled.first_file(folder / name) is not None for names in layout.values() for name in names)

    return max(published.layouts(), key=files)


def _published_files(folder: Path, side: str) -> tuple[Path | None, Path | None]:
    fasta, labels = _layout_of(folder)[side]
    return labelled.first_file(folder / fasta), labelled.first_file(folder / labels)


def _read_published(folder: Path, side: str, targets: tuple[str, ...], length: int | None, layout: Layout) -> Split:
    fasta, labels = _published_files(folder, side)
    if fasta is None or labels is None:
        got = "only the sequences" if fasta else "only the labels" if labels else "neither"
        raise ZooError(
            f"{folder}: expected {' and '.join(_layout_of(folder)[side])}, plain or .gz, got {got}; "
            "zoo pull data fetches the published ones"
        )
    return labelled.read_pair(fasta, labels, targets, length, layout).split


def _leakage(parts: dict[str, Split], path: Path, allowed: bool) -> list[str]:
    """A note if sequences are in two splits. Raises ZooError unless `allowed`."""
    shared = splits.shared({side: splits.keys(part.codes) for side, part in parts.items()})
    if not shared:
        return []
    counts = [f"{len(rows):,} of {later} in {earlier} too" for (later, earlier), rows in shared.items()]
    (later, _), records = next(iter(shared.items()))
    names = parts[later].names
    example = names[records[0]] if names else f"record {records[0] + 1} of {later}"
    line = f"{path}: sequences, or their reverse complements, in two splits: {', '.join(counts)} ({example})"
    if not allowed:
        raise ZooError(f"{line}; they make scores too good: remove them, or give --allow-leakage")
    return [line]


def _sha256(parts: dict[str, Split]) -> str:
    digest = hashlib.sha256()
    for side, part in parts.items():
        digest.update(f"{side}{list(part.codes.shape)}{list(part.targets.shape)}".encode())
        digest.update(np.ascontiguousarray(part.codes).data)
        # NaNs may differ in their bits
        targets = np.where(np.isnan(part.targets), np.float32(np.nan), part.targets)
        digest.update(np.ascontiguousarray(targets, "<f4").data)
    return digest.hexdigest()
