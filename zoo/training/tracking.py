"""Experiment trackers: log each run to TensorBoard or Weights & Biases."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
"""Row of metrics.csv: an epoch."""

Track = Callable[[Row], None]
"""Function that logs an epoch."""


@dataclasses.dataclass(frozen=True)
class About:
    """project, group: where Weights & Biases lists the run; a resumed run of a group stays one run.

    config: settings to show instead of those of the training.  logged: a row of metrics.csv -> the row to log.
    """

    project: str = "deepstarr-zoo"
    group: str | None = None
    config: Mapping[str, Any] | None = None
    logged: Callable[[Row], Row] = lambda row: row


@contextlib.contextmanager
def started(tracker: str | None, folder: Path, settings: Mapping[str, Any], about: About) -> Iterator[Track]:
    """A function that logs the run in `folder`. tracker: None logs nothing.  settings: those of the training."""
    if tracker is None:
        yield lambda _: None
    elif tracker == "tensorboard":
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(folder / "tensorboard")) as writer:

            def log(row: Row) -> None:
                for name, value in about.logged(row).items():
                    if name != "epoch" and value is not None:
                        writer.add_scalar(name, value, row["epoch"])
                writer.flush()

            yield log
    else:
        import wandb

        with wandb.init(
            project=about.project,
            group=about.group,
            name=folder.name,
            id=None if about.group is None else f"{about.group}-{folder.name}",
            config=dict(settings if about.config is None else about.config),
            resume="allow",
        ) as run:
            yield lambda row: run.log(dict(about.logged(row)), step=row["epoch"])
