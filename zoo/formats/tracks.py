"""Values along a genome as files that genome browsers and programs read: bigWig, bedGraph or Parquet.

bigWig and bedGraph hold one target a file, Parquet all of them. Intervals come sorted, the contigs in the order of the
genome; positions are 0-based and half-open in all three.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from zoo.errors import ZooError
from zoo.formats import bigwig, prediction_table, table_writer
from zoo.formats.table_writer import Digested, Layout

SUFFIXES = {"bigwig": ".bw", "bedgraph": ".bedgraph", "parquet": ".parquet"}
"""Format -> the suffix of its files."""

TOGETHER = ("parquet",)
"""Formats that hold all targets in one file."""


class Track(Protocol):
    """Where intervals go."""

    def write(self, contig: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        """Intervals behind those before, int64 (K,), and their values, float32 (K, T). Raises CheckFailed if a value is
        not finite."""


def paths(output: Path, format_: str, targets: Sequence[str]) -> list[Path]:
    """The files: tracks/dm6 -> tracks/dm6.dev.bw and tracks/dm6.hk.bw, or tracks/dm6.parquet.

    Raises ZooError if `output` ends in a suffix of such files, or if a target cannot be part of a name.
    """
    for suffix in (*SUFFIXES.values(), ".bigwig", ".bigWig", ".bedGraph", ".bg", ".tsv", ".csv", ".json", ".wig"):
        if output.name.endswith(suffix):
            raise ZooError(
                f"{output}: expected the beginning of a name, without {suffix}: --format decides the suffix, and there "
                "is one file a target"
            )
    if format_ in TOGETHER:
        return [output.with_name(f"{output.name}{SUFFIXES[format_]}")]
    for target in targets:
        if "/" in target or "\0" in target:
            raise ZooError(f"target {target!r}: expected a name that a file can have")
    return [output.with_name(f"{output.name}.{target}{SUFFIXES[format_]}") for target in targets]


@contextlib.contextmanager
def opened(files: Sequence[Path], format_: str, contigs: Mapping[str, int], targets: Sequence[str]) -> Iterator[Track]:
    """A track over all targets; its files, of any name, are whole when the block ends well. contigs: name -> bases."""
    with contextlib.ExitStack() as stack:
        if format_ == "bigwig":
            yield _Each([stack.enter_context(bigwig.BigWig(file, contigs)) for file in files])
        elif format_ == "bedgraph":
            yield _Each([_BedGraph(stack.enter_context(file.open("wb"))) for file in files])
        else:
            digested = Digested(stack.enter_context(files[0].open("wb")))
            labels = {"chrom": str, "start": int, "end": int}
            table = stack.enter_context(
                table_writer.opened(Path(f"track{SUFFIXES[format_]}"), digested, Layout(targets, labels))
            )
            yield _Table(table)


class _OneTarget(Protocol):
    def write(self, contig: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None: ...


class _Each:
    """A file a target."""

    def __init__(self, files: Sequence[_OneTarget]) -> None:
        self._files = files

    def write(self, contig: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        for file, column in zip(self._files, values.T, strict=True):
            file.write(contig, starts, ends, np.ascontiguousarray(column))


class _BedGraph:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, contig: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        positions = (list(map(str, starts.tolist())), list(map(str, ends.tolist())))
        self._file.write(prediction_table.rows([contig] * len(starts), values[:, None], more=positions))


class _Table:
    """Parquet, whose row groups end where a contig does."""

    def __init__(self, table: table_writer.Table) -> None:
        self._table = table
        self._contig: str | None = None

    def write(self, contig: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        if self._contig not in (None, contig):
            self._table.end_group()
        self._contig = contig
        self._table.write(([contig] * len(starts), starts.tolist(), ends.tolist()), values)
