"""Training of each network by the trainer, and by the plainest loop of PyTorch over the same network, in turns.

    pytest benchmarks/test_training_networks.py

The loop makes one-hot bases with one_hot of PyTorch, calls the module, and steps the same optimizer with PyTorch's
defaults. A round times a step of each; the ratio is the median over the rounds, since other load changes.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measure import needs

needs("torch")

import torch  # noqa: E402
from torch import nn  # noqa: E402

from benchmarks.test_training import Fixed  # noqa: E402
from zoo import registry  # noqa: E402
from zoo.system import machine  # noqa: E402
from zoo.training.config import TrainConfig, read_model  # noqa: E402
from zoo.training.run_folder import RunFolder  # noqa: E402
from zoo.training.trainer import Trainer  # noqa: E402

NETWORKS = ("original", "basset", "legnet", "malinois", "dream-cnn", "dream-rnn")
BATCH = 32
"""A step of the largest network takes seconds on two cores."""

SETTINGS = TrainConfig(optimizer="adamw", learning_rate=1e-3, epsilon=1e-8, weight_decay=0.01, batch_size=BATCH)


class Plain:
    """The plainest loop: one-hot, network, loss, gradients, step."""

    def __init__(self, module: nn.Module, source: Fixed) -> None:
        self.module, self.split = module.train(), source.split
        self.optimizer = torch.optim.AdamW(
            module.parameters(), lr=SETTINGS.learning_rate, weight_decay=SETTINGS.weight_decay
        )

    def step(self) -> float:
        codes, observed = torch.from_numpy(self.split.codes), torch.from_numpy(self.split.targets)
        hot = nn.functional.one_hot(codes.long(), 4).float().transpose(1, 2)
        self.optimizer.zero_grad()
        loss = nn.functional.mse_loss(self.module(hot), observed)
        loss.backward()
        self.optimizer.step()
        return loss.item()


@pytest.mark.parametrize("variant", NETWORKS)
def test_training_of_each_network(benchmark: Any, variant: str, budget: float, tmp_path: Path) -> None:
    architecture, config, _ = read_model(variant)
    source = Fixed(BATCH, config.sequence_length, config.targets)
    folder = RunFolder(tmp_path / "run")
    folder.create()
    trainer = Trainer(architecture, config, source, SETTINGS, folder)
    trainer.model.train()
    plain = Plain(registry.load("models", architecture).network(trainer.config), source)
    rows = torch.arange(BATCH).numpy()
    machine.keep_memory()
    ways = {"trainer": lambda: trainer._step(source.split, rows, (0,)), "plain": plain.step}
    taken: dict[str, list[float]] = {name: [] for name in ways}

    def rounds() -> None:
        for way in ways.values():
            way()
        end = time.perf_counter() + budget
        while len(taken["plain"]) < 5 or time.perf_counter() < end:
            for name, way in ways.items():
                began = time.perf_counter()
                way()
                taken[name].append(time.perf_counter() - began)

    benchmark.pedantic(rounds, rounds=1)
    ratios = [plain / ours for ours, plain in zip(taken["trainer"], taken["plain"], strict=True)]
    threads = torch.get_num_threads()
    benchmark.extra_info["table"] = f"training of each network, batches of {BATCH}, {threads} threads"
    benchmark.extra_info["rows"] = [
        {
            "network": variant,
            "sequences a second": round(BATCH / statistics.median(taken["trainer"])),
            "plain loop": round(BATCH / statistics.median(taken["plain"])),
            "faster by": round(statistics.median(ratios), 2),
        }
    ]
