"""Import a file so that it gives the predictions that its own program made: `zoo import --match`.

A file of another program may not say its base order; a PyTorch file its flatten order and epsilon either, and a network
with its graph its layout, its strands and what an N is. Every combination is tried on those sequences, and the one that
gives the numbers is used. Nothing is guessed: if several give them, the user must give the option that decides. How the
file was read is kept in the ModelSpec.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np

from zoo.checks import agreement
from zoo.checks.agreement import TableReport
from zoo.checks.parity import read_table
from zoo.dna.encoding import encode
from zoo.errors import CheckFailed, ZooError
from zoo.formats import columns
from zoo.formats.fasta import Reader
from zoo.frame import CODES, LETTERS, Frame
from zoo.prediction import session
from zoo.prediction.automatic import open_automatic
from zoo.prediction.session import Session
from zoo.spec import ALPHABET, UNKNOWN_BASE, ModelSpec
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.importers import framed, graph_import, importer
from zoo.weights.importers.frame_options import FrameOptions
from zoo.weights.importers.graphs.graph import BASES, ForeignGraph, Tensor
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
    spec = readings.weights(combinations[0]).spec
    expected = _read_expected(table, fasta, spec.sequence_length, spec.targets)
    chosen, _ = _found(path, options, combinations, expected, readings)
    weights = readings.weights(chosen)
    report = expected.compare(_open(weights).predict(expected.codes))
    if not report.passed:
        raise CheckFailed(f"{path}: {_as_flags(chosen)}: the imported weights are off by {report.max_difference:.2g}")
    matched = _matched(expected, report, table)
    spec = dataclasses.replace(weights.spec, imported=f"{weights.spec.imported}; {matched}")
    return dataclasses.replace(weights, spec=spec)


def import_graphs(
    paths: Sequence[Path],
    output: Path,
    options: ImportOptions,
    framing: FrameOptions,
    table: Path,
    fasta: Path | None = None,
    overwrite: bool = False,
) -> ModelSpec:
    """Import networks with their graphs as graph_import.import_files does, and find from the predictions of their own
    program what the options leave open: alphabet, strands (given, or the mean of both), what an N is if the sequences
    have one, and the layout if the graph admits several.

    table, fasta: as for `read`. A combination is accepted as there. Returns the spec.
    Raises ZooError if no combination or several give the numbers, or the table does not fit; and as import_files.
    """
    if framing.frame is not None:
        raise ZooError(f"--match: finds what the options leave open, {framing.frame} says all; give one of them")

    def find(graphs: Sequence[ForeignGraph]) -> tuple[Frame, str]:
        readings = _Framings(graphs, options, framing)
        said = Framing(options.alphabet, framing.layout, framing.strand, framing.turns, framing.unknown)
        some = readings.frame(readings.combinations(unknown=False)[0])
        length, _ = framed.lengths(some, framed.dna_input(some, graphs[0].inputs))
        expected = _read_expected(table, fasta, length, tuple(target.name for target in some.targets))
        unknown = bool((expected.codes == UNKNOWN_BASE).any())
        every = readings.combinations(unknown)
        chosen, report = _found(paths[0], said, every, expected, readings)
        return readings.frame(chosen), f"{_as_flags(chosen)}: {_matched(expected, report, table)}"

    return graph_import.import_files(paths, output, options, framing, overwrite, find)


def _matched(expected: Expected, report: TableReport, table: Path) -> str:
    """What was compared, for the ModelSpec."""
    near = max(report.max_difference, ROUNDING)
    return f"matched {expected.activities.size:,} predictions of {table.name} within {near:.1g}"


Combination = TypeVar("Combination")
"""ImportOptions, or Framing."""


class _Tried(Protocol):
    """A file read under any combination."""

    def predict(self, options: Any, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L) -> predictions, (N, T)."""

    def identity(self, options: Any) -> str:
        """The same text for combinations that are the same network."""


