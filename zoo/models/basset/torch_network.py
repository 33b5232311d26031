"""Basset in PyTorch.

Every activation and pooling is a module of its own, since attribution methods (DeepLIFT, hooks) attach to modules.
"""

from __future__ import annotations

import torch
from torch import nn

from zoo.layers.batch_norm import BatchNorm
from zoo.models.basset import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, HEAD, Config
from zoo.spec import ALPHABET


class Basset(nn.Module):
    """[conv, batch norm, ReLU, max-pool] a filter count, flatten, [dense, batch norm, ReLU, dropout] a dense, output.

    Initialised as Torch7 and PyTorch do: weights and biases uniform within 1 / sqrt(inputs), unit batch norm.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        channels = len(ALPHABET)
        for number, (filters, size, pool) in enumerate(
            zip(config.filters, config.kernel_sizes, config.pools, strict=True), 1
        ):
            self.add_module(f"conv{number}", nn.Conv1d(channels, filters, size))
            self.add_module(f"conv{number}_bn", BatchNorm(filters, BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM))
            self.add_module(f"conv{number}_relu", nn.ReLU())
            self.add_module(f"conv{number}_pool", nn.MaxPool1d(pool))
            channels = filters
        self.add_module("flatten", nn.Flatten())
        features = config.flat_features
        for number, units in enumerate(config.dense_units, 1):
            self.add_module(f"hidden{number}", nn.Linear(features, units))
            self.add_module(f"hidden{number}_bn", BatchNorm(units, BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM))
            self.add_module(f"hidden{number}_relu", nn.ReLU())
            self.add_module(f"hidden{number}_dropout", nn.Dropout(config.dropout))
            features = units
        self.add_module(HEAD, nn.Linear(features, len(config.targets)))

    def forward(self, one_hot: torch.Tensor) -> torch.Tensor:
        """One-hot DNA, float (N, 4, L), channels in the order A, C, G, T -> activities, float (N, T)."""
        hidden = one_hot
        for layer in self.children():
            hidden = layer(hidden)
        return hidden
