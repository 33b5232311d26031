"""Files of sequences to tables of activities.

Files are checked before any work is done. Reading, inference and writing overlap. Memory does not grow with FASTA.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NamedTuple, Protocol

import numpy as np

from zoo.dna.read_options import STRICT, ReadOptions
from zoo.formats import table_writer
from zoo.formats.fasta import Counts, Reader, check_readable
from zoo.formats.table_writer import Column, Digested, Layout
from zoo.prediction import description, profiles
from zoo.prediction.columns import opened as columns_of
from zoo.prediction.held_out import HeldOut
from zoo.prediction.model import Model
from zoo.prediction.options import CalibratedOptions, TableOptions
from zoo.prediction.tables import TableRecords
from zoo.system import futures, pipeline
from zoo.system.atomic import check_target, replacing_together

CHUNK_RECORDS = 4096
"""Records that go through the pipeline together, rounded to whole batches of the runtime."""


class Predicted(NamedTuple):
    """Predictions of N records.

    numbers: of all members, float32 (N, M * T), see members.Each.  after: columns after the numbers.  used: which
    members predict each record, bool (N, M); None for all.
    """

    numbers: np.ndarray
    after: Sequence[Column] = ()
    used: np.ndarray | None = None


Positions = Mapping[str, np.ndarray]
"""Profile -> its numbers, float32 (N, T, P)."""

STANDARD_OUTPUT = 1
"""File descriptor. sys.stdout has a lock that a blocked thread would hold when the program ends."""

TERMINAL_DECIMALS = 3
"""Decimals of a number at a terminal, where people read. Files and pipes get all digits."""


@dataclasses.dataclass(frozen=True)
class PredictionJob:
    """What one prediction reads and writes.

    source: a FASTA file or a table, or several, whose records follow each other; "-" is standard input.
    output: the table, in the format of its suffix, see zoo/formats/table_writer.py; None is standard output. A
        description of the run is written beside it, see `description_path`.
    weights: the files of the model. Like `source`, they are never replaced.
    command: what the user typed, for the description.
    table: the columns of the files, if they are tables.
    profiles: file for the numbers of each position, see zoo/prediction/profiles.py.
    held_out: which members of an ensemble predict an interval; None for all.
    background: file of zoo background; the table then has the percentile beside each number.
    calibrated: the file of zoo calibrate, with which the table has an interval beside each number.
    """

    source: str | Path | tuple[str | Path, ...]
    output: Path | None = None
    reading: ReadOptions = STRICT
    overwrite: bool = False
    command: str = ""
    weights: tuple[Path, ...] = ()
    table: TableOptions = dataclasses.field(default_factory=TableOptions)
    profiles: Path | None = None
    background: Path | None = None
    calibrated: CalibratedOptions = dataclasses.field(default_factory=CalibratedOptions)
    held_out: HeldOut | None = None

    UNIT: ClassVar[str] = "sequences"
    """Plural name of a record."""

    LABELS: ClassVar[Mapping[str, type]] = {"name": str}
    """Columns of the table before the targets, with their types."""

    def records(self, length: int, batch_size: int) -> Records:
        """The records to predict, for a model that takes `length` bases."""
        if self.table.column is not None:
            return TableRecords(self.sources, self.table, length, batch_size, self.reading)
        return FastaRecords(Reader(self.sources, length, batch_size, self.reading))

    def after(self, targets: Sequence[str]) -> Mapping[str, type]:  # noqa: ARG002
        """Columns of the table after the targets, with their types."""
        return {}

    def submit(self, model: Model, labels: Sequence[Column], batch: Any) -> Future[Predicted]:  # noqa: ARG002
        """Start to predict a batch of `records`: their label columns, and base codes, uint8 (N, L)."""
        return futures.joined([model.each.submit(batch)], lambda parts: Predicted(parts[0]))

    def check_output(self) -> None:
        """Raise ZooError if the outputs could not be written."""
        if self.output is not None:
            check_target(self.output, self.overwrite, self.inputs)
            for path, overwrite in self.outputs().items():
                check_target(path, overwrite, self.inputs)
            table_writer.check_name(self.output)
        if self.profiles is not None:
            profiles.check_output(self.profiles, self.output, self.overwrite, self.inputs)

    @property
    def sources(self) -> tuple[str | Path, ...]:
        return self.source if isinstance(self.source, tuple) else (self.source,)

    def check_sources(self) -> None:
        """Raise ZooError if a file of sequences does not exist or cannot be read."""
        check_readable(self.sources)

    @property
    def inputs(self) -> tuple[str | Path | None, ...]:
        return *self.sources, *self.weights, self.background, self.calibrated.calibration

    def outputs(self) -> dict[Path, bool]:
        """Files to write, in the order in which they are renamed -> whether an existing one may be replaced.

        The table is last: if it exists, the run was finished. A run that is killed just before leaves a description
        without a table, which the next run replaces.
        """
        if self.output is None:
            return {}
        described = description_path(self.output)
        return {described: self.overwrite or _is_alone(described, self.output), self.output: self.overwrite}


def description_path(output: Path) -> Path:
    """scores.tsv -> scores.tsv.json"""
    return output.with_name(output.name + ".json")


def _is_alone(description: Path, table: Path) -> bool:
    """Whether a description that the zoo wrote exists without its table."""
    if table.exists() or not description.is_file():
        return False
    try:
        return "sha256" in json.loads(description.read_bytes())["table"]
    except (OSError, ValueError, TypeError, KeyError):  # not written by the zoo
        return False


class Records(Protocol):
    """Records to predict: iterate over them once for batches of label columns and what `submit` of the job takes.

    counts: a dataclass of what has been read so far, with `records` first.  bytes_read: bytes of the files so far.
    """

    @property
    def counts(self) -> Any: ...

    @property
    def bytes_read(self) -> int: ...

    def __iter__(self) -> Iterator[tuple[Sequence[Column], Any]]: ...

    def described(self) -> dict[str, Any]:
        """Entries for the description of the run, once all is read: `inputs` and others."""


class FastaRecords:
    """The records of FASTA files, see Reader."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __iter__(self) -> Iterator[tuple[Sequence[Column], np.ndarray]]:
        return (((names,), codes) for names, codes in self._reader)

    @property
    def counts(self) -> Counts:
        return self._reader.counts

    @property
    def bytes_read(self) -> int:
        return self._reader.bytes_read

    def described(self) -> dict[str, Any]:
        return {"inputs": self._reader.files()}


