"""What `load` is given, to be loaded later or in another process: by shards, on this machine or on others."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from zoo.defaults import MODEL, RUNTIME
from zoo.options import RunOptions
from zoo.prediction.predict import Model, load
from zoo.spec import ModelSpec
from zoo.weights import lookup


@dataclasses.dataclass(frozen=True)
class Loading:
    """The arguments of zoo.load."""

    model: str | None = None
    weights: str | None = None
    runtime: str = RUNTIME
    running: RunOptions = dataclasses.field(default_factory=RunOptions)
    rc: str | None = None

    @property
    def file(self) -> Path | None:
        """Of the weights, absolute; None for bundled ones."""
        return lookup.file_of(self.weights or self.model or MODEL)

    def absolute(self) -> Loading:
        """The same wherever the current folder is."""
        return dataclasses.replace(self, weights=str(self.file)) if self.weights and self.file else self

    def spec(self) -> ModelSpec:
        """What the weights say of themselves, without a runtime. Raises ZooError as zoo.weights.lookup does."""
        chosen = self.weights or self.model or MODEL
        return lookup.read_spec(lookup.path_of(chosen) if lookup.is_name(chosen) else self.file or Path(chosen))

    def load(self, threads: int | None = None) -> Model:
        """A model that is settled, see Model.settle. threads: unless their number was given.

        Raises ZooError as zoo.load does.
        """
        settings = dataclasses.asdict(self.running)
        settings["threads"] = settings["threads"] or threads
        model = load(self.model, self.weights, self.runtime, rc=self.rc, **settings)
        model.settle()
        return model
