"""What one prediction of a file reads and writes: where records come from, where the table goes, under which names.

Files are checked before any work is done; predict.py does the work.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from zoo.formats import several, table_writer
from zoo.formats.fasta import Counts
from zoo.formats.read_options import STRICT, ReadOptions
from zoo.formats.several import Readers
from zoo.formats.table_writer import Column
from zoo.prediction import strands
from zoo.system.atomic import check_target


@dataclasses.dataclass(frozen=True)
class Job:
    """Where the records of one prediction come from, where the table goes, and how.

    source: a FASTA file, or several, whose records follow each other in the table; "-" is standard input.
    output: the table, of the kind that its suffix says, see zoo/formats/table_writer.py; None is standard output. A
        description of the run is written beside it, see `description_path`.
    weights: where the model came from, if from a file: like `source`, it is never replaced.
    command: what the user typed, for that description.  rc: "average" for the mean of both strands, see zoo.strands.
    """

    source: str | Path | tuple[str | Path, ...]
    output: Path | None = None
    reading: ReadOptions = STRICT
    overwrite: bool = False
    command: str = ""
    rc: str | None = None
    weights: str | Path | None = None

    UNIT: ClassVar[str] = "sequences"
    """What a record is called."""

    LABELS: ClassVar[Mapping[str, type]] = {"name": str}
    """The columns of the table before those of the targets."""

    def __post_init__(self) -> None:
        strands.check(self.rc)

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
        several.check_there(self.sources)

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
    """What a Job predicts: iterate over it once for batches of label columns and base codes, uint8 (N, L).

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
    """The records of FASTA files, see Readers."""

    def __init__(self, *arguments: Any) -> None:
        self._readers = Readers(*arguments)

    def __iter__(self) -> Iterator[tuple[Sequence[Column], np.ndarray]]:
        return (((names,), codes) for names, codes in self._readers)

    @property
    def counts(self) -> Counts:
        return self._readers.counts

    @property
    def bytes_read(self) -> int:
        return self._readers.bytes_read

    def described(self) -> dict[str, Any]:
        return {"inputs": self._readers.files()}
