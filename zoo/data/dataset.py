"""What a model is trained and judged on: labelled sequences, divided into splits, and checked for leakage.

Sequences stay base codes (249 bytes each); one-hot is made a batch at a time by whoever computes.
Axes: N sequences, L positions, T targets.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zoo.data import labelled, published, splits
from zoo.data.labelled import DIVISIONS, Layout, Records, Split
from zoo.data.splits import SIDES
from zoo.errors import ZooError

__all__ = ["Dataset", "Layout", "Split", "read", "read_split"]

EVERY_ROW = "all"


@dataclasses.dataclass(frozen=True)
class Dataset:
    """`targets` names the T columns, `source` is the path it was read from.

    sha256: hex, over the codes and targets of all splits.  notes: lines for the user, about leakage that was allowed
    and sequences that changed sides; may be empty.
    """

    train: Split
    validation: Split
    test: Split | None
    targets: tuple[str, ...]
    sha256: str
    source: str
    notes: tuple[str, ...] = ()

    @property
    def splits(self) -> dict[str, Split]:
        """Side -> split, those that are there, in the order of splits.SIDES."""
        return {name: split for name in SIDES if (split := getattr(self, name)) is not None}


def read(
    path: Path,
    targets: tuple[str, ...],
    allow_leakage: bool = False,
    *,
    length: int,
    layout: Layout | None = None,
) -> Dataset:
    """Everything at `path`, divided into train, validation and test (None if there is none).

    path: a folder in a published layout (see published.py; files plain or .gz; row i of the labels belongs to record
    i), a table with a sequence column, or a FASTA file with labels beside it.
    targets: their names; each is the column of exactly its name, else that of published labels. TARGET=COLUMN takes
    another column.
    length: L, bases.  layout: where things stand in one file, and what divides it; the two strands of a sequence never
    fall on two sides.

    Raises ZooError for whatever is missing or not as described, and, unless `allow_leakage`, if a sequence or its
    reverse complement stands in two splits.
    """
    layout = layout or Layout()
    asked = [published.asked(text) for text in targets]
    targets, columns = tuple(target for target, _ in asked), tuple(column for _, column in asked)
    _check_request(path, columns, layout)
    names = [published.target_of(name) for name in targets]
    if len(set(names)) != len(names):
        raise ZooError(f"targets: expected different ones, got {', '.join(targets)}, of which two are the same target")
    notes: list[str] = []
    if path.is_dir():
        parts = {side: _read_published(path, side, columns, length, layout) for side in SIDES if _has(path, side)}
    else:
        records = labelled.read_file(path, columns, length, layout)
        sides, notes = _divide(records, path, layout)
        if sides is None:
            raise ZooError(_undivided(path, layout))
        parts = {side: records.split.rows(sides == i) for i, side in enumerate(SIDES) if (sides == i).any()}
        del records
    for side in ("train", "validation"):
        if side not in parts:
            raise ZooError(f"{path}: the split {side} is empty; there is {_sizes(parts)}")
        _check_targets(parts[side], columns, f"{path}: the split {side}")
    notes += _leakage(parts, path, allow_leakage)
    return Dataset(
        parts["train"], parts["validation"], parts.get("test"), tuple(targets), _sha256(parts), str(path), tuple(notes)
    )


def read_split(
    path: Path,
    split: str,
    targets: tuple[str, ...],
    *,
    length: int,
    layout: Layout | None = None,
) -> Split:
    """One split of what `read` takes; of a folder, its two files alone are read. Leakage is not looked for.

    split: train, validation (val) or test, or "all" for every row of a file.  A FASTA file that `layout` does not
    divide is taken whole.  Raises ZooError as `read` does, and if the split is empty.
    """
    layout = layout or Layout()
    _check_request(path, targets, layout)
    if path.is_dir():
        return _read_published(path, splits.side(split), targets, length, layout)
    side = None if split == EVERY_ROW else splits.side(split)
    records = labelled.read_file(path, targets, length, layout)
    if side is None:
        return records.split
    sides, _ = _divide(records, path, layout)
    if sides is None:
        if labelled.is_fasta(path):
            return records.split
        raise ZooError(f"{_undivided(path, layout)}, --split {EVERY_ROW} takes every row")
    chosen = sides == SIDES.index(side)
    if not chosen.any():
        counts = {name: int((sides == number).sum()) for number, name in enumerate(SIDES)}
        raise ZooError(f"{path}: the split {side} is empty; there is {_sizes(counts)}")
    return records.split.rows(chosen)


def _check_request(path: Path, targets: tuple[str, ...], layout: Layout) -> None:
    if not targets or len(set(targets)) != len(targets):
        raise ZooError(f"targets: expected one or more different columns, got {', '.join(targets) or 'none'}")
    layout.check(path)


def _undivided(path: Path, layout: Layout) -> str:
    reason = "" if labelled.is_fasta(path) else f" (it has no column {layout.split_column!r})"
    return f"{path}: does not say which split a sequence is in{reason}; --split-by {' or '.join(DIVISIONS)} divides it"


def _sizes(parts: Mapping[str, Split | int]) -> str:
    sizes = {name: part if isinstance(part, int) else len(part) for name, part in parts.items()}
    return ", ".join(f"{size:,} in {name}" for name, size in sizes.items() if size) or "nothing"


def _layout_of(folder: Path) -> Mapping[str, tuple[str, str]]:
    """The published layout that most files of the folder belong to."""

    def files(layout: Mapping[str, tuple[str, str]]) -> int:
        return sum(labelled.first_file(folder / name) is not None for names in layout.values() for name in names)

    return max(published.layouts(), key=files)


def _published_files(folder: Path, side: str) -> tuple[Path | None, Path | None]:
    fasta, labels = _layout_of(folder)[side]
    return labelled.first_file(folder / fasta), labelled.first_file(folder / labels)


def _has(folder: Path, side: str) -> bool:
    # the test split may be left out as a whole; of the other two a missing file is an error
    return side != "test" or any(_published_files(folder, side))


def _read_published(folder: Path, side: str, targets: tuple[str, ...], length: int, layout: Layout) -> Split:
    fasta, labels = _published_files(folder, side)
    if fasta is None or labels is None:
        got = "only the sequences" if fasta else "only the labels" if labels else "neither"
        raise ZooError(
            f"{folder}: expected {' and '.join(_layout_of(folder)[side])}, plain or .gz, got {got}; "
            "zoo pull data fetches the published ones"
        )
    return labelled.read_pair(fasta, labels, targets, length, layout).split


def _divide(records: Records, path: Path, layout: Layout) -> tuple[np.ndarray | None, list[str]]:
    """Sides, uint8 (N,), None if nothing divides the records; and notes."""
    if layout.split_by == "fraction":
        keys = splits.keys(records.split.codes)
        return splits.by_fraction(keys, layout.validation_fraction, layout.test_fraction, layout.split_seed), []
    if layout.split_by == "chromosome":
        return _by_chromosome(records, path, layout)
    if records.sides is not None:
        return _sides(records.sides, f"{path}: column {layout.split_column}"), []
    return None, []


def _sides(words: list[str], where: str) -> np.ndarray:
    """Words of a split column -> sides, uint8 (N,)."""
    numbers = {}
    for word in dict.fromkeys(words):
        if word.strip().lower() not in splits.SPELLINGS:
            row = words.index(word) + 1
            raise ZooError(f"{where}, row {row}: expected one of {', '.join(splits.SPELLINGS)}, got {word!r}")
        numbers[word] = SIDES.index(splits.side(word))
    return np.fromiter((numbers[word] for word in words), np.uint8, len(words))


def _by_chromosome(records: Records, path: Path, layout: Layout) -> tuple[np.ndarray, list[str]]:
    chromosomes = records.chromosomes or _chromosomes_in_names(records.split, path, layout)
    if not layout.validation_chromosomes:
        counts = ", ".join(f"{name} ({count:,})" for name, count in Counter(chromosomes).most_common(30))
        raise ZooError(
            f"{path}: --split-by chromosome: say which to hold out, --validation-chromosomes NAME; there are {counts}"
        )
    keys = splits.keys(records.split.codes)
    try:
        sides, moved = splits.by_chromosome(keys, chromosomes, layout.validation_chromosomes, layout.test_chromosomes)
    except ZooError as error:
        raise ZooError(f"{path}: {error}") from None
    if not moved:
        return sides, []
    return sides, [f"{moved:,} sequences stand on several chromosomes too; all their copies went to the held-out side"]


def _chromosomes_in_names(split: Split, path: Path, layout: Layout) -> list[str]:
    """From names such as chr2L_5750_5998_+."""
    if split.names is None:
        raise ZooError(
            f"{path}: --split-by chromosome needs a column {layout.chromosome_column!r} (--chromosome-column NAME "
            f"takes another), or a column {layout.name_column!r} (--name-column) with names such as chr2L_5750_5998"
        )
    found = []
    for row, name in enumerate(split.names, 1):
        chromosome = splits.chromosome(name)
        if chromosome is None:
            raise ZooError(f"{path}: row {row}: expected a name with its chromosome, chr2L_5750_5998, got {name!r}")
        found.append(chromosome)
    return found


def _check_targets(split: Split, targets: tuple[str, ...], where: str) -> None:
    empty = np.isnan(split.targets).all(axis=0)
    if empty.any():
        raise ZooError(f"{where}: no value of {targets[int(np.argmax(empty))]} in any of {len(split):,} rows")


def _leakage(parts: dict[str, Split], path: Path, allowed: bool) -> list[str]:
    """A note if sequences stand on two sides. Raises ZooError unless `allowed`."""
    found = splits.shared({side: splits.keys(part.codes) for side, part in parts.items()})
    if not found:
        return []
    counts = [f"{len(rows):,} of {later} in {earlier} too" for (later, earlier), rows in found.items()]
    (later, _), records = next(iter(found.items()))
    names = parts[later].names
    example = names[records[0]] if names else f"record {records[0] + 1} of {later}"
    line = f"{path}: sequences, or their reverse complements, in two splits: {', '.join(counts)} ({example})"
    if not allowed:
        raise ZooError(f"{line}; their scores flatter a model: remove them, or --allow-leakage")
    return [line]


def _sha256(parts: dict[str, Split]) -> str:
    digest = hashlib.sha256()
    for side, part in parts.items():
        digest.update(f"{side}{list(part.codes.shape)}{list(part.targets.shape)}".encode())
        digest.update(np.ascontiguousarray(part.codes).data)
        # one NaN is not like the other bit for bit
        targets = np.where(np.isnan(part.targets), np.float32(np.nan), part.targets)
        digest.update(np.ascontiguousarray(targets, "<f4").data)
    return digest.hexdigest()
