"""Training on the CPU: sequences a second of an epoch, compared with the loop of earlier ports, in turns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from benchmarks.measure import in_turns, needs

needs("torch", "scipy")

import torch  # noqa: E402

from benchmarks.peers import training_loop  # noqa: E402
from zoo.card import Card  # noqa: E402
from zoo.data.labelled import Split  # noqa: E402
from zoo.models.deepstarr import VARIANTS, trunk  # noqa: E402
from zoo.system import machine  # noqa: E402
from zoo.training.config import TrainConfig  # noqa: E402
from zoo.training.run_folder import RunFolder  # noqa: E402
from zoo.training.trainer import Trainer  # noqa: E402

TURNS = [(1, 32), *((threads, 128) for threads in sorted({1, machine.cores()}))]
"""Threads, and the batch of the one step of a turn. The default batch is 128, here and in the ports. Batches of 32 suit
shared machines, which interrupt longer steps; the fixed costs of a step weigh more in them."""

OPTIONS = {"": ("fp32", torch.float32), " --precision bf16": ("bf16", torch.bfloat16)}
CHOICES = {f"zoo train{option}": (precision, trunk.pays(dtype)) for option, (precision, dtype) in OPTIONS.items()}
CHOICES |= {f"{name}, step in PyTorch alone": (choice[0], False) for name, choice in CHOICES.items() if choice[1]}
"""Name -> precision, and whether the step is compiled; a compiled step is also measured in PyTorch alone."""

PORT = "earlier ports' loop"


class Fixed:
    """Random DNA and random targets; the measurements do not depend on them."""

    card = Card()

    def __init__(self, count: int = 128, sequence_length: int = 249, targets: tuple[str, ...] = ("dev", "hk")) -> None:
        self.sequence_length, self.targets = sequence_length, targets
        generator = np.random.default_rng(0)
        codes = generator.integers(0, 4, (count, sequence_length)).astype(np.uint8)
        measured = generator.standard_normal((count, len(targets))).astype(np.float32)
        self.split = self.validation = Split(codes, measured)

    def epoch(self, number: int) -> Split:  # noqa: ARG002
        return self.split

    def identity(self) -> dict[str, object]:
        return {}


@pytest.mark.parametrize(("threads", "batch"), TURNS)
@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_training_steps(benchmark: Any, variant: str, threads: int, batch: int, budget: float, tmp_path: Path) -> None:
    source, config = Fixed(batch), VARIANTS[variant]
    data = training_loop.OneHotDataset(source.split.codes, source.split.targets)
    port = training_loop.port(config.filters, config.kernel_sizes, config.dense_units)
    ways: dict[str, Callable[[], object]] = {PORT: lambda: training_loop.epoch(port, data)}
    for name, (precision, compiled) in CHOICES.items():
        folder = RunFolder(tmp_path / name)
        folder.create()
        trainer = Trainer("deepstarr", config, source, TrainConfig(precision=precision, batch_size=batch), folder)
        ways[name] = lambda trainer=trainer, compiled=compiled: _epoch(trainer, compiled)
    best: dict[str, float] = {}
    before = torch.get_num_threads()
    machine.keep_memory()
    torch.set_num_threads(threads)
    try:
        in_turns(ways, 0.0)
        benchmark.pedantic(lambda: best.update(in_turns(ways, budget)), rounds=1)
    finally:
        torch.set_num_threads(before)
    benchmark.extra_info["table"] = f"training, {variant}, batches of {batch}, {threads} thread{'s' * (threads > 1)}"
    benchmark.extra_info["rows"] = [
        {"way": name, "sequences a second": round(batch / seconds), "faster by": round(best[PORT] / seconds, 2)}
        for name, seconds in best.items()
    ]


def _epoch(trainer: Trainer, compiled: bool) -> None:
    """All steps of a training epoch, without validation and checkpoint, which the loop of earlier ports lacks too."""
    split = trainer.source.epoch(1)
    order = np.random.default_rng(0).permutation(len(split.codes))
    with mock.patch.object(trunk, "pays", return_value=compiled):
        for start in range(0, len(order), trainer.settings.batch_size):
            trainer._step(split, order[start : start + trainer.settings.batch_size], (0,))
