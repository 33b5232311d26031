"""The optimizers and losses that a recipe can name, against a plain loop of PyTorch's own classes."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refusals import refuses  # noqa: E402
from toy import SMALL, Toy, trainer  # noqa: E402

from zoo.dna.encoding import one_hot  # noqa: E402
from zoo.training.config import TrainConfig  # noqa: E402

CONFIG = dataclasses.replace(SMALL, dropout=0.0)
BATCH = 50


def total(difference: torch.Tensor, loss: str) -> torch.Tensor:
    """Sum over targets of the mean error of the rows that were measured."""
    measured = [column[~column.isnan()] for column in difference.T]
    return sum((one.square() if loss == "mse" else one.abs()).mean() for one in measured)


@pytest.mark.parametrize("loss", ["mse", "l1"])
def test_adamw_with_clipping_and_each_loss_is_that_of_pytorch(loss: str, tmp_path: Path) -> None:
    settings = {"optimizer": "adamw", "weight_decay": 0.1, "clip_gradient": 0.05, "loss": loss, "epsilon": 1e-8}
    training = trainer(tmp_path / "run", CONFIG, epochs=1, batch_size=BATCH, learning_rate=0.01, **settings)
    module = copy.deepcopy(training.model).train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.01, weight_decay=0.1)
    split = Toy().train
    order = np.random.default_rng((0, 1)).permutation(len(split.codes))
    for rows in order.reshape(-1, BATCH):
        observed = torch.from_numpy(split.targets[rows])
        difference = module(torch.from_numpy(one_hot(split.codes[rows])).mT) - observed
        optimizer.zero_grad()
        total(difference, loss).backward()
        assert torch.nn.utils.clip_grad_norm_(module.parameters(), 0.05) > 0.05
        optimizer.step()
    row = training.run()
    for ours, theirs in zip(training.model.parameters(), module.parameters(), strict=True):
        if ours.ndim > 1:  # the gradient of a bias before a batch norm is rounding alone
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=2e-4)
    validation = Toy().validation
    with torch.inference_mode():
        difference = training.model.eval()(torch.from_numpy(one_hot(validation.codes)).mT) - torch.from_numpy(
            validation.targets
        )
    assert row["validation_loss"] == pytest.approx(float(total(difference, loss)), rel=1e-4)


def test_weight_decay_of_adam_is_pytorchs_penalty_and_bad_settings_are_refused(tmp_path: Path) -> None:
    optimiser = trainer(tmp_path / "run", weight_decay=0.25).optimiser
    assert type(optimiser) is torch.optim.Adam
    assert optimiser.param_groups[0]["weight_decay"] == 0.25
    for name, value in (("optimizer", "sgd"), ("loss", "hinge"), ("weight_decay", -1.0), ("clip_gradient", -1.0)):
        with refuses(name.replace("_", "-"), str(value)):
            TrainConfig(**{name: value})
