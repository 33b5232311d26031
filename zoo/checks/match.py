"""Import a file so that it gives the predictions that its own program made: `zoo import --match`.

A file of another program may not say its base order, and a PyTorch file its flatten order and epsilon too. Every
combination is tried on those sequences, and the one that gives the numbers is used. Nothing is guessed: if several give
them, the user must give the option that decides. How the file was read is kept in the ModelSpec.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zoo.checks import agreement
from zoo.checks.agreement import TableReport
from zoo.checks.parity import read_table
from zoo.dna.encoding import encode
from zoo.errors import CheckFailed, ZooError
from zoo.formats import columns
from zoo.formats.fasta import Reader
from zoo.prediction import session
from zoo.prediction.automatic import open_automatic
from zoo.prediction.session import Session
from zoo.spec import ALPHABET, UNKNOWN_BASE, ModelSpec
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.importers import importer
from zoo.weights.importers.layers import ImportedFile, ImportOptions

SEQUENCE = "sequence"
"""Column of the table that holds the sequences, if there is no FASTA file."""

LEAST_SEQUENCES = 10
"""Minimum number of sequences; on fewer, a wrong combination could give the numbers by chance."""

FIRST_SEQUENCES = 24
"""Sequences that every combination is tried on; the others check those that gave the first numbers."""

DISTINCT = 10
"""A combination is accepted if every other one is at least this many times farther from the numbers."""

ROUNDING = 1e-6
"""Difference between two runtimes with the same weights; combinations below it are equally near."""

LISTED = 3
"""Maximum number of combinations in a message."""

NAMES = ("alphabet", "flatten", "epsilon")


@dataclasses.dataclass(frozen=True)
class Expected:
    """Predictions of a file's own program. codes: uint8 (N, L).  activities: float64 (N, T)."""

    codes: np.ndarray
    activities: np.ndarray
    targets: tuple[str, ...]

    def first(self, rows: int) -> Expected:
        return Expected(self.codes[:rows], self.activities[:rows], self.targets)

    def compare(self, activities: np.ndarray) -> TableReport:
        return agreement.compare(
            self.activities, activities, [str(row) for row in range(len(activities))], self.targets
        )


def read(
    path: Path, options: ImportOptions, architecture: str | None, table: Path, fasta: Path | None = None
) -> Checkpoint:
    """Import a file as importer.read does, and find from its predictions what it leaves open.

    table: predictions, with a column for each target, and a column `sequence` unless `fasta` holds the sequences.
    A combination of alphabet, flatten order and epsilon is accepted only if it gives every number within the tolerance
    of parity, every other one that leads to other weights is at least DISTINCT times farther off, and it agrees with
    `options`. Order and names of outputs are never tried.
    Raises ZooError if no combination or several give the numbers, or the table does not fit; and as importer.read.
    """
    file = importer.read_file(path, options.graph, options.prefix)
    readings = _Readings(file, architecture)
    combinations = importer.combinations(file, options, architecture)
    expected = _read_expected(table, fasta, readings.weights(combinations[0]).spec)
    first = readings.compare(combinations, expected.first(FIRST_SEQUENCES))
    passed = [one for one, report in first.items() if report.passed]
    reports = readings.compare(passed or list(first)[:LISTED], expected)
    chosen = _only_one(path, options, {one: r for one, r in reports.items() if r.passed} or reports, readings)
    weights = readings.weights(chosen)
    report = expected.compare(_open(weights).predict(expected.codes))
    if not report.passed:
        raise CheckFailed(f"{path}: {_as_flags(chosen)}: the imported weights are off by {report.max_difference:.2g}")
    near = max(report.max_difference, ROUNDING)
    matched = f"matched {expected.activities.size:,} predictions of {table.name} within {near:.1g}"
    spec = dataclasses.replace(weights.spec, imported=f"{weights.spec.imported}; {matched}")
    return dataclasses.replace(weights, spec=spec)


