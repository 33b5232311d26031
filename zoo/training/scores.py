"""Predictions of a network in training, in evaluation mode, and their metrics. Needs PyTorch.

Axes: N sequences, L positions, T targets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from zoo.evaluation.metrics import METRICS, score
from zoo.spec import ALPHABET
from zoo.training.losses import Loss
from zoo.training.profile_loss import ProfileLoss

EVALUATION_BATCH = {"cpu": 16, "cuda": 2048}
"""Sequences per batch. On a CPU, the widest activations of 16 sequences fit into the second-level cache."""


def one_hot(codes: np.ndarray, device: torch.device, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """One-hot bases on the device, channels last: base codes, uint8 (N, L) -> (N, L, 4)."""
    table = torch.eye(len(ALPHABET) + 1, len(ALPHABET), device=device, dtype=dtype)
    return nn.functional.embedding(torch.from_numpy(codes).to(device).int(), table)


def predict(
    module: nn.Module,
    codes: np.ndarray,
    device: torch.device,
    compute: Callable[[torch.Tensor, slice], torch.Tensor] | None = None,
) -> np.ndarray:
    """Predict in evaluation mode, and restore the mode: base codes, uint8 (N, L) -> activities, float32 (N, T).

    compute: from one-hot bases (N, 4, L) and their rows to what is returned instead, (N, columns).
    """
    training = module.training
    module.eval()
    out = []
    batch = EVALUATION_BATCH.get(device.type, EVALUATION_BATCH["cuda"])
    with torch.inference_mode():
        for start in range(0, len(codes), batch):
            hot = one_hot(codes[start : start + batch], device, next(module.parameters()).dtype)
            found = compute(hot.mT, slice(start, start + batch)) if compute else module(hot.mT)
            out.append(found.float().cpu().numpy())
    module.train(training)
    return np.concatenate(out)


def columns(split: str, loss: Loss | ProfileLoss, observed: np.ndarray, kept: np.ndarray) -> dict[str, Any]:
    """Columns of metrics.csv: the loss, None if it is not defined, and each metric of each target, over all rows.

    observed: measured targets, (N, T).  kept: what Loss.kept keeps of each prediction.
    """
    columns: dict[str, Any] = {f"{split}_loss": loss.of_arrays(kept, observed)}
    for name, one in zip(loss.targets, score(observed, kept[:, : len(loss.targets)]), strict=True):
        columns.update({f"{split}_{metric}_{name}": getattr(one, metric) for metric in METRICS})
    return columns | {f"{split}_{name}": value for name, value in loss.metrics(kept).items()}
