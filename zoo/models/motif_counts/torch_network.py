"""Motif counts with a linear readout in PyTorch: a fixed convolution, counts of its hits, and one matrix to train."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from zoo.models.motif_counts import Config, scoring


class MotifCounts(nn.Module):
    """See zoo/models/motif_counts/__init__.py. Matrices and thresholds come from the Config and are not trained."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        kernels, limits = scoring.kernels(config.motifs)
        self.register_buffer("_kernels", torch.from_numpy(kernels), persistent=False)
        self.register_buffer("_limits", torch.from_numpy(limits), persistent=False)
        self.effects = nn.Linear(len(config.motifs), len(config.targets))
        nn.init.zeros_(self.effects.weight)
        nn.init.zeros_(self.effects.bias)

    def forward(self, one_hot: torch.Tensor) -> torch.Tensor:
        """One-hot DNA, float (N, 4, L), channels in the order A, C, G, T -> activities, float (N, T)."""
        # positions beyond the end count as N, so narrower motifs can match the last bases
        padded = functional.pad(one_hot, (0, self._kernels.shape[2] - 1))
        # bfloat16 cannot represent all scores
        with torch.autocast(one_hot.device.type, enabled=False):
            scores = functional.conv1d(padded, self._kernels)
        hits = (scores >= self._limits[:, None]).to(one_hot.dtype).sum(2)
        return self.effects(hits.view(-1, 2, len(self.config.motifs)).sum(1))
