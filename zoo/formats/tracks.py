"""Values along a genome as files for genome browsers: bigWig, bedGraph or Parquet.

A bigWig or bedGraph file has one target, a Parquet file has all. Intervals are written in order, contigs in the order
of the genome; positions are 0-based and half-open in all three.

bigWig is written through pyBigWig: it is as fast as pybigtools, its files are a fifth smaller, and they list contigs
without values. pyBigWig waits forever if the disk is full, so free space is reserved before each block; and it does not
report what it could not write at the end, so the file is read back.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol

import numpy as np

from zoo.errors import BadInput, CheckFailed, ZooError, require
from zoo.formats import bed, table_writer, text_input
from zoo.formats.names import listed, shown
from zoo.formats.table_writer import Digested, Layout

SUFFIXES = {"bigwig": ".bw", "bedgraph": ".bedgraph", "parquet": ".parquet"}
"""Format -> the suffix of its files."""

TOGETHER = ("parquet",)
"""Formats with all targets in one file."""

ZOOM_LEVELS = 10

LEAST_RUN = 64
"""Neighbours of one length that are written as a block of their own, which takes 4 bytes each instead of 12."""

ENTRY_BYTES = 12
"""Start, end and value of an entry; compression hardly ever makes it larger."""

SLACK_BYTES = 1 << 16
"""Further bytes, for headers."""

END_BYTES = 3
"""Bytes per entry in the zoom levels and the index, at most: 32 for every 16 entries, and half as much above."""


class Track(Protocol):
    """An open track of T targets."""

    def write(self, contig: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        """Add K intervals after the earlier ones: int64 (K,) each, and their values, float32 (K, T).

        Raises CheckFailed if a value is not finite.
        """


def paths(output: Path, format_: str, targets: Sequence[str]) -> list[Path]:
    """The files: tracks/dm6 -> tracks/dm6.dev.bw and tracks/dm6.hk.bw, or tracks/dm6.parquet.

    Raises ZooError if `output` ends in a suffix of such files, or if a target cannot be part of a file name.
    """
    for suffix in (*SUFFIXES.values(), ".bigwig", ".bigWig", ".bedGraph", ".bg", ".tsv", ".csv", ".json", ".wig"):
        if output.name.endswith(suffix):
            raise ZooError(
                f"{output}: expected the start of a file name, without {suffix}: --format decides the suffix, and each "
                "target has its own file"
            )
    if format_ in TOGETHER:
        return [output.with_name(f"{output.name}{SUFFIXES[format_]}")]
    for target in targets:
        if "/" in target or "\0" in target:
            raise ZooError(f"target {target!r}: expected a name that can be part of a file name")
    return [output.with_name(f"{output.name}.{target}{SUFFIXES[format_]}") for target in targets]


def read(path: Path, contig: str, start: int, end: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The intervals of a bigWig or bedGraph file that overlap [start, end) of a contig, in the order of the file.

    Returns starts and ends, int64 (K,), and values, float64 (K,). A file whose name does not end in .bedgraph or .bg,
    plain or compressed, is a bigWig file. Raises ZooError for a file that is neither, or has nothing on the contig.
    """
    rows, known = _rows(path, contig, start, end)
    if contig not in known:
        raise _no_contig(path, contig, known)
    found = np.array(rows, np.float64).reshape(-1, 3)
    return found[:, 0].astype(np.int64), found[:, 1].astype(np.int64), found[:, 2]


def contigs(path: Path) -> Mapping[str, int]:
    """Name -> bases of a bigWig file; of bedGraph, the end of the last interval. Raises ZooError as `read` does."""
    return _rows(path, "", 0, 0)[1]


def _no_contig(path: Path, contig: str, known: Mapping[str, int]) -> ZooError:
    return ZooError(f"{path}: has nothing on {shown(contig)}; its contigs are {listed(list(known))}")


Rows = list[tuple[int, int, float]]


def _rows(path: Path, contig: str, start: int, end: int) -> tuple[Rows, Mapping[str, int]]:
    is_text = any(suffix.lower() in (".bedgraph", ".bg") for suffix in path.suffixes)
    return (_bedgraph_rows if is_text else _bigwig_rows)(path, contig, start, end)


def _bigwig_rows(path: Path, contig: str, start: int, end: int) -> tuple[Rows, Mapping[str, int]]:
    require("pyBigWig", "genome", "bigWig")
    import pyBigWig

    if not path.is_file():
        raise ZooError(f"{path}: no such file")
    try:
        with pyBigWig.open(str(path)) as file:
            contigs = file.chroms()
            last = min(end, contigs.get(contig, 0))
            return list(file.intervals(contig, start, last) or []) if start < last else [], contigs
    except (RuntimeError, TypeError, AttributeError):
        raise ZooError(f"{path}: expected a bigWig file, or bedGraph with a name that ends in .bedgraph") from None


