"""Cross-runtime parity: the runtimes of this machine on the same FASTA text, against a reference.

Knows no runtime by name; what "the same" means is in comparison.py. One runtime at a time is in memory, with the
predictions of all records.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zoo.checks import comparison
from zoo.checks.comparison import Report, Tolerance
from zoo.errors import CheckFailed, MissingDependency, ZooError
from zoo.formats import columns
from zoo.formats.fasta import Reader
from zoo.formats.names import shown
from zoo.prediction import session
from zoo.prediction.session import Session
from zoo.spec import ALPHABET
from zoo.weights.lookup import resolve

RANDOM_RECORDS = 64
"""Random sequences in the records that are made where none are given."""

SEED = 1


@dataclasses.dataclass(frozen=True)
class Subject:
    """What to check. model, weights: as for zoo.load.  sequences: FASTA; None makes records, see example_fasta."""

    model: str | None = None
    weights: str | Path | None = None
    sequences: Path | None = None

    def open(self, runtime: str) -> Session:
        return session.open_session(resolve(self.model, self.weights, session.files(runtime)), runtime)

    def records(self, length: int, limit: int | None = None) -> tuple[list[str], np.ndarray]:
        """Names and base codes, uint8 (N, L), of the first `limit` records, read from FASTA text."""
        if self.sequences is None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "generated.fa"
                path.write_bytes(example_fasta(length))
                return _read(path, length, limit)
        return _read(self.sequences, length, limit)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One runtime against the reference. `provider` is what really computed."""

    runtime: str
    provider: str
    report: Report


@dataclasses.dataclass(frozen=True)
class Result:
    """skipped: runtime -> why it cannot run here."""

    reference: str
    weights_id: str
    records: int
    comparisons: list[Comparison]
    skipped: dict[str, str]

    @property
    def failed(self) -> list[Comparison]:
        return [comparison for comparison in self.comparisons if not comparison.report.passed]

    def to_json(self) -> str:
        rows = [{"runtime": row.runtime, "provider": row.provider, **row.report.to_dict()} for row in self.comparisons]
        return json.dumps({**dataclasses.asdict(self), "comparisons": rows, "passed": not self.failed}, indent=2)

    def check(self) -> None:
        """Raise CheckFailed, which names the runtimes, if one of them departs from the reference."""
        if self.failed:
            rows = [
                f"{row.runtime} ({row.report.failures} of {row.report.records * row.report.targets} values)"
                for row in self.failed
            ]
            raise CheckFailed(f"parity: differs from {self.reference} by more than the tolerance: {', '.join(rows)}")


def run(
    subject: Subject,
    runtimes: Sequence[str] | None = None,
    reference: str | None = None,
    tolerance: Tolerance | None = None,
) -> Result:
    """Predict with every runtime and compare.

    runtimes: names; None takes all that can run here and lists the others.  reference: a runtime, or a table of
    predictions for `sequences` (tab-separated: name and the targets); None takes the most trusted that can run and does
    not refuse the model.
    Raises ZooError for bad input, MissingDependency for a runtime that was asked for by name and cannot run.
    """
    for name in runtimes or ():
        session.split_name(name)
    table = _as_table(subject, reference)
    if reference is None or table is not None:
        opened = _first_usable(subject, (runtimes or session.runtime_names()) if table else session.references())
    else:
        opened = subject.open(reference)
    first = opened.runtime
    spec = opened.spec
    names, codes = subject.records(spec.sequence_length)
    predicted = opened.predict(codes)
    expected = predicted if table is None else read_table(table, names, spec.targets)

    def compared(running: Session, actual: np.ndarray) -> Comparison:
        report = comparison.compare(expected, actual, names, spec.targets, tolerance)
        return Comparison(running.runtime, running.provider, report)

    comparisons = [compared(opened, predicted)] if table else []
    label = str(table) if table else f"{first} ({opened.provider})"
    del opened
    skipped: dict[str, str] = {}
    for name in runtimes or session.runtime_names():
        if name == first:
            continue
        running = _open(subject, name, skipped if runtimes is None else None)
        if running is None:
            continue
        if running.spec.weights_id != spec.weights_id:
            mine, its = spec.weights_id[:12], running.spec.weights_id[:12]
            raise CheckFailed(f"parity: {first} runs the weights {mine}, {name} runs others, {its}")
        comparisons.append(compared(running, running.predict(codes)))
    if not comparisons:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
        raise ZooError(f"parity: nothing to compare {label} with; {reasons or 'name other runtimes'}")
    return Result(label, spec.weights_id, len(names), comparisons, skipped)


