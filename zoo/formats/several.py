"""Several FASTA files, read one after the other as if they were one; what came from each is counted by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from zoo.errors import ZooError
from zoo.formats import compressed
from zoo.formats.fasta import Batch, Counts, Reader
from zoo.formats.read_options import STRICT, ReadOptions


class Readers:
    """The records of files in order, in batches, as a Reader gives them; iterate over it once.

    A batch holds records of one file. Iterating raises ZooError as Reader does.
    """

    def __init__(
        self, paths: Sequence[str | Path], length: int, batch_size: int, reading: ReadOptions = STRICT
    ) -> None:
        self._readers = [(str(path), Reader(path, length, batch_size, reading)) for path in paths]

    def __iter__(self) -> Iterator[Batch]:
        for _, reader in self._readers:
            yield from reader

    @property
    def bytes_read(self) -> int:
        """Bytes of the files consumed so far; see Reader."""
        return sum(reader.bytes_read for _, reader in self._readers)

    @property
    def counts(self) -> Counts:
        """What has been read so far, of all files together."""
        each = [dataclasses.astuple(reader.counts) for _, reader in self._readers]
        return Counts(*map(sum, zip(*each, strict=True)))

    def files(self) -> list[dict[str, str | int]]:
        """Of each file, in the order in which they are read: its name and how many records came from it."""
        return [{"file": path, "records": reader.counts.records} for path, reader in self._readers]


def check_there(paths: Sequence[str | Path]) -> None:
    """Raise ZooError unless each of the files is there and can be read, and standard input is not given twice."""
    texts = [str(path) for path in paths]
    if texts.count(compressed.STANDARD_INPUT) > 1:
        raise ZooError("standard input: can be read once only; give - once")
    for text in texts:
        # what is read of a pipe is gone
        if text != compressed.STANDARD_INPUT and (Path(text).is_file() or not Path(text).exists()):
            with compressed.opened(text):
                pass
