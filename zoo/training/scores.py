"""What a network in training predicts in evaluation mode, and how good that is. Needs PyTorch.

Axes: N sequences, L positions, T targets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from zoo.evaluation.metrics import METRICS, score
from zoo.spec import ALPHABET

EVALUATION_BATCH = {"cpu": 16, "cuda": 2048}
"""Sequences that are predicted at once. On a CPU the widest activations of 16 stay in the second-level cache."""


def one_hot(codes: np.ndarray, device: torch.device, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Base codes, uint8 (N, L) -> (N, L, 4), channels last, made on the device."""
    table = torch.eye(len(ALPHABET) + 1, len(ALPHABET), device=device, dtype=dtype)
    return nn.functional.embedding(torch.from_numpy(codes).to(device).int(), table)


def predict(module: nn.Module, codes: np.ndarray, device: torch.device) -> np.ndarray:
    """Base codes, uint8 (N, L) -> activities, float32 (N, T), in evaluation mode; its mode is left as found."""
    training = module.training
    module.eval()
    out = []
    batch = EVALUATION_BATCH.get(device.type, EVALUATION_BATCH["cuda"])
    with torch.inference_mode():
        for start in range(0, len(codes), batch):
            hot = one_hot(codes[start : start + batch], device, next(module.parameters()).dtype)
            out.append(module(hot.transpose(1, 2)).float().cpu().numpy())
    module.train(training)
    return np.concatenate(out)


def columns(split: str, targets: tuple[str, ...], observed: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """Columns of metrics.csv: the loss, and each metric of each target, over all rows.

    None where a prediction of a measured row is not finite: a loss over the other rows, or the other targets, would be
    the lower the worse the network is.
    """
    scores = score(observed, predicted)
    errors = [one.mse for one in scores if one.n]
    loss = sum(one for one in errors if one is not None) if errors and None not in errors else None
    columns: dict[str, Any] = {f"{split}_loss": loss}
    for name, one in zip(targets, scores, strict=True):
        columns.update({f"{split}_{metric}_{name}": getattr(one, metric) for metric in METRICS})
    return columns