def _open(subject: Subject, name: str, skipped: dict[str, str] | None) -> Session | None:
    """Start a runtime; where it cannot run, say why in `skipped`, or raise if there is none."""
    try:
        return subject.open(name)
    except CheckFailed:
        raise
    except ZooError as error:
        if skipped is None:
            raise
        skipped[name] = _reason(error, name)
        return None


def _as_table(subject: Subject, reference: str | None) -> Path | None:
    """The path of a reference that is a table; None for a runtime."""
    if reference is None or reference in session.runtime_names():
        return None
    if not Path(reference).is_file():
        known = ", ".join(session.runtime_names())
        raise ZooError(f"{reference}: expected a table of predictions or a runtime ({known}), found neither")
    if subject.sequences is None:
        raise ZooError(f"{reference}: a table needs the FASTA file that it was made from; give it with --sequences")
    return Path(reference)


def read_table(path: Path, names: Sequence[str], targets: Sequence[str]) -> np.ndarray:
    """Predictions of a table, float64 (N, T), whose rows must be those of `names` in that order."""
    table = columns.read(path, targets, ("name",))
    if len(table) != len(names):
        raise ZooError(f"{path}: expected a row for each of {len(names):,} sequences, got {len(table):,}")
    for row, (name, given) in enumerate(zip(names, table.text["name"], strict=True), 1):
        if given != name:
            raise ZooError(f"{path}: row {row}: expected the sequence {shown(name)!r}, got {shown(given)!r}")
    if np.isnan(table.numbers).any():
        row, column = (int(place) for place in np.argwhere(np.isnan(table.numbers))[0])
        raise ZooError(f"{path}: column {shown(targets[column])}, row {row + 1}: expected a number, it is missing")
    return table.numbers


def example_fasta(length: int) -> bytes:
    """FASTA text, the same every time: random sequences of `length` bases, and the cases that ports get wrong."""
    letters = np.frombuffer(ALPHABET.encode(), np.uint8)
    random = np.random.default_rng(SEED)
    sequences = letters[random.integers(len(letters), size=(RANDOM_RECORDS, length))]
    sequences[RANDOM_RECORDS // 2 :][random.random((RANDOM_RECORDS // 2, length)) < 0.02] = ord("N")
    records = {f"random_{number}": row.tobytes() for number, row in enumerate(sequences, 1)}
    whole = records["random_1"]
    edge, middle = max(1, length // 25), length // 2
    records |= {
        "lower_case": whole.lower(),
        "one_N": whole[:middle] + b"N" + whole[middle + 1 :],
        "N_at_both_ends": b"N" * edge + whole[edge:-edge] + b"N" * edge,
        "N_run": whole[: middle - edge] + b"N" * (2 * edge) + whole[middle + edge :],
        "all_N": b"N" * length,
        **{f"poly_{base}": base.encode() * length for base in ALPHABET},
    }
    return b"".join(b">%b\n%b\n" % (name.encode(), sequence) for name, sequence in records.items())


def _first_usable(subject: Subject, names: Sequence[str]) -> Session:
    """The first of these runtimes that can run here and takes the model, started."""
    reasons = {}
    for name in names:
        try:
            return subject.open(name)
        except ZooError as error:
            reasons[name] = error
    if len({str(error) for error in reasons.values()}) == 1:
        raise next(iter(reasons.values()))  # it is not the runtimes
    listed = "; ".join(f"{name}: {_reason(error, name)}" for name, error in reasons.items())
    raise MissingDependency(f"parity: none of these can run here: {listed}")


def _reason(error: ZooError, runtime: str) -> str:
    """What an error says, without the name of the runtime in front."""
    return str(error).removeprefix(f"{runtime} cannot run here: ").removeprefix(f"{runtime}: ")


def _read(path: Path, length: int, limit: int | None) -> tuple[list[str], np.ndarray]:
    names: list[str] = []
    parts: list[np.ndarray] = []
    for batch, codes in Reader(path, length):
        names += batch
        parts.append(codes)
        if limit is not None and len(names) >= limit:
            break
    return names[:limit], np.concatenate(parts)[:limit]
