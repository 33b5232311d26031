"""What a user may say of a search. The command line is made of it. Needs no library."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from zoo.errors import ZooError
from zoo.options import Bounds, ThreadOptions
from zoo.training.config import Device, Tracker

Sampler = Literal["tpe", "random", "grid"]

Pruner = Literal["median", "hyperband", "none"]

MOST_WORKERS = 256
MOST_TRIALS = 100_000

TRIALS = 40


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchOptions(ThreadOptions):
    """How a space is searched, and what becomes of the best."""

    output: Path
    """Folder of the study, made anew."""

    resume: bool = False
    """Go on with the study in --output, or in --storage."""

    trials: Annotated[int | None, Bounds(1, MOST_TRIALS)] = None
    """Trials of the study in all; by default 40, or the run_cap of a sweep file."""

    objective: tuple[str, ...] = ()
    """METRIC:TARGET of the validation split, loss, cost (arithmetic a sequence) or speed:RUNTIME; several give the
    Pareto front. By default the space's, else the Pearson correlation of the first target."""

    sampler: Sampler | None = None
    """What draws the points; by default tpe, or the method of a sweep file."""

    pruner: Pruner | None = None
    """What stops hopeless trials; by default median, or as a sweep file has it. Several objectives have none."""

    min_epochs: Annotated[int | None, Bounds(1, MOST_TRIALS)] = None
    """Epochs before a trial may be stopped; by default 1, or the min_iter of a sweep file."""

    seed: Annotated[int, Bounds(0)] = 0
    """Of the draws and of each training."""

    fix: tuple[str, ...] = ()
    """NAME=VALUE of what is not searched."""

    model: str | None = None
    """For a sweep file: the model that gives what the file does not say."""

    skip_impossible: bool = False
    """Leave out points that are no network, instead of refusing the space."""

    workers: Annotated[int, Bounds(1, MOST_WORKERS)] = 1
    """Processes that train on this machine."""

    storage: str | None = None
    """Where the study is kept: a database URL or a journal file, for several machines; by default one in --output."""

    name: str = "search"
    """Of the study in --storage."""

    keep: Annotated[int | None, Bounds(1, MOST_TRIALS)] = None
    """Trials whose weights are kept, the best; by default all."""

    confirm: Annotated[int | None, Bounds(1, MOST_TRIALS)] = None
    """Then train the best and --against so often, each with other seeds, and compare them on the test split."""

    best: Annotated[int, Bounds(1, MOST_TRIALS)] = 1
    """Trials to confirm."""

    against: tuple[str, ...] = ()
    """Models to confirm against: names or .toml files."""

    device: Device = "auto"
    """What trains; auto takes CUDA where it works."""

    track: Tracker | None = None
    """Log the epochs of each trial there too."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("objective", "fix", "against"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.against and self.confirm is None:
            raise ZooError("--against: needs --confirm, how often to train each")
        if self.best != 1 and self.confirm is None:
            raise ZooError("--best: needs --confirm, how often to train each")
        if self.name != SearchOptions.name and self.storage is None:
            raise ZooError("--name: is of a study in --storage, which is not given")

    def settled(self, sweep: Mapping[str, Any]) -> SearchOptions:
        """With everything that a sweep file, or else the default, decides where the user did not."""
        return dataclasses.replace(
            self,
            trials=self.trials or sweep.get("trials", TRIALS),
            sampler=self.sampler or sweep.get("sampler", "tpe"),
            pruner=self.pruner or sweep.get("pruner", "median"),
            min_epochs=self.min_epochs or sweep.get("min_iter"),
        )
