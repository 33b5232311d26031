"""One bigWig file, written a block of sorted intervals at a time, with zoom levels, and checked when it is whole.

Through pyBigWig: at the same speed its files are a fifth smaller than those of pybigtools, and hold the contigs without
values too. Two habits of it are dealt with here: it waits for ever where the disk is full, so the room that a block
needs is tried before each; and it says nothing of what it could not write at the end, so the file is read back.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from zoo.errors import CheckFailed, MissingDependency, ZooError

ZOOM_LEVELS = 10

LEAST_RUN = 64
"""Neighbours of one length that are worth a block of their own, which takes 4 bytes each instead of 12."""

ENTRY_BYTES = 12
"""Start, end and value of an entry, which compression hardly ever makes more of."""

SLACK_BYTES = 1 << 16
"""Besides, for headers."""

END_BYTES = 3
"""Of an entry in the zoom levels and the index, at most: 32 for every 16 entries, and half as much in higher levels."""

MISSING = "pyBigWig, which writes bigWig, is not installed; pip install 'deepstarr-zoo[genome]' brings it"


def check_installed() -> None:
    """Raise MissingDependency without pyBigWig."""
    if importlib.util.find_spec("pyBigWig") is None:
        raise MissingDependency(MISSING)


class BigWig:
    """A bigWig file in the making; the end of it is written when the block ends well."""

    def __init__(self, path: Path, contigs: Mapping[str, int]) -> None:
        """contigs: name -> bases, in the order in which values will come."""
        check_installed()
        import pyBigWig

        self._path = path
        self._entries = self._bases = 0
        self._room = path.with_name(f"{path.name}.room")
        self._file: Any = pyBigWig.open(str(path), "w")
        self._file.addHeader(list(contigs.items()), maxZooms=ZOOM_LEVELS)

    def __enter__(self) -> BigWig:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._entries and kind is None:
            raise ZooError("no window has a value: a bigWig file without values cannot be written")
        self._file.close()  # whatever happened: `write` saw to it that there is room for the end
        if kind is None:
            self._check()

    def write(self, contig: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        """Intervals behind those before, int64 (K,), and their values, float32 (K,).

        Raises CheckFailed if a value is not finite, OSError if there is no room for them.
        """
        if not len(starts):
            return
        if not np.isfinite(values).all():
            place = int(starts[~np.isfinite(values)][0])
            raise CheckFailed(f"{contig}, base {place + 1:,}: the value came out as {values[~np.isfinite(values)][0]}")
        self._try_room(len(starts) * ENTRY_BYTES + (self._entries + len(starts)) * END_BYTES)
        breaks = np.flatnonzero((ends[:-1] != starts[1:]) | np.diff(ends - starts)) + 1
        bounds = np.concatenate([[0], breaks, [len(starts)]])
        done = 0
        for number in np.flatnonzero(np.diff(bounds) >= LEAST_RUN):
            first, last = int(bounds[number]), int(bounds[number + 1])
            self._write_single(contig, starts[done:first], ends[done:first], values[done:first])
            span = int(ends[first] - starts[first])
            self._file.addEntries(contig, int(starts[first]), values=values[first:last], span=span, step=span)
            done = last
        self._write_single(contig, starts[done:], ends[done:], values[done:])
        self._entries += len(starts)
        self._bases += int((ends - starts).sum())

    def _write_single(self, contig: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        if len(starts):
            doubles = values.astype(np.float64)
            self._file.addEntries([contig] * len(starts), starts.tolist(), ends=ends.tolist(), values=doubles.tolist())

    def _try_room(self, size: int) -> None:
        """Raise OSError unless the file may grow by `size` bytes: as much room is taken beside it, and given back."""
        begin = self._path.stat().st_size
        with self._room.open("wb") as room:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(room.fileno(), begin, size + SLACK_BYTES)
            else:
                room.seek(begin)
                room.write(bytes(size + SLACK_BYTES))
        self._room.unlink()

    def _check(self) -> None:
        import pyBigWig

        try:
            with pyBigWig.open(str(self._path)) as written:
                bases = written.header()["nBasesCovered"]
        except (RuntimeError, TypeError):
            bases = None
        if bases != self._bases:
            raise ZooError(
                f"bigWig: expected {self._bases:,} bases with values in the file that was written, found "
                f"{bases}; is the disk full?"
            )
