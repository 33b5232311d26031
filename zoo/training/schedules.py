"""The learning rate of every step, as PyTorch's schedulers have it (torch.optim.lr_scheduler), and the momentum.

A rate is a function of the step and of the validation losses so far, without state: a resumed run continues exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from zoo.training.config import TrainConfig

MOMENTA = (0.95, 0.85, 0.95)
"""beta1 at the start, the peak and the end of a one-cycle with `cycle_momentum`, as in OneCycleLR."""

FINAL_DIVISOR = 1e4
"""The last rate of a one-cycle is the first one divided by this, as in OneCycleLR."""

THRESHOLD = 1e-4
"""A validation loss is lower if it is lower by this share of the lowest so far, as in ReduceLROnPlateau."""


def rate(settings: TrainConfig, step: int, steps: int, losses: Sequence[float]) -> float:
    """Learning rate of a step, which counts from 0, of a run of `steps`. losses: validation loss of each epoch done."""
    peak, first = settings.learning_rate, settings.learning_rate / settings.div_factor
    match settings.schedule:
        case "constant":
            return peak
        case "one-cycle":
            return _through((first, peak, first / FINAL_DIVISOR), step, steps, settings.warmup)
        case "cosine":
            return _between(peak, 0.0, step / steps)
        case "restarts":
            return _between(peak, 0.0, step % settings.cycle_steps / settings.cycle_steps)
        case "plateau":
            return peak * settings.plateau_factor ** _reductions(losses, settings.plateau_patience)


def beta1(settings: TrainConfig, step: int, steps: int) -> float:
    """beta1 of Adam and AdamW in a step."""
    if settings.schedule == "one-cycle" and settings.cycle_momentum:
        return _through(MOMENTA, step, steps, settings.warmup)
    return settings.beta1


def _between(first: float, last: float, share: float) -> float:
    """A value on half a cosine from the first to the last value."""
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def _through(values: tuple[float, float, float], step: int, steps: int, warmup: float) -> float:
    """A value on two half cosines from the first to the middle to the last value, which the last step has."""
    turn, end = warmup * steps - 1, steps - 1
    if step <= turn:
        return _between(values[0], values[1], step / turn if turn else 1.0)
    return _between(values[1], values[2], min((step - turn) / (end - turn), 1.0))


def _reductions(losses: Sequence[float], patience: int) -> int:
    """How often the rate was reduced: after more than `patience` epochs without a lower validation loss."""
    best, waited, reductions = math.inf, 0, 0
    for loss in losses:
        best, waited = (loss, 0) if loss < best * (1 - THRESHOLD) else (best, waited + 1)
        if waited > patience:
            waited, reductions = 0, reductions + 1
    return reductions
