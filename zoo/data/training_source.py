"""Where the sequences of a training come from: what the trainer asks of a source, and the one that reads a data set."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

from zoo.data import published
from zoo.data.dataset import Dataset
from zoo.data.labelled import Split


class Source(Protocol):
    """Where sequences and their targets come from."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the T targets."""

    @property
    def sequence_length(self) -> int:
        """L, bases."""

    @property
    def train(self) -> Split | None:
        """Training sequences, where every epoch has the same; None where each has its own."""

    @property
    def validation(self) -> Split:
        """What the weights to keep are chosen by."""

    @property
    def test(self) -> Split | None:
        """What the kept weights are measured on at the end, once; None if there is nothing."""

    def epoch(self, number: int) -> Split:
        """Training sequences of epoch `number`, counted from 1; the same whenever it is asked for."""

    def identity(self) -> dict[str, Any]:
        """What the data is, JSON types: for the receipts, and to refuse to resume on other data."""


@dataclasses.dataclass(frozen=True)
class DatasetSource:
    """A data set read from files: every epoch the same sequences."""

    dataset: Dataset

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(published.target_of(name) for name in self.dataset.targets)

    @property
    def sequence_length(self) -> int:
        return self.dataset.train.codes.shape[1]

    @property
    def train(self) -> Split:
        return self.dataset.train

    @property
    def validation(self) -> Split:
        return self.dataset.validation

    @property
    def test(self) -> Split | None:
        return self.dataset.test

    def epoch(self, number: int) -> Split:  # noqa: ARG002
        return self.dataset.train

    def identity(self) -> dict[str, Any]:
        sizes = {"train": len(self.dataset.train.codes), "validation": len(self.dataset.validation.codes)}
        return {"source": self.dataset.source, "sha256": self.dataset.sha256, **sizes}