class _Readings:
    """A file of weights. Another base order is applied to the input, which spares a new session."""

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

    def identity(self, options: ImportOptions) -> str:
        return self.weights(options).spec.weights_id


@dataclasses.dataclass(frozen=True)
class Framing:
    """What `import_graphs` finds, see FrameOptions; None is open."""

    alphabet: str | None = None
    layout: str | None = None
    strand: Literal["given", "mean", "graph"] | None = None
    turns: Literal["sequence", "construct"] | None = None
    unknown: float | None = None


class _Framings:
    """Networks with their graphs, the mean of which is compared."""

    def __init__(self, graphs: Sequence[ForeignGraph], options: ImportOptions, framing: FrameOptions) -> None:
        self._graphs, self._options, self._framing = graphs, options, framing

    def frame(self, one: Framing) -> Frame:
        options = dataclasses.replace(self._options, alphabet=one.alphabet)
        values = {name: value for name, value in vars(one).items() if name != "alphabet"}
        return graph_import.frame_from_options(self._graphs[0], options, dataclasses.replace(self._framing, **values))

    def combinations(self, unknown: bool) -> list[Framing]:
        """Every combination. What the numbers cannot show is as the user says: the layout of codes, the value of an N
        if `unknown` is false, and whether a network for which only the given strand counts sees both itself."""
        said = self._framing
        one_hot = said.layout not in (CODES, LETTERS)
        layouts: list[str | None] = [*(layouts_of(self._graphs[0].inputs[0]) if one_hot else ())] or [said.layout]
        alphabets = map("".join, itertools.permutations(ALPHABET)) if said.layout != LETTERS else [ALPHABET]
        mean = ["sequence", "construct"] if said.left or said.right else [None]
        strands = [("graph" if said.strand == "graph" else "given", None), *(("mean", turned) for turned in mean)]
        unknowns = [0.0, 0.25] if unknown and one_hot else [said.unknown]
        return [
            Framing(alphabet, layout, *strand, value)  # type: ignore[arg-type]
            for alphabet, layout, strand, value in itertools.product(alphabets, layouts, strands, unknowns)
        ]

    def predict(self, one: Framing, codes: np.ndarray) -> np.ndarray:
        frame = self.frame(one)
        members = [framed.predicted(graph.run, codes, frame, graph.inputs) for graph in self._graphs]
        mean: np.ndarray = np.mean(members, axis=0)
        return mean

    def identity(self, one: Framing) -> str:
        return str(one)


def layouts_of(tensor: Tensor) -> list[str]:
    """Layouts of a one-hot input that its shape admits: an axis of the bases, one of the positions, and others of 1."""
    sizes = tensor.shape
    found = []
    for channels, positions in itertools.permutations(range(1, len(sizes)), 2):
        letters = {channels: "C", positions: "L"}
        others = [size for place, size in enumerate(sizes) if place and place not in letters]
        if sizes[channels] == BASES and all(size == 1 for size in others):
            found.append("N" + "".join(letters.get(place, "1") for place in range(1, len(sizes))))
    return found


def _compare(tried: _Tried, combinations: Sequence[Combination], expected: Expected) -> dict[Combination, TableReport]:
    """Combination -> its difference from the numbers, the nearest first."""
    reports = {one: expected.compare(tried.predict(one, expected.codes)) for one in combinations}
    return dict(sorted(reports.items(), key=lambda item: item[1].max_difference))


def _found(
    path: Path,
    options: Combination,
    combinations: Sequence[Combination],
    expected: Expected,
    tried: _Tried,
) -> tuple[Combination, TableReport]:
    """The combination that gives the numbers, and how near it is. Raises ZooError if there is none, or several."""
    first = _compare(tried, combinations, expected.first(FIRST_SEQUENCES))
    passed = [one for one, report in first.items() if report.passed]
    reports = _compare(tried, passed or list(first)[:LISTED], expected)
    chosen = _only_one(path, options, {one: r for one, r in reports.items() if r.passed} or reports, tried)
    return chosen, reports[chosen]


