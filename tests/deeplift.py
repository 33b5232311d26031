"""DeepLIFT (rescale rule) of a PyTorch network written out in float64, a layer after the other, without hooks."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from zoo.dna.encoding import one_hot
from zoo.weights import network
from zoo.weights.checkpoint import Checkpoint

torch = pytest.importorskip("torch")
nn = torch.nn

SMALL = 1e-6
"""Differences under which shap takes the derivative instead of a ratio."""


def hypothetical(weights: Checkpoint, codes: np.ndarray, references: np.ndarray, target: int) -> np.ndarray:
    """Base codes, uint8 (N, L) and (N, R, L) -> float64 (N, L, 4), the mean over references."""
    module = copy.deepcopy(network.from_checkpoint(weights)).double()
    found = []
    for sequence, others in zip(codes, references, strict=True):
        own, zero = (torch.from_numpy(one_hot(part, channels_first=True)).double() for part in (sequence[None], others))
        multipliers = _multipliers(list(module.children()), own, zero, target)
        found.append((multipliers - (zero * multipliers).sum(1, keepdim=True)).mean(0).T.numpy())
    return np.stack(found)


def _multipliers(layers: list[nn.Module], own: torch.Tensor, zero: torch.Tensor, target: int) -> torch.Tensor:
    if not layers:
        chosen = torch.zeros_like(zero)
        chosen[:, target] = 1
        return chosen
    layer, *others = layers
    with torch.no_grad():
        after = _multipliers(others, layer(own), layer(zero), target)
        if isinstance(layer, nn.ReLU):
            difference = own - zero
            small = difference.abs() < SMALL
            ratio = (layer(own) - layer(zero)) / difference.masked_fill(small, 1)
            return after * torch.where(small, (zero > 0).double(), ratio)
        if isinstance(layer, nn.MaxPool1d):
            (most_own, at_own), (most_zero, at_zero) = (
                nn.functional.max_pool1d(side, layer.kernel_size, return_indices=True) for side in (own, zero)
            )
            at = torch.where(most_own >= most_zero, at_own, at_zero)
            difference = own.expand_as(zero).gather(2, at) - zero.gather(2, at)
            small = difference.abs() < SMALL
            ratio = ((most_own - most_zero) / difference.masked_fill(small, 1)).masked_fill(small, 0)
            return torch.zeros_like(zero).scatter(2, at, after * ratio)
    # all else is linear
    zero = zero.detach().requires_grad_()
    with torch.enable_grad():
        (before,) = torch.autograd.grad(layer(zero), zero, after)
    return before
