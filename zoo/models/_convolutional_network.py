"""Networks of convolutions, then dense layers, in PyTorch.

Every activation and pooling is a module, since attribution methods (DeepLIFT, hooks) attach to modules.
"""

from __future__ import annotations

import torch
from torch import nn

from zoo.layers.batch_norm import BatchNorm
from zoo.models._convolutional import ConvolutionalConfig
from zoo.spec import ALPHABET


class ConvolutionalNetwork(nn.Module):
    """[conv, batch norm, ReLU, max-pool] per filter count, flatten, [dense, batch norm, ReLU, dropout] per dense layer,
    output layer, and a sigmoid if the Config has one. Initialised as PyTorch does: weights and biases uniform within
    1 / sqrt(inputs), unit batch norm."""

    def __init__(self, config: ConvolutionalConfig) -> None:
        super().__init__()
        self.config = config
        conventions = config.conventions

        def add_norm_and_relu(layer: str, channels: int) -> None:
            norm = BatchNorm(channels, conventions.epsilon, conventions.momentum)
            self.add_module(layer + conventions.norm, norm)
            self.add_module(f"{layer}_relu", nn.ReLU())

        channels = len(ALPHABET)
        for number, (filters, size, pool) in enumerate(
            zip(config.filters, config.kernel_sizes, config.pools, strict=True), 1
        ):
            layer = f"conv{number}"
            self.add_module(layer, nn.Conv1d(channels, filters, size, padding="same" if conventions.same else 0))
            add_norm_and_relu(layer, filters)
            self.add_module(f"{layer}_pool", nn.MaxPool1d(pool))
            channels = filters
        self.add_module("flatten", nn.Flatten())
        features = config.flat_features
        for number, units in enumerate(config.dense_units, 1):
            layer = f"{conventions.dense}{number}"
            self.add_module(layer, nn.Linear(features, units))
            add_norm_and_relu(layer, units)
            self.add_module(f"{layer}_dropout", nn.Dropout(config.dropout))
            features = units
        self.add_module(conventions.head, nn.Linear(features, len(config.targets)))
        if config.sigmoid:
            self.add_module("sigmoid", nn.Sigmoid())

    def forward(self, one_hot: torch.Tensor) -> torch.Tensor:
        """One-hot DNA, float (N, 4, L), channels in the order A, C, G, T -> activities, float (N, T)."""
        hidden = one_hot
        for layer in self.children():
            hidden = layer(hidden)
        return hidden
