"""Options of the commands that predict sequences. Needs no library."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from zoo.errors import ZooError
from zoo.options import Bounds, check

COVERAGE = 0.9


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


@dataclasses.dataclass(frozen=True)
class CalibratedOptions:
    """Intervals around predictions that contain the measurement with a chosen probability."""

    calibration: Path | None = None
    """File of zoo calibrate: also give an interval around each prediction, such as dev_low to dev_high."""

    coverage: Annotated[float, Bounds(above=0, below=1)] = COVERAGE
    """Share of measurements that the intervals of --calibration contain."""

    def __post_init__(self) -> None:
        check(self)
        if self.calibration is None and self.coverage != COVERAGE:
            raise ZooError("--coverage: also needs --calibration, the file that zoo calibrate makes")


def calibrated_by(path: str | Path | None, coverage: float) -> CalibratedOptions:
    """The options by the arguments of a Python function."""
    return CalibratedOptions(None if path is None else Path(path), coverage)