def _open(weights: Checkpoint) -> Session:
    """A session on the first automatic runtime that can run; runtimes that need an export come last."""
    names = sorted(session.automatic(), key=lambda name: bool(session.files(name)))
    return open_automatic(lambda _: weights, runtimes=names)


def _only_one(path: Path, options: Combination, reports: dict[Combination, TableReport], tried: _Tried) -> Combination:
    """The only combination, of those in `reports`, nearest first, that gives the numbers; else raise ZooError."""
    (nearest, report), *others = reports.items()
    listed = "; ".join(f"{_values(one)} off by {reports[one].max_difference:.2g}" for one in list(reports)[:LISTED])
    if not report.passed:
        raise ZooError(f"{path}: no combination gives the numbers to match, the nearest: {listed}")
    bound = DISTINCT * max(report.max_difference, ROUNDING)
    identity = tried.identity(nearest)
    near = [one for one, other in others if other.max_difference < bound]
    equal = [nearest, *(one for one in near if tried.identity(one) != identity)]
    fitting = [one for one in equal if _agrees(one, options)]
    if not fitting:
        raise ZooError(f"{path}: the numbers to match need {_as_flags(nearest)}, not {_as_flags(options)}")
    if len(fitting) > 1:
        undecided = [f"--{name}" for name in _names(fitting[0]) if len({getattr(one, name) for one in fitting}) > 1]
        raise ZooError(
            f"{path}: {len(fitting)} combinations give the numbers to match, {listed}; give {' and '.join(undecided)}, "
            "or match other sequences"
        )
    return fitting[0]


def _names(one: Any) -> list[str]:
    """The options that a combination consists of."""
    return ["alphabet", "flatten", "epsilon"] if isinstance(one, ImportOptions) else list(vars(one))


def _agrees(one: Any, options: Any) -> bool:
    given = [(getattr(options, name), getattr(one, name)) for name in _names(one)]
    return all(value is None or str(value).upper() == str(tried).upper() for value, tried in given)


def _as_flags(options: Any) -> str:
    """A combination as a user types it: --alphabet ACTG --flatten channel."""
    values = {name: getattr(options, name) for name in _names(options)}
    return " ".join(f"--{name} {value}" for name, value in values.items() if value is not None)


def _values(options: Any) -> str:
    return " ".join(str(getattr(options, name)) for name in _names(options) if getattr(options, name) is not None)


def _read_expected(path: Path, fasta: Path | None, length: int, targets: tuple[str, ...]) -> Expected:
    """Sequences and predictions of a table. Raises ZooError if they do not fit the model, or are too few."""
    if fasta is not None:
        batches = list(Reader(fasta, length))
        codes = np.concatenate([codes for _, codes in batches])
        activities = read_table(path, [name for names, _ in batches for name in names], targets)
    else:
        table = columns.read(path, targets, text=[SEQUENCE])
        for row, sequence in enumerate(table.text[SEQUENCE], 1):
            if len(sequence) != length:
                raise ZooError(f"{path}, row {row}: expected a sequence of {length} bases, got {len(sequence)}")
        try:
            codes, activities = encode(table.text[SEQUENCE]), table.numbers
        except ZooError as error:
            raise ZooError(f"{path}: {error}") from None
    if (count := len(np.unique(codes, axis=0))) < LEAST_SEQUENCES:
        raise ZooError(f"{path}: expected at least {LEAST_SEQUENCES} different sequences, got {count}")
    if not np.isfinite(activities).all():
        row, column = (int(index) for index in np.argwhere(~np.isfinite(activities))[0])
        raise ZooError(f"{path}, row {row + 1}: expected a number in the column {targets[column]}, it is missing")
    return Expected(codes, activities.astype(np.float64), targets)
