"""Options of a search; the command line is derived from them. Needs no library."""

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
"""Default number of trials."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchOptions(ThreadOptions):
    """How to search a space, and how to confirm the best trials."""

    output: Path
    """New folder for this study."""

    resume: bool = False
    """Continue the study in --output or in --storage."""

    trials: Annotated[int | None, Bounds(1, MOST_TRIALS)] = None
    """Total number of trials; default 40, or the run_cap of a sweep file."""

    objective: tuple[str, ...] = ()
    """METRIC:TARGET on the validation split, loss, cost (arithmetic per sequence) or speed:RUNTIME; several give the
    Pareto front. Default: the objective of the space, else the Pearson correlation of the first target."""

    sampler: Sampler | None = None
    """Method that proposes points; default tpe, or the method of a sweep file."""

    pruner: Pruner | None = None
    """Rule that stops poor trials early, with a single objective only; default median, or the rule of a sweep file."""

    min_epochs: Annotated[int | None, Bounds(1, MOST_TRIALS)] = None
    """Epochs before a trial may be stopped; default 1, or the min_iter of a sweep file."""

    seed: Annotated[int, Bounds(0)] = 0
    """Random seed of the sampler and of every training."""

    fix: tuple[str, ...] = ()
    """NAME=VALUE: fix a setting instead of searching it."""

    model: str | None = None
    """For a sweep file: the model that gives the settings missing from the file."""

    skip_impossible: bool = False
    """Skip points that are not possible networks, instead of stopping with an error."""

    workers: Annotated[int, Bounds(1, MOST_WORKERS)] = 1
    """Processes that train on this machine."""

    storage: str | None = None
    """Database URL or journal file that several machines share; by default the study is a journal file in --output."""

    name: str = "search"
    """Study name in --storage."""

    keep: Annotated[int | None, Bounds(1, MOST_TRIALS)] = None
    """Keep the weights of this many best trials; default all."""

    confirm: Annotated[int | None, Bounds(1, MOST_TRIALS)] = None
    """After the search, train the best trials and --against this many times with new seeds, and compare them on the
    test split."""

    best: Annotated[int, Bounds(1, MOST_TRIALS)] = 1
    """Number of best trials to confirm."""

    against: tuple[str, ...] = ()
    """Models to compare the best trials with: names or .toml files."""

    device: Device = "auto"
    """Device to train on; auto takes CUDA where it works."""

    track: Tracker | None = None
    """Also log the epochs of each trial to this tracker."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("objective", "fix", "against"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("against", "best"):
            if self.confirm is None and getattr(self, name) != getattr(SearchOptions, name):
                raise ZooError(f"--{name}: needs --confirm, the number of trainings of each model")
        if self.storage is None and self.name != SearchOptions.name:
            raise ZooError("--name: only applies with --storage")

    def settled(self, sweep: Mapping[str, Any]) -> SearchOptions:
        """These options, completed from a sweep file and then from the defaults."""
        return dataclasses.replace(
            self,
            trials=self.trials or sweep.get("trials", TRIALS),
            sampler=self.sampler or sweep.get("sampler", "tpe"),
            pruner=self.pruner or sweep.get("pruner", "median"),
            min_epochs=self.min_epochs or sweep.get("min_iter"),
        )