class _Readings:
    """A file read under any combination. Another base order is applied to the input, which spares a new session."""

    def __init__(self, file: ImportedFile, architecture: str | None) -> None:
        self._file = file
        self._architecture = architecture
        self._sessions: dict[ImportOptions, Session] = {}

    def weights(self, options: ImportOptions) -> Checkpoint:
        return importer.assemble(self._file, options, self._architecture)

    def predict(self, options: ImportOptions, codes: np.ndarray) -> np.ndarray:
        alphabet = options.alphabet or ALPHABET
        own = dataclasses.replace(options, alphabet=options.alphabet and ALPHABET)
        if own not in self._sessions:
            self._sessions[own] = _open(self.weights(own))
        recoded = np.array([*map(alphabet.upper().index, ALPHABET), UNKNOWN_BASE], np.uint8)[codes]
        return self._sessions[own].predict(recoded)

    def compare(self, combinations: Sequence[ImportOptions], expected: Expected) -> dict[ImportOptions, TableReport]:
        """Combination -> its difference from the numbers, the nearest first."""
        reports = {one: expected.compare(self.predict(one, expected.codes)) for one in combinations}
        return dict(sorted(reports.items(), key=lambda item: item[1].max_difference))


def _open(weights: Checkpoint) -> Session:
    """A session on the first automatic runtime that can run; runtimes that need an export come last."""
    names = sorted(session.automatic(), key=lambda name: bool(session.files(name)))
    return open_automatic(lambda _: weights, runtimes=names)


def _only_one(
    path: Path, options: ImportOptions, reports: dict[ImportOptions, TableReport], readings: _Readings
) -> ImportOptions:
    """The only combination, of those in `reports`, nearest first, that gives the numbers; else raise ZooError."""
    (nearest, report), *others = reports.items()
    listed = "; ".join(f"{_values(one)} off by {reports[one].max_difference:.2g}" for one in list(reports)[:LISTED])
    if not report.passed:
        raise ZooError(f"{path}: no combination gives the numbers to match, the nearest: {listed}")
    bound = DISTINCT * max(report.max_difference, ROUNDING)
    weights_id = readings.weights(nearest).spec.weights_id
    near = [one for one, other in others if other.max_difference < bound]
    equal = [nearest, *(one for one in near if readings.weights(one).spec.weights_id != weights_id)]
    fitting = [one for one in equal if _agrees(one, options)]
    if not fitting:
        raise ZooError(f"{path}: the numbers to match need {_as_flags(nearest)}, not {_as_flags(options)}")
    if len(fitting) > 1:
        undecided = [f"--{name}" for name in NAMES if len({getattr(one, name) for one in fitting}) > 1]
        raise ZooError(
            f"{path}: {len(fitting)} combinations give the numbers to match, {listed}; give {' and '.join(undecided)}, "
            "or match other sequences"
        )
    return fitting[0]


def _agrees(one: ImportOptions, options: ImportOptions) -> bool:
    given = [(getattr(options, name), getattr(one, name)) for name in NAMES]
    return all(value is None or str(value).upper() == str(tried).upper() for value, tried in given)


def _as_flags(options: ImportOptions) -> str:
    """A combination as a user types it: --alphabet ACTG --flatten channel."""
    values = {name: getattr(options, name) for name in NAMES}
    return " ".join(f"--{name} {value}" for name, value in values.items() if value is not None)


def _values(options: ImportOptions) -> str:
    return " ".join(str(getattr(options, name)) for name in NAMES if getattr(options, name) is not None)


def _read_expected(path: Path, fasta: Path | None, spec: ModelSpec) -> Expected:
    """Sequences and predictions of a table. Raises ZooError if they do not fit the model, or are too few."""
    if fasta is not None:
        batches = list(Reader(fasta, spec.sequence_length))
        codes = np.concatenate([codes for _, codes in batches])
        activities = read_table(path, [name for names, _ in batches for name in names], spec.targets)
    else:
        table = columns.read(path, spec.targets, text=[SEQUENCE])
        for row, sequence in enumerate(table.text[SEQUENCE], 1):
            if len(sequence) != spec.sequence_length:
                raise ZooError(
                    f"{path}, row {row}: expected a sequence of {spec.sequence_length} bases, got {len(sequence)}"
                )
        try:
            codes, activities = encode(table.text[SEQUENCE]), table.numbers
        except ZooError as error:
            raise ZooError(f"{path}: {error}") from None
    if (count := len(np.unique(codes, axis=0))) < LEAST_SEQUENCES:
        raise ZooError(f"{path}: expected at least {LEAST_SEQUENCES} different sequences, got {count}")
    if not np.isfinite(activities).all():
        row, column = (int(index) for index in np.argwhere(~np.isfinite(activities))[0])
        raise ZooError(f"{path}, row {row + 1}: expected a number in the column {spec.targets[column]}, it is missing")
    return Expected(codes, activities.astype(np.float64), spec.targets)
