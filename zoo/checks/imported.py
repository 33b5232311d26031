"""Is a file of another program read as its network was trained? Its numbers decide, or weights that are known.

A file does not say its alphabet, a PyTorch state dict nor its flatten order and epsilon. With predictions that were
made by the network itself, every combination is tried and the one that gives them is taken; without, activities under
every combination are held against those of bundled weights. What could not be decided must be given; nothing is guessed
in silence. How it was decided is kept in the ModelSpec.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zoo.checks import comparison
from zoo.checks.active_sequences import active_sequences
from zoo.checks.comparison import Report
from zoo.checks.parity import read_table
from zoo.dna.encoding import encode
from zoo.errors import CheckFailed, MissingDependency, ZooError
from zoo.formats import columns
from zoo.formats.fasta import Reader
from zoo.prediction import session
from zoo.prediction.session import Session
from zoo.spec import ALPHABET, UNKNOWN_BASE, ModelSpec
from zoo.weights import lookup
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.importers import importing
from zoo.weights.importers.importing import ImportedFile, ImportOptions

SEQUENCE = "sequence"
"""Column of a table that has the sequences in it."""

FEWEST = 10
"""Sequences to match; fewer numbers could be met by chance."""

FIRST = 24
"""Sequences that every combination is tried on; the rest is for those that are right so far."""

TIMES = 10
"""What is so many times nearer than any other combination within the tolerance is taken."""

ROUNDING = 1e-6
"""Differences that two runtimes have anyway; nearer is not nearer."""

SHOWN = 3
"""Combinations that a message names."""

ALIKE = 0.7
"""Least correlation on every target with bundled weights, for what learned the same. Right readings of the published
weights have 0.99, of networks trained anew on the same data 0.9; wrong ones stay under 0.6."""

MARGIN = 0.1
"""By so much the best reading must correlate better than the second best to be told from it."""

NAMES = ("alphabet", "flatten", "epsilon")


@dataclasses.dataclass(frozen=True)
class ImportChecks:
    """What shows that a file is read as it was trained."""

    match: Path | None = None
    """Table of what the network itself predicts: columns called as the targets. Finds all that the file leaves open."""

    match_sequences: Path | None = None
    """FASTA that the table was made from; by default the table has a column sequence."""

    force: bool = False
    """Take the file as it was said to be read, though bundled weights say otherwise."""


UNMATCHED = ImportChecks()


def read(path: Path, options: ImportOptions, architecture: str | None, checks: ImportChecks) -> Checkpoint:
    """Import a file as importing.read does, with what it leaves open decided or checked.

    With `checks.match`, a combination of alphabet, flatten order and epsilon is taken only if it gives every number of
    the table within the tolerance of parity, no other that leads to other weights does so as well (less than TIMES
    farther off), and nothing that was given in `options` says otherwise. Without, `options` are as given or default;
    they are refused where bundled weights of that architecture tell the combinations apart and agree with another one.
    Where those cannot tell, the alphabet must be given. Order and names of outputs are never guessed.
    Raises ZooError for all of that, and as importing.read.
    """
    if checks.match is None and checks.match_sequences is not None:
        raise ZooError("--match-sequences: expected together with --match, the table of their predictions")
    if checks.match is not None and checks.force:
        raise ZooError("--force: expected without --match; numbers that are not reproduced are no matter of opinion")
    file = importing.read_file(path, options.graph)
    if checks.match is not None:
        return _matched(file, options, architecture, checks.match, checks.match_sequences)
    weights = importing.assemble(file, options, architecture)
    if len(importing.combinations(file)) == 1:
        return weights
    return _compared(file, options, weights, checks)


class _Readings:
    """Predictions of a file under any combination. A base order of the network is one of its input, the other way."""

    def __init__(self, file: ImportedFile, architecture: str | None) -> None:
        self._file = file
        self._architecture = architecture
        self._sessions: dict[ImportOptions, Session] = {}

    def predict(self, options: ImportOptions, codes: np.ndarray) -> np.ndarray:
        plain = dataclasses.replace(options, alphabet=None if options.alphabet is None else ALPHABET)
        if plain not in self._sessions:
            self._sessions[plain] = _open(self.weights(plain))
        return self._sessions[plain].predict(_recoded(codes, options.alphabet or ALPHABET))

    def weights(self, options: ImportOptions) -> Checkpoint:
        return importing.assemble(self._file, options, self._architecture)


def _recoded(codes: np.ndarray, alphabet: str) -> np.ndarray:
    """Base codes for a network with the channels of ALPHABET that give what those of `alphabet` would give."""
    return np.array([*map(alphabet.index, ALPHABET), UNKNOWN_BASE], np.uint8)[codes]


def _open(weights: Checkpoint) -> Session:
    """Weights on the first automatic runtime that takes arrays as they are, without an export, else any that can."""
    names = session.automatic()
    for name in sorted(names, key=lambda name: bool(session.files(name))):
        if session.missing(name) is None and session.refuses(name, weights.spec) is None:
            return session.open_session(weights, name)
    raise MissingDependency(f"none of {', '.join(names)} can run here, to check what is imported")


def _called(options: ImportOptions) -> str:
    """A combination as a user would give it: --alphabet ACTG --flatten channel."""
    values = {name: getattr(options, name) for name in NAMES}
    return " ".join(f"--{name} {value}" for name, value in values.items() if value is not None)


def _short(options: ImportOptions) -> str:
    return " ".join(str(getattr(options, name)) for name in NAMES if getattr(options, name) is not None)


def _used(like: ImportOptions, options: ImportOptions) -> ImportOptions:
    """What `options` stand for, by the names that `like` has."""
    return dataclasses.replace(
        like, alphabet=options.alphabet or ALPHABET, flatten=options.flatten or ("channel" if like.flatten else None)
    )


@dataclasses.dataclass(frozen=True)
class _Numbers:
    """What the network itself says. codes: uint8 (N, L).  expected: float64 (N, T).  name: of the table."""

    name: str
    codes: np.ndarray
    expected: np.ndarray
    targets: tuple[str, ...]

    def head(self, rows: int) -> _Numbers:
        return dataclasses.replace(self, codes=self.codes[:rows], expected=self.expected[:rows])

    def against(self, actual: np.ndarray) -> Report:
        return comparison.compare(self.expected, actual, [str(row) for row in range(len(actual))], self.targets)


def _matched(
    file: ImportedFile, options: ImportOptions, architecture: str | None, table: Path, fasta: Path | None
) -> Checkpoint:
    readings = _Readings(file, architecture)
    tried = importing.combinations(file, options)
    numbers = _numbers(table, fasta, readings.weights(tried[0]).spec)

    def reports(combinations: Sequence[ImportOptions], some: _Numbers) -> dict[ImportOptions, Report]:
        """The nearest first."""
        found = {one: some.against(readings.predict(one, some.codes)) for one in combinations}
        return dict(sorted(found.items(), key=lambda item: item[1].max_difference))

    first = reports(tried, numbers.head(FIRST))
    right = [one for one, report in first.items() if report.passed]
    found = reports(right or list(first)[:SHOWN], numbers)
    chosen = _only_one(file, options, {one: found[one] for one in found if found[one].passed} or found, readings)
    weights = readings.weights(chosen)
    report = numbers.against(_open(weights).predict(numbers.codes))
    if not report.passed:
        raise CheckFailed(
            f"{file.path}: {_called(chosen)}: off by {report.max_difference:.2g} once it was put together"
        )
    count, near = numbers.expected.size, max(report.max_difference, ROUNDING)
    return _noted(weights, f"matched {count:,} predictions of {numbers.name} within {near:.1g}")


def _only_one(
    file: ImportedFile, options: ImportOptions, found: dict[ImportOptions, Report], readings: _Readings
) -> ImportOptions:
    """The combination that alone gives the numbers, of those found, nearest first. Raises ZooError if there is none."""
    (nearest, report), *others = found.items()
    listed = "; ".join(f"{_short(one)} off by {found[one].max_difference:.2g}" for one in list(found)[:SHOWN])
    if not report.passed:
        raise ZooError(f"{file.path}: no way to read it gives the numbers to match, the nearest: {listed}")
    bound = TIMES * max(report.max_difference, ROUNDING)
    wanted = readings.weights(nearest).spec.weights_id
    near = [one for one, other in others if other.max_difference < bound]
    equal = [nearest, *(one for one in near if readings.weights(one).spec.weights_id != wanted)]
    fitting = [one for one in equal if _agrees(one, options)]
    if not fitting:
        raise ZooError(f"{file.path}: the numbers to match say {_called(nearest)}, not {_called(options)}")
    if len(fitting) > 1:
        open_ones = [f"--{name}" for name in NAMES if len({getattr(one, name) for one in fitting}) > 1]
        raise ZooError(
            f"{file.path}: {len(fitting)} ways to read it give the numbers to match, {listed}; "
            f"give {' and '.join(open_ones)}, or other sequences"
        )
    return fitting[0]


def _agrees(one: ImportOptions, options: ImportOptions) -> bool:
    return all(
        getattr(options, name) is None or str(getattr(options, name)).upper() == str(getattr(one, name)).upper()
        for name in NAMES
    )


def _numbers(path: Path, fasta: Path | None, spec: ModelSpec) -> _Numbers:
    """Sequences and predictions of a table and its FASTA. Raises ZooError if they are not for that model, or few."""
    if fasta is not None:
        batches = list(Reader(fasta, spec.sequence_length))
        codes = np.concatenate([codes for _, codes in batches])
        expected = read_table(path, [name for names, _ in batches for name in names], spec.targets)
    else:
        table = columns.read(path, spec.targets, text=[SEQUENCE])
        codes, expected = _encoded(table.text[SEQUENCE], spec.sequence_length, path), table.numbers
    if len(np.unique(codes, axis=0)) < FEWEST:
        raise ZooError(f"{path}: expected {FEWEST} or more different sequences, fewer could be met by chance")
    if not np.isfinite(expected).all():
        row, column = (int(index) for index in np.argwhere(~np.isfinite(expected))[0])
        raise ZooError(
            f"{path}, row {row + 1}: expected a prediction in the column {spec.targets[column]}, it has none"
        )
    return _Numbers(path.name, codes, expected.astype(np.float64), spec.targets)


def _encoded(sequences: Sequence[str], length: int, path: Path) -> np.ndarray:
    for row, sequence in enumerate(sequences, 1):
        if len(sequence) != length:
            raise ZooError(f"{path}, row {row}: expected a sequence of {length} bases, got {len(sequence)}")
    try:
        return encode(sequences)
    except ZooError as error:
        raise ZooError(f"{path}: {error}") from None


def _compared(file: ImportedFile, options: ImportOptions, weights: Checkpoint, checks: ImportChecks) -> Checkpoint:
    """As `read` without numbers to match: against the bundled weights of that architecture."""
    known = _bundled(weights)
    if known is None:
        architecture = weights.spec.architecture
        return _unchecked(file, options, weights, f"no weights of {architecture} for such sequences are bundled")
    name, other = known
    running = _open(other)
    codes = active_sequences(running)
    expected = running.predict(codes)

    def alike(spec: ModelSpec, actual: np.ndarray) -> float:
        """The lowest correlation over the targets that both have."""
        shared = [target for target in spec.targets if target in other.spec.targets]
        left, right = (
            table[:, [own.targets.index(target) for target in shared]]
            for own, table in ((other.spec, expected), (spec, actual))
        )
        r = comparison.compare(left, right, [str(row) for row in range(len(codes))], shared).pearson
        return -1.0 if math.isnan(r) else r

    readings = _Readings(file, weights.spec.architecture)
    tried = [dataclasses.replace(one, epsilon=options.epsilon) for one in importing.combinations(file)]
    scores = {one: alike(weights.spec, readings.predict(one, codes)) for one in dict.fromkeys(tried)}
    best, second = sorted(scores, key=lambda one: -scores[one])[:2]
    own = alike(weights.spec, _open(weights).predict(codes))
    if scores[best] < ALIKE or scores[best] - scores[second] < MARGIN:
        return _unchecked(file, options, weights, f"no one reading of it is like the bundled {name}")
    if own > scores[second] + MARGIN / 2:
        return _noted(weights, f"r {own:.2f} with the bundled {name}, {scores[second]:.2f} if read another way")
    told = f"r {own:.2f} with the bundled {name}, {scores[best]:.2f} as {_called(best)}"
    if not checks.force:
        raise ZooError(f"{file.path}: read as {_called(_used(best, options))} it has {told}; give that, or --force")
    return _noted(weights, f"{told}; forced")


def _bundled(weights: Checkpoint) -> tuple[str, Checkpoint] | None:
    """Bundled weights of the architecture for sequences of that length with a target of that name, if there are any:
    those of a network of the same sizes before others."""
    spec, catalog = weights.spec, lookup.catalog()
    names = [name for name, architecture in lookup.variants().items() if architecture == spec.architecture]
    found = [(name, lookup.load(name)) for name in names if name in catalog]
    fitting = [
        (name, other)
        for name, other in found
        if other.spec.sequence_length == spec.sequence_length and set(other.spec.targets) & set(spec.targets)
    ]
    sizes = _sizes(weights)
    return next((known for known in fitting if _sizes(known[1]) == sizes), next(iter(fitting), None))


def _sizes(weights: Checkpoint) -> list[tuple[int, ...]]:
    return [array.shape for name, array in sorted(weights.arrays.items()) if array.ndim > 1]


def _unchecked(file: ImportedFile, options: ImportOptions, weights: Checkpoint, reason: str) -> Checkpoint:
    if options.alphabet is None:
        raise ZooError(
            f"{file.path}: cannot tell its base order, {reason}; give --alphabet ACGT or another, "
            "or let --match find out"
        )
    return _noted(weights, f"not checked, {reason}")


def _noted(weights: Checkpoint, how: str) -> Checkpoint:
    spec = dataclasses.replace(weights.spec, imported=f"{weights.spec.imported}; {how}")
    return dataclasses.replace(weights, spec=spec)
