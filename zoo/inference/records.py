"""What a prediction of files reads: batches of label columns and base codes, from FASTA or from anywhere else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from zoo.formats.fasta import Counts
from zoo.formats.several import Readers
from zoo.formats.table_writer import Column


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
