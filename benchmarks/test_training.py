"""Training: sequences a second of an epoch on the CPU, against a loop as earlier ports have it, in turns in one run."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from benchmarks.peers import training_loop  # noqa: E402
from zoo.labelled import Split  # noqa: E402
from zoo.models.deepstarr import VARIANTS  # noqa: E402
from zoo.run_folder import RunFolder  # noqa: E402
from zoo.train import Trainer  # noqa: E402
from zoo.train_config import TrainConfig  # noqa: E402

SEQUENCES = 1280
ROUNDS = 3
CHOICES = {"default": {}, "bf16": {"precision": "bf16"}}


class Fixed:
    """Random DNA and random targets: what is measured does not depend on them."""

    targets = ("dev", "hk")
    sequence_length = 249

    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        codes = generator.integers(0, 4, (SEQUENCES, 249)).astype(np.uint8)
        self.split = Split(codes, generator.standard_normal((SEQUENCES, 2)).astype(np.float32))
        self.validation = Split(codes[:64], self.split.targets[:64])

    def epoch(self, number: int) -> Split:  # noqa: ARG002
        return self.split

    def identity(self) -> dict[str, object]:
        return {}


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_training_epoch(benchmark, variant: str, tmp_path: Path) -> None:
    """Best of ROUNDS turns each; the ratios to the earlier ports' loop go into extra_info."""
    source, config = Fixed(), VARIANTS[variant]
    data = training_loop.OneHotDataset(source.split.codes, source.split.targets)
    port = training_loop.port(config.filters, config.kernel_sizes, config.dense_units)
    trainers = {}
    for name, settings in CHOICES.items():
        folder = RunFolder(tmp_path / name)
        folder.create()
        trainers[name] = Trainer("deepstarr", config, source, TrainConfig(**settings), folder)
    runs = {"earlier ports": lambda: training_loop.epoch(port, data)}
    runs.update({name: lambda made=made: _epoch(made) for name, made in trainers.items()})
    best = dict.fromkeys(runs, float("inf"))

    def turns() -> None:
        for _, (name, run) in itertools.product(range(ROUNDS), runs.items()):
            began = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - began)

    benchmark.pedantic(turns, rounds=1)
    benchmark.group = f"training, {variant}"
    benchmark.extra_info["sequences_per_second"] = {name: round(SEQUENCES / seconds) for name, seconds in best.items()}
    ratios = {name: round(best["earlier ports"] / seconds, 2) for name, seconds in best.items()}
    benchmark.extra_info["ratio_to_earlier_ports"] = ratios
    print(f"\ntraining, {variant}: {ratios}")


def _epoch(trainer: Trainer) -> None:
    """A training epoch: every step, without validation and checkpoint, which the earlier ports' loop leaves out too."""
    order = np.random.default_rng(0).permutation(SEQUENCES)
    for start in range(0, SEQUENCES, trainer.settings.batch_size):
        trainer._step(trainer.source.epoch(1), order[start : start + trainer.settings.batch_size], (0,))
