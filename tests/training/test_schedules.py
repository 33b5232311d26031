"""The learning rate of every step against PyTorch's schedulers, and that a resumed run goes on with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refusals import refuses  # noqa: E402
from torch.optim import lr_scheduler  # noqa: E402
from toy import trainer  # noqa: E402

from zoo.training import optimizer, schedules  # noqa: E402
from zoo.training.config import TrainConfig  # noqa: E402
from zoo.training.trainer import Reporter  # noqa: E402

STEPS = 40
QUIET = Reporter()


def theirs(kind: Any, **arguments: Any) -> list[tuple[float, float]]:
    """Learning rate and beta1 of each step by a scheduler of PyTorch, for a rate of 0.01."""
    adam = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    scheduler = kind(adam, **arguments)
    found = []
    for _ in range(STEPS):
        found.append((adam.param_groups[0]["lr"], adam.param_groups[0]["betas"][0]))
        adam.step()
        scheduler.step()
    return found


def ours(steps: int = STEPS, **settings: Any) -> list[tuple[float, float]]:
    chosen = TrainConfig(learning_rate=0.01, **settings)
    return [(schedules.rate(chosen, step, steps, []), schedules.beta1(chosen, step, steps)) for step in range(STEPS)]


def same(found: list[tuple[float, float]], expected: list[tuple[float, float]]) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({}, {"cycle_momentum": False}),
        ({"cycle_momentum": True}, {}),
        ({"warmup": 0.1, "div_factor": 10}, {"pct_start": 0.1, "div_factor": 10, "cycle_momentum": False}),
        ({"warmup": 0.0}, {"pct_start": 0.0, "cycle_momentum": False}),
    ],
)
def test_one_cycle_is_that_of_pytorch(settings: dict[str, Any], arguments: dict[str, Any]) -> None:
    expected = theirs(lr_scheduler.OneCycleLR, max_lr=0.01, total_steps=STEPS + 1, **arguments)
    same(ours(STEPS + 1, schedule="one-cycle", **settings), expected)


def test_cosine_and_restarts_are_those_of_pytorch() -> None:
    same(ours(schedule="cosine"), theirs(lr_scheduler.CosineAnnealingLR, T_max=STEPS))
    same(ours(schedule="restarts", cycle_steps=12), theirs(lr_scheduler.CosineAnnealingWarmRestarts, T_0=12))
    assert set(ours()) == {(0.01, 0.9)}


def test_plateau_is_that_of_pytorch() -> None:
    losses = [5, 4, 4, 3.99999, 4.1, 4, 3, 3, 3, 3, 3, 3, 3, 3, 2.9, 2.9, 2.9, 2.9, 1]
    settings = TrainConfig(learning_rate=0.01, schedule="plateau", plateau_factor=0.5, plateau_patience=2)
    adam = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    scheduler = lr_scheduler.ReduceLROnPlateau(adam, factor=0.5, patience=2)
    for number, loss in enumerate(losses, 1):
        scheduler.step(loss)
        rate = schedules.rate(settings, 10 * number, 1000, losses[:number])
        assert rate == pytest.approx(adam.param_groups[0]["lr"])
    assert rate < 0.01 / 8


def test_a_run_too_short_for_a_warmup_begins_at_the_peak() -> None:
    settings = TrainConfig(learning_rate=0.01, schedule="one-cycle")
    assert [schedules.rate(settings, step, 1, []) for step in (0, 5)] == pytest.approx([0.01 / 25e4] * 2)
    two = [schedules.rate(settings, step, 2, []) for step in range(3)]
    assert two[1:] == pytest.approx([0.01 / 25e4] * 2)
    assert 0 < two[0] <= 0.01


def test_the_patience_of_a_plateau_must_end_before_the_training_does() -> None:
    with refuses("plateau-patience", "less", "4"):
        TrainConfig(schedule="plateau", patience=4, plateau_patience=4)
    TrainConfig(schedule="plateau", patience=0, plateau_patience=4)


def test_the_optimizer_has_the_betas_and_the_amsgrad_of_the_settings() -> None:
    made = optimizer.make(TrainConfig(beta1=0.8, beta2=0.9, amsgrad=True), [torch.nn.Parameter(torch.zeros(1))])
    assert made.param_groups[0]["betas"] == (0.8, 0.9)
    assert made.param_groups[0]["amsgrad"] is True


@pytest.mark.parametrize(
    "settings",
    [
        {"schedule": "plateau", "plateau_patience": 0, "plateau_factor": 0.5, "learning_rate": 0.2},
        {"schedule": "one-cycle", "cycle_momentum": True, "amsgrad": True},
        {"schedule": "restarts", "cycle_steps": 3},
    ],
)
def test_a_resumed_run_has_the_rates_and_weights_of_a_whole_one(settings: dict[str, Any], tmp_path: Path) -> None:
    settings = {"epochs": 4, "batch_size": 100, "patience": 0, **settings}
    whole, parts = (trainer(tmp_path / name, **settings) for name in ("whole", "parts"))
    whole.run()
    for _ in range(2):
        parts._epoch(QUIET)
    again = trainer(tmp_path / "parts", **settings)
    again.resume()
    again.run()
    rows = [[{**row, "sequences_per_second": 0} for row in made.progress.history] for made in (whole, again)]
    assert rows[0] == rows[1]
    assert len({row["learning_rate"] for row in rows[0]}) > 1
    for one, other in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other)
