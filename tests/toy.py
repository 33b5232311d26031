"""A network and a task small enough to train in a second."""

from __future__ import annotations

import dataclasses
import socket
from pathlib import Path
from typing import Any

import numpy as np
from checkpoints import architecture_of

from zoo.data.labelled import Split
from zoo.models.deepstarr import Config
from zoo.training.config import TrainConfig
from zoo.training.run_folder import RunFolder
from zoo.training.trainer import Trainer

SMALL = Config(filters=(8, 6), kernel_sizes=(5, 4), dense_units=(8,), dropout=0.3, sequence_length=40)


@dataclasses.dataclass
class Toy:
    """Sequences whose first target is the share of G and C, and the second that of A; some labels are missing."""

    targets: tuple[str, ...] = ("dev", "hk")
    sequence_length: int = 40
    size: int = 200
    seed: int = 0

    def _split(self, seed: int, size: int) -> Split:
        generator = np.random.default_rng((self.seed, seed))
        share, shape = generator.random((size, 1)), (size, self.sequence_length)
        codes = np.where(
            generator.random(shape) < share, generator.integers(1, 3, shape), generator.choice([0, 3], shape)
        ).astype(np.uint8)
        targets = np.stack([np.isin(codes, (1, 2)).mean(1), (codes == 0).mean(1)], 1).astype(np.float32)
        targets[::17, 1] = np.nan
        return Split(codes, targets, None)

    @property
    def train(self) -> Split:
        return self._split(0, self.size)

    @property
    def validation(self) -> Split:
        return self._split(1, 64)

    @property
    def test(self) -> Split:
        return self._split(2, 64)

    def epoch(self, number: int) -> Split:  # noqa: ARG002
        return self.train

    def identity(self) -> dict[str, object]:
        return {"source": "toy", "seed": self.seed}


def trainer(folder: Path, config: Any = SMALL, source: Toy | None = None, **settings: object) -> Trainer:
    made = RunFolder(folder)
    if not folder.exists():
        made.create()
    source = source or Toy(sequence_length=config.sequence_length)
    return Trainer(architecture_of(config), config, source, TrainConfig(**{"epochs": 3, **settings}), made)


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]
