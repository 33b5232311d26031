"""What a command predicts at the command line: FASTA files, or intervals of a genome instead."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from zoo.cli import notes, options
from zoo.errors import ZooError
from zoo.formats.read_options import STRICT, ReadOptions

if TYPE_CHECKING:
    from zoo.genome.options import IntervalOptions
    from zoo.prediction.run import PredictionJob

NAMED = 5
"""Intervals that were skipped which a note names; the description names more."""

Files = Annotated[
    list[Path] | None,
    options.STREAM,
    Parameter(name="FILE", help="FASTA, plain or compressed, one or several; - is standard input."),
]


def job(
    command: str,
    files: list[Path] | None,
    intervals: IntervalOptions,
    reading: ReadOptions,
    output: Path | None,
    overwrite: bool,
    weights: Path | None,
) -> PredictionJob:
    """What a command reads and writes. weights: their file, if they come from one.

    Raises ZooError if there are no FASTA files where there should be, or some where there should not.
    """
    from zoo.genome.intervals import IntervalJob
    from zoo.prediction.run import PredictionJob

    sources = _fasta_files(command, files, intervals, reading)
    rest = (output, reading, overwrite, options.command_line(), weights)
    return IntervalJob(sources, *rest, intervals) if intervals.given else PredictionJob(sources, *rest)


def say_skipped(described: dict[str, Any]) -> None:
    """Name intervals that --skip-bad left out."""
    for line in described.get("skipped", [])[:NAMED]:
        notes.say(f"skipped: {line}")


def _fasta_files(
    command: str, files: list[Path] | None, intervals: IntervalOptions, reading: ReadOptions
) -> tuple[Path, ...]:
    intervals.check()
    if not intervals.given:
        if not files:
            raise ZooError(f"FILE is missing; see zoo {command} --help")
        return tuple(files)
    if files:
        raise ZooError(f"{files[0]}: expected FASTA files or intervals of a genome, got both")
    if reading != STRICT:
        raise ZooError(
            "windows of a genome have the length of the model, and N for other letters; leave the option out"
        )
    return ()