def _bedgraph_rows(path: Path, contig: str, start: int, end: int) -> tuple[Rows, Mapping[str, int]]:
    rows: Rows = []
    contigs: dict[str, int] = {}
    for number, line in text_input.lines(path):
        if not line or bed.COMMENT.match(line):
            continue
        fields = line.split()
        try:
            first, last, value = int(fields[1]), int(fields[2]), float(fields[3])
            contigs[fields[0]] = max(last, contigs.get(fields[0], 0))
        except (ValueError, IndexError):
            raise ZooError(
                f"{path}, line {number}: expected contig, start, end and value, got {shown(line)!r}"
            ) from None
        if fields[0] == contig and first < end and last > start:
            rows.append((first, last, value))
    return rows, contigs


class Signals:
    """Open bigWig files of counts, all read at the same places."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Raises ZooError for a file that is missing or not bigWig."""
        require("pyBigWig", "genome", "bigWig")
        import pyBigWig

        self._stack = contextlib.ExitStack()
        self._files: list[Any] = []
        with contextlib.ExitStack() as opened:
            for path in paths:
                if not path.is_file():
                    raise ZooError(f"{path}: no such file")
                try:
                    file = opened.enter_context(pyBigWig.open(str(path)))
                    if not file.isBigWig():
                        raise RuntimeError
                except (RuntimeError, TypeError, AttributeError):
                    raise ZooError(f"{path}: expected a bigWig file") from None
                self._files.append(file)
            self._stack = opened.pop_all()
        self._paths = paths
        self._contigs = [file.chroms() for file in self._files]

    def __enter__(self) -> Signals:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def read(self, contig: str, start: int, stop: int) -> np.ndarray:
        """The signal of each file at the bases [start, stop) of a contig, float32 (files, bases); 0 where it has no
        value. Raises ZooError for a contig that a file does not name."""
        out = np.zeros((len(self._files), stop - start), np.float32)
        for row, file, path, contigs in zip(out, self._files, self._paths, self._contigs, strict=True):
            if contig not in contigs:
                raise _no_contig(path, contig, contigs)
            last = min(stop, contigs[contig])
            if start < last:
                row[: last - start] = np.nan_to_num(file.values(contig, start, last, numpy=True))
        return out


@contextlib.contextmanager
def opened(
    files: Sequence[Path], format_: str, contigs: Mapping[str, int], targets: Sequence[str], missing: bool = False
) -> Iterator[Track]:
    """A track of all targets. Its files are complete when the block ends without an error. contigs: name -> bases.

    missing: a value may be missing, NaN: the interval is left out of the file of this target, and is null in a table.
    """
    with contextlib.ExitStack() as stack:
        if format_ == "bigwig":
            yield _PerTarget([stack.enter_context(BigWig(file, contigs)) for file in files], missing)
        elif format_ == "bedgraph":
            yield _PerTarget([_BedGraph(stack.enter_context(file.open("wb"))) for file in files], missing)
        else:
            file = Digested(stack.enter_context(files[0].open("wb")))
            layout = Layout(targets, {"chrom": str, "start": int, "end": int}, missing=missing)
            yield _Table(stack.enter_context(table_writer.opened(Path(f"track{SUFFIXES[format_]}"), file, layout)))


class _OneTarget(Protocol):
    def write(self, contig: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None: ...


class _PerTarget:
    """One file for each target."""

    def __init__(self, files: Sequence[_OneTarget], missing: bool) -> None:
        self._files, self._missing = files, missing

    def write(self, contig: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        for file, column in zip(self._files, values.T, strict=True):
            there = ~np.isnan(column) if self._missing else slice(None)
            file.write(contig, starts[there], ends[there], np.ascontiguousarray(column[there]))


class _BedGraph:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, contig: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        positions = starts.tolist(), ends.tolist()
        self._file.write(table_writer.rows([contig] * len(starts), values[:, None], more=positions))


class _Table:
    """Parquet, with row groups that end where a contig ends."""

    def __init__(self, table: table_writer.Table) -> None:
        self._table = table
        self._contig: str | None = None

    def write(self, contig: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        if self._contig not in (None, contig):
            self._table.end_group()
        self._contig = contig
        self._table.write(([contig] * len(starts), starts.tolist(), ends.tolist()), values)


class BigWig:
    """A bigWig file of one target with zoom levels, written a block of sorted intervals at a time.

    It is completed and checked when the `with` block ends without an error.
    """

    def __init__(self, path: Path, contigs: Mapping[str, int]) -> None:
        """contigs: name -> bases, in the order of the values. Raises MissingDependency without pyBigWig."""
        require("pyBigWig", "genome", "bigWig")
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
            raise BadInput("no window has a value: a bigWig file without values cannot be written")
        self._file.close()  # even after an error: `write` has made sure that the end of the file fits
        if kind is None:
            self._check()

    def write(self, contig: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        """Add intervals after the earlier ones, int64 (K,), and their values, float32 (K,).

        Raises CheckFailed if a value is not finite, OSError if the disk is full.
        """
        if not len(starts):
            return
        if not np.isfinite(values).all():
            place = int(starts[~np.isfinite(values)][0])
            raise CheckFailed(f"{contig}, base {place + 1:,}: the value is {values[~np.isfinite(values)][0]}")
        self._reserve(len(starts) * ENTRY_BYTES + (self._entries + len(starts)) * END_BYTES)
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

    def _reserve(self, size: int) -> None:
        """Raise OSError unless the file may grow by `size` bytes: a file of that size is made beside it and removed."""
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
