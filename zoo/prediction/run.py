"""Files of sequences, of any size, to tables of activities: what a prediction reads and writes, and `predict_file`.

Files are checked before any work is done. Reading and encoding, inference, and formatting and writing overlap; memory
does not grow with the file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Protocol

import numpy as np

from zoo.dna.read_options import STRICT, ReadOptions
from zoo.formats import table_writer
from zoo.formats.fasta import Counts, Reader, check_readable
from zoo.formats.table_writer import Column, Digested, Layout
from zoo.prediction import description
from zoo.prediction.model import Model
from zoo.system import pipeline
from zoo.system.atomic import check_target, replacing_together

CHUNK_RECORDS = 4096
"""Records that go through the pipeline together, as near as whole batches of the runtime come to it."""

STANDARD_OUTPUT = 1
"""File descriptor; not sys.stdout, since a thread that is stuck in writing must not hold its lock at the end."""


@dataclasses.dataclass(frozen=True)
class PredictionJob:
    """Where the records of one prediction come from, where the table goes, and how.

    source: a FASTA file, or several, whose records follow each other in the table; "-" is standard input.
    output: the table, of the kind that its suffix says, see zoo/formats/table_writer.py; None is standard output. A
        description of the run is written beside it, see `description_path`.
    weights: where the model came from, if from a file: like `source`, it is never replaced.
    command: what the user typed, for that description.
    """

    source: str | Path | tuple[str | Path, ...]
    output: Path | None = None
    reading: ReadOptions = STRICT
    overwrite: bool = False
    command: str = ""
    weights: str | Path | None = None

    UNIT: ClassVar[str] = "sequences"
    """What a record is called."""

    LABELS: ClassVar[Mapping[str, type]] = {"name": str}
    """The columns of the table before those of the targets."""

    def records(self, length: int, batch_size: int) -> Records:
        """What is predicted, for a model that takes `length` bases."""
        return FastaRecords(self.sources, length, batch_size, self.reading)

    def check_output(self) -> None:
        """Raise ZooError if the outputs could not be written, before any work is done."""
        if self.output is not None:
            check_target(self.output, self.overwrite, self.inputs)
            for path, overwrite in self.outputs().items():
                check_target(path, overwrite, self.inputs)
            table_writer.check_name(self.output)

    @property
    def sources(self) -> tuple[str | Path, ...]:
        return self.source if isinstance(self.source, tuple) else (self.source,)

    def check_sources(self) -> None:
        """Raise ZooError if a file of sequences is not there, before any work is done."""
        check_readable(self.sources)

    @property
    def inputs(self) -> tuple[str | Path | None, ...]:
        return *self.sources, self.weights

    def outputs(self) -> dict[Path, bool]:
        """Files to write, in the order in which they get their names -> whether one that exists may be replaced.

        The table comes last: where it is, the run was finished. A run that was killed just before leaves a description
        alone, which the next run replaces.
        """
        if self.output is None:
            return {}
        beside = description_path(self.output)
        return {beside: self.overwrite or _is_alone(beside, self.output), self.output: self.overwrite}


def description_path(output: Path) -> Path:
    """scores.tsv -> scores.tsv.json"""
    return output.with_name(output.name + ".json")


def _is_alone(description: Path, table: Path) -> bool:
    """Whether a description of ours stands there without its table."""
    if table.exists() or not description.is_file():
        return False
    try:
        return "sha256" in json.loads(description.read_bytes())["table"]
    except (OSError, ValueError, TypeError, KeyError):  # a file of something else
        return False


class Records(Protocol):
    """What a PredictionJob predicts: iterate over it once for batches of label columns and base codes, uint8 (N, L).

    counts: a dataclass of what has been read so far, whose first field is `records`.  bytes_read: of its files so far.
    """

    @property
    def counts(self) -> Any: ...

    @property
    def bytes_read(self) -> int: ...

    def __iter__(self) -> Iterator[tuple[Sequence[Column], np.ndarray]]: ...

    def described(self) -> dict[str, Any]:
        """What the description of the run says of it, once it has been read: `inputs` and whatever else there is."""


class FastaRecords:
    """The records of FASTA files, see Reader."""

    def __init__(self, *arguments: Any) -> None:
        self._reader = Reader(*arguments)

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
    """Records that go through the pipeline together."""
    return model.batch_size * max(1, round(CHUNK_RECORDS / model.batch_size))


def predict_file(
    model: Model, job: PredictionJob, on_progress: Callable[[Records], None] | None = None
) -> dict[str, Any]:
    """Predict every record of a PredictionJob: a table with one row a record, in order. Returns the run's description.

    The table has the columns of the Job, for FASTA `name`, and the targets; its numbers give the same float32 back when
    read. Names stay as they are: which rows are from which of several files, the description says by the number of
    records of each.
    Files appear whole or not at all; with standard output, rows may have been written before an error is met, but
    nothing before the first records have been read and predicted.
    on_progress: called after each chunk.
    Raises ZooError as what is read does, or if an output cannot be written.
    """
    job.check_output()
    records = job.records(model.spec.sequence_length, chunk_of(model))
    with outputs_of(job) as (written, description_file):

        def work(batch: tuple[Sequence[Column], np.ndarray]) -> tuple[Sequence[Column], Future[np.ndarray]]:
            labels, codes = batch
            activities = model.submit_codes(codes)
            if on_progress is not None:
                on_progress(records)
            return labels, activities

        def write(result: tuple[Sequence[Column], Future[np.ndarray]]) -> None:
            labels, activities = result
            table.write(labels, activities.result())

        with table_writer.opened(job.output, written, Layout(model.spec.targets, job.LABELS)) as table:
            pipeline.run(records, work, write)
        described = describe(model, job, records) | {"table": written.facts()}
        write_description(described, description_file)
    return described


def write_description(described: dict[str, Any], file: BinaryIO | None) -> None:
    """Write a description into an open file; None writes nothing."""
    if file is not None:
        file.write((json.dumps(described, indent=2) + "\n").encode())


@contextlib.contextmanager
def outputs_of(job: PredictionJob) -> Iterator[tuple[Digested, BinaryIO | None]]:
    """The open table and description; both files appear if the block ends well, none if it does not."""
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
    """What ran on what, JSON types only; written beside the table."""
    return {
        "command": job.command,
        **description.of_run(model.runtime, model.provider, model.spec),
        "rc": model.rc,
        **records.described(),
        "sequence_length": model.spec.sequence_length,
        "targets": list(model.spec.targets),
        "counts": dataclasses.asdict(records.counts),
    }
