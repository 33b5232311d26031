"""A network and a task small enough to train in a second."""

from __future__ import annotations

import dataclasses
import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
from checkpoints import architecture_of
from forked import kill_itself

from zoo import registry
from zoo.card import Card
from zoo.data.labelled import Split
from zoo.models.deepstarr import Config
from zoo.training.config import TrainConfig, TrainingOptions
from zoo.training.run import TrainingJob, run
from zoo.training.run_folder import RunFolder
from zoo.training.trainer import Reporter, Trainer
from zoo.weights import checkpoint
from zoo.weights.checkpoint import Checkpoint

SMALL = Config(filters=(8, 6), kernel_sizes=(5, 4), dense_units=(8,), dropout=0.3, sequence_length=40)


@dataclasses.dataclass
class Toy:
    """Sequences whose first target is the share of G and C, and the second that of A; some labels are missing."""

    targets: tuple[str, ...] = ("dev", "hk")
    sequence_length: int = 40
    size: int = 200
    seed: int = 0
    profile: tuple[int, int] | None = None
    """Strands of all targets, and positions, of counts at random places."""

    def _split(self, seed: int, size: int) -> Split:
        generator = np.random.default_rng((self.seed, seed))
        share, shape = generator.random((size, 1)), (size, self.sequence_length)
        codes = np.where(
            generator.random(shape) < share, generator.integers(1, 3, shape), generator.choice([0, 3], shape)
        ).astype(np.uint8)
        targets = np.stack([np.isin(codes, (1, 2)).mean(1), (codes == 0).mean(1)], 1).astype(np.float32)
        if self.profile is not None:
            reads = generator.poisson(targets.repeat(self.profile[0] // 2, 1)[:, :, None], (size, *self.profile))
            profiles = reads.astype(np.float32)
            return Split(codes, np.log1p(profiles.reshape(size, 2, -1).sum(2)), profiles=profiles)
        targets[::17, 1] = np.nan
        return Split(codes, targets, None)

    @property
    def card(self) -> Card:
        return Card(training_data="toy")

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
    profiles = getattr(registry.load("models", architecture_of(config)), "profiles", None)
    if profiles:
        one = profiles(dataclasses.replace(config, targets=source.targets))[0]
        source = dataclasses.replace(source, profile=(len(one.columns), one.positions))
    return Trainer(architecture_of(config), config, source, TrainConfig(**{"epochs": 3, **settings}), made)


def train_until_killed(folder: Path, config: Any, epochs: int, epoch: int, step: int) -> None:
    """Train, until this process is killed before a step of an epoch; both count from 0."""
    made = trainer(folder, config, epochs=epochs)
    _kill_before(made, epoch, step)
    made.run()


def fine_tune_until_killed(folder: Path, start: Checkpoint, settings: TrainConfig, place: str) -> None:
    made = RunFolder(folder)
    made.create()
    tuning = Trainer("deepstarr", SMALL, Toy(), settings, made, start=start)
    if place == "after epoch 0":
        tuning._epoch = kill_itself  # type: ignore[method-assign]
    elif place == "before epoch 0":
        tuning._save = kill_itself  # type: ignore[method-assign]
    else:
        _kill_before(tuning, 1, 3)
    tuning.run()


def _kill_before(made: Trainer, epoch: int, step: int) -> None:
    original_step = made._step

    def killing(*arguments: Any) -> Any:
        if (made.progress.epoch, made.progress.step) == (epoch, step):
            kill_itself()
        return original_step(*arguments)

    made._step = killing  # type: ignore[method-assign]


def without_dropout(folder: Path) -> TrainingJob:
    """A training that any number of processes can share."""
    config = dataclasses.replace(SMALL, dropout=0.0)
    settings = TrainConfig(epochs=1, batch_size=100)
    return TrainingJob("deepstarr", config, settings, TrainingOptions(output=folder, device="cpu"))


def fine_tune_without_dropout(folder: Path, start: Checkpoint) -> list[str]:
    """Fine-tune weights of a network without dropout, with frozen batch norms. Returns the notes."""
    told: list[str] = []
    settings = TrainConfig(epochs=2, batch_size=100, freeze_batch_norm=True)
    options = TrainingOptions(output=folder, device="cpu")
    run(TrainingJob("deepstarr", start.config, settings, options, start=start), Toy(), Reporter(note=told.append))
    return told


def fine_tune_and_write_notes(folder: Path, start: Path) -> None:
    told = fine_tune_without_dropout(folder, checkpoint.load(start))
    with folder.with_suffix(".told").open("a") as file:
        file.writelines(f"{line}\n" for line in told)


def train_as_one_of_two(rank: int, port: int, folder: Path) -> None:
    """What torchrun does for a process: it says by variables which one it is."""
    ranks = {"WORLD_SIZE": 2, "RANK": rank, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in ranks.items()})
    run(without_dropout(folder), Toy())


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]
