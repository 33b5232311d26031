"""MPRALegNet in PyTorch, see zoo/models/legnet/__init__.py."""

from __future__ import annotations

import itertools

import torch
from torch import nn

from zoo.layers.flanks import Flanks
from zoo.models._gated_blocks import Block, Convolution, initialise
from zoo.models.legnet import Config
from zoo.spec import ALPHABET


class LegNet(nn.Module):
    """Stem, blocks with max-pooling, mean over positions, two dense layers."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.flanks = Flanks(config.left_flank, config.right_flank)
        self.stem = Convolution(len(ALPHABET), config.stem_filters, config.stem_kernel)
        channels = (config.stem_filters, *config.block_filters)
        self.blocks = nn.ModuleList(
            Block(inputs, outputs, config.block_kernel, inputs * config.widening, inputs, group=1, input_first=False)
            for inputs, outputs in itertools.pairwise(channels)
        )
        self.pools = nn.ModuleList(nn.MaxPool1d(size) if size > 1 else nn.Identity() for size in config.pools)
        features = 2 * channels[-1]
        self.mapper_norm = nn.BatchNorm1d(channels[-1])
        self.mapper = nn.Conv1d(channels[-1], features, 1)
        self.mean = nn.AdaptiveAvgPool1d(1)
        self.flatten = nn.Flatten()
        self.hidden = nn.Linear(features, features)
        self.hidden_norm = nn.BatchNorm1d(features)
        self.hidden_silu = nn.SiLU()
        self.output = nn.Linear(features, len(config.targets))
        self.apply(initialise)

    def forward(self, one_hot: torch.Tensor) -> torch.Tensor:
        """One-hot DNA without flanks, float (N, 4, L), channels in the order A, C, G, T -> activities, float (N, T)."""
        hidden = self.stem(self.flanks(one_hot))
        for block, pool in zip(self.blocks, self.pools, strict=True):
            hidden = pool(block(hidden))
        hidden = self.flatten(self.mean(self.mapper(self.mapper_norm(hidden))))
        return self.output(self.hidden_silu(self.hidden_norm(self.hidden(hidden))))
