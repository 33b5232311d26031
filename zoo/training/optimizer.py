"""The optimizer of a training, and the moving average of its weights. Needs PyTorch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from zoo.training.config import TrainConfig


def make(settings: TrainConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Adam or AdamW with these settings."""
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    return kind(
        parameters,
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
        weight_decay=settings.weight_decay,
        amsgrad=settings.amsgrad,
        fused=True,
    )


def set_rate(optimizer: torch.optim.Optimizer, settings: TrainConfig, rate: float, beta1: float) -> None:
    """Set the learning rate and the decay of the mean of the gradients for the next step."""
    for parameters in optimizer.param_groups:
        parameters["lr"], parameters["betas"] = rate, (beta1, settings.beta2)


def step(optimizer: torch.optim.Optimizer, settings: TrainConfig, updates: int) -> None:
    """Do a step. updates: steps after it.

    Keras adds epsilon to sqrt(v) before the bias correction, PyTorch after it.
    """
    for parameters in optimizer.param_groups if settings.optimizer == "adam" else ():
        parameters["eps"] = settings.epsilon / math.sqrt(1 - settings.beta2**updates)
    optimizer.step()


def average(model: nn.Module, decay: float) -> Any:
    """A moving average of weights and running statistics, None for a decay of 0.

    Its window grows from a few steps to 1 / (1 - decay) steps, so that the random initial weights soon lose their
    influence.
    """
    if not decay:
        return None
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    def mix(averaged: Any, current: Any, count: torch.Tensor) -> None:
        so_far = int(count)
        get_ema_multi_avg_fn(min(decay, (1 + so_far) / (10 + so_far)))(averaged, current, count)

    return AveragedModel(model, multi_avg_fn=mix, use_buffers=True)
