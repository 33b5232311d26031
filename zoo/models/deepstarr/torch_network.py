"""DeepSTARR in PyTorch: one class for the original, the tuned and every other Config.

Every activation and pooling is a module of its own, since attribution methods (DeepLIFT, hooks) attach to modules.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from zoo.layers.batch_norm import BatchNorm
from zoo.models.deepstarr import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, POOL_SIZE, Config
from zoo.spec import ALPHABET


class DeepSTARR(nn.Module):
    """[conv, batch norm, ReLU, max-pool] a filter count, flatten, [dense, batch norm, ReLU, dropout] a dense, head.

    Initialised as Keras does: Glorot-uniform kernels, zero biases, unit batch norm.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels = len(ALPHABET)
        for number, (filters, size) in enumerate(zip(config.filters, config.kernel_sizes, strict=True), 1):
            layers[f"conv{number}"] = nn.Conv1d(channels, filters, size, padding="same")
            layers[f"conv{number}_norm"] = BatchNorm(filters, BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM)
            layers[f"conv{number}_relu"] = nn.ReLU()
            layers[f"conv{number}_pool"] = nn.MaxPool1d(POOL_SIZE)
            channels = filters
        layers["flatten"] = nn.Flatten()
        features = config.flat_features
        for number, units in enumerate(config.dense_units, 1):
            layers[f"dense{number}"] = nn.Linear(features, units)
            layers[f"dense{number}_norm"] = BatchNorm(units, BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM)
            layers[f"dense{number}_relu"] = nn.ReLU()
            layers[f"dense{number}_dropout"] = nn.Dropout(config.dropout)
            features = units
        layers["head"] = nn.Linear(features, len(config.targets))
        for name, layer in layers.items():
            self.add_module(name, layer)
            if isinstance(layer, (nn.Conv1d, nn.Linear)):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, one_hot: torch.Tensor) -> torch.Tensor:
        """One-hot DNA, float (N, 4, L), channels in the order A, C, G, T -> activities, float (N, T)."""
        hidden = one_hot
        for layer in self.children():
            hidden = layer(hidden)
        return hidden