def chunk_of(model: Model) -> int:
    """Number of records that go through the pipeline together."""
    return model.batch_size * max(1, round(CHUNK_RECORDS / model.batch_size))


def predict_file(
    model: Model, job: PredictionJob, on_progress: Callable[[Records], None] | None = None
) -> dict[str, Any]:
    """Predict every record of a job: a table with a row for each, in order. Returns the description of the run.

    The table has the columns LABELS of the job and Columns.names; its numbers read back as the same float32,
    except at a terminal, which shows TERMINAL_DECIMALS. The
    description has the number of records of each input, which shows the file that a row comes from.
    Files appear whole or not at all. On standard output, rows may be written before an error is found, but none before
    the first records are predicted.
    on_progress: called after each chunk.
    Raises ZooError if a record is invalid, or an output cannot be written.
    """
    job.check_output()
    if job.profiles is not None:
        profiles.check(job.profiles, model.spec, model.rc)
    columns = columns_of(model.spec, model.rc, job.background, job.calibrated, job.held_out)
    records = job.records(model.spec.sequence_length, chunk_of(model))
    with outputs_of(job) as (written, description_file):

        def work(batch: tuple[Sequence[Column], Any]) -> tuple[Sequence[Column], Future[Predicted], Positions | None]:
            labels, sequences = batch
            predicted = job.submit(model, labels, sequences)
            positions = None if job.profiles is None else model.profiles(sequences)
            if on_progress is not None:
                on_progress(records)
            return labels, predicted, positions

        def write(result: tuple[Sequence[Column], Future[Predicted], Positions | None]) -> None:
            labels, predicted, positions = result
            numbers, after, used = predicted.result()
            table.write(labels, columns.of(numbers, used), after)
            if positions is not None and profile_file is not None:
                profile_file.append(labels, positions)

        decimals = TERMINAL_DECIMALS if job.output is None and os.isatty(STANDARD_OUTPUT) else None
        after, missing = job.after(model.spec.targets), columns.may_miss
        layout = Layout(columns.names, job.LABELS, after, missing, decimals)
        with (
            table_writer.opened(job.output, written, layout) as table,
            profiles.opened(job.profiles, job.overwrite, model.spec, job.LABELS) as profile_file,
            model.spec.naming_flanks(),
        ):
            pipeline.run(records, work, write)
        described = describe(model, job, records) | columns.entry() | {"table": written.facts()}
        if job.profiles is not None:
            described["profiles"] = {"file": str(job.profiles), **description.facts(job.profiles)}
        write_description(described, description_file)
    return described


def write_description(described: dict[str, Any], file: BinaryIO | None) -> None:
    """Write a description into an open file; None writes nothing."""
    if file is not None:
        file.write((json.dumps(described, indent=2) + "\n").encode())


@contextlib.contextmanager
def outputs_of(job: PredictionJob) -> Iterator[tuple[Digested, BinaryIO | None]]:
    """The open table and description. Both files appear if the block ends well, neither if it raises."""
    if job.output is None:
        with open(STANDARD_OUTPUT, "wb", closefd=False) as rows:
            yield Digested(rows), None
        return
    with (
        replacing_together(job.outputs(), job.inputs) as (partial_description, partial_table),
        partial_description.open("wb") as description_file,
        partial_table.open("wb") as rows,
    ):
        yield Digested(rows), description_file


def describe(model: Model, job: PredictionJob, records: Records) -> dict[str, Any]:
    """The description of a run, without its outputs; JSON types."""
    return {
        "command": job.command,
        **description.of_run(model.runtime, model.provider, model.spec),
        "rc": model.rc,
        **records.described(),
        "sequence_length": model.spec.sequence_length,
        "targets": list(model.spec.targets),
        "counts": dataclasses.asdict(records.counts),
    }
