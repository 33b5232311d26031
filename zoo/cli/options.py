"""Options that several commands have: what lies in a data file of labelled sequences, and what training begins with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from zoo.data.labelled import Layout

Start = Annotated[str | None, typer.Option(help="Weights to begin with: a file, or a name such as original:published.")]
RescaleStart = Annotated[bool, typer.Option("--rescale-start", help="First make --start as small as fresh weights.")]
Labels = Annotated[Path | None, typer.Option(help="Table whose row i belongs to record i of the FASTA.")]
SplitBy = Annotated[str | None, typer.Option(help="chromosome or fraction: divide one file, both strands together.")]
ValidationChromosomes = Annotated[str, typer.Option(help="Of --split-by chromosome: A,B.")]
TestChromosomes = Annotated[str, typer.Option(help="Of --split-by chromosome: A,B.")]
ValidationFraction = Annotated[float, typer.Option(help="Of --split-by fraction.")]
TestFraction = Annotated[float, typer.Option(help="Of --split-by fraction.")]
SplitSeed = Annotated[int, typer.Option(help="Of --split-by fraction.")]
SequenceColumn = Annotated[str, typer.Option(help="Column of a table that holds the sequences.")]
Resize = Annotated[str | None, typer.Option(help="center: crop or pad with N, around the middle, other lengths.")]
Ambiguous = Annotated[str | None, typer.Option(help="n: take letters other than ACGTN as N.")]


def layout(
    sequence_column: str,
    labels: Path | None,
    resize: str | None,
    ambiguous: str | None,
    validation_chromosomes: str,
    test_chromosomes: str,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
) -> Layout:
    """The Layout that the options describe. Raises ZooError for values that do not fit together."""
    from zoo.data.labelled import Layout
    from zoo.formats.fasta import Leniency

    return Layout(
        sequence_column,
        labels=labels,
        leniency=Leniency(resize, ambiguous),
        validation_chromosomes=names(validation_chromosomes) or (),
        test_chromosomes=names(test_chromosomes) or (),
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
    )


def names(text: str | None) -> tuple[str, ...] | None:
    """ "A,B" -> ("A", "B"); None for nothing."""
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else None
