"""Options of the commands that predict sequences. Needs no library."""

from __future__ import annotations

import dataclasses

from zoo.errors import ZooError


@dataclasses.dataclass(frozen=True)
class TableOptions:
    """Where the sequences of a table are. Without `column`, files are FASTA."""

    column: str | None = None
    """Column of the sequences, if FILE is a table (.tsv, .csv, .parquet) and not FASTA."""

    name_column: str | None = None
    """Column of the names in the table. By default name or id, else rows are numbered."""

    def __post_init__(self) -> None:
        if self.name_column is not None and self.column is None:
            raise ZooError("--name-column: also needs --column, the column of the sequences")
