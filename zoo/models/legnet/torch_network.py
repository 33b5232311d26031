"""MPRALegNet in PyTorch, see zoo/models/legnet/__init__.py. Axes: N sequences, C channels, P positions."""

from __future__ import annotations

import itertools
import math

import torch
from torch import nn

from zoo.layers.flanks import Flanks
from zoo.models.legnet import Config
from zoo.spec import ALPHABET


class Convolution(nn.Sequential):
    """Convolution of the same length without bias, batch norm, SiLU. groups: 1, or `inputs` for a depthwise one."""

    def __init__(self, inputs: int, filters: int, size: int, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, filters, size, padding="same", groups=groups, bias=False)
        self.norm = nn.BatchNorm1d(filters)
        self.silu = nn.SiLU()


class Gate(nn.Module):
    """Squeeze and excitation: the means of all channels give each channel a factor from 0 to 1."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.mean = nn.AdaptiveAvgPool1d(1)
        self.flatten = nn.Flatten()
        self.squeeze = nn.Linear(channels, squeezed)
        self.silu = nn.SiLU()
        self.excite = nn.Linear(squeezed, channels)
        self.sigmoid = nn.Sigmoid()

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        squeezed = self.silu(self.squeeze(self.flatten(self.mean(hidden))))
        return hidden * self.sigmoid(self.excite(squeezed)).unsqueeze(2)


class Block(nn.Module):
    """Widen the channels, filter each by itself, gate them, narrow them again; beside the block's own input, join."""

    def __init__(self, inputs: int, outputs: int, config: Config) -> None:
        super().__init__()
        inner = inputs * config.widening
        self.expand = Convolution(inputs, inner, 1)
        self.depthwise = Convolution(inner, inner, config.block_kernel, groups=inner)
        self.gate = Gate(inner, inputs)
        self.project = Convolution(inner, inputs, 1)
        self.join = Convolution(2 * inputs, outputs, config.block_kernel)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        inner = self.project(self.gate(self.depthwise(self.expand(hidden))))
        return self.join(torch.cat([inner, hidden], 1))


class LegNet(nn.Module):
    """Stem, blocks with max-pooling, mean over positions, two dense layers."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.flanks = Flanks(config.left_flank, config.right_flank)
        self.stem = Convolution(len(ALPHABET), config.stem_filters, config.stem_kernel)
        channels = (config.stem_filters, *config.block_filters)
        self.blocks = nn.ModuleList(Block(*sizes, config) for sizes in itertools.pairwise(channels))
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
        self.apply(_initialise)

    def forward(self, one_hot: torch.Tensor) -> torch.Tensor:
        """One-hot DNA without flanks, float (N, 4, L), channels in the order A, C, G, T -> activities, float (N, T)."""
        hidden = self.stem(self.flanks(one_hot))
        for block, pool in zip(self.blocks, self.pools, strict=True):
            hidden = pool(block(hidden))
        hidden = self.flatten(self.mean(self.mapper(self.mapper_norm(hidden))))
        return self.output(self.hidden_silu(self.hidden_norm(self.hidden(hidden))))


def _initialise(layer: nn.Module) -> None:
    """Random weights as in the authors' code, biases of zero."""
    if isinstance(layer, nn.Conv1d):
        nn.init.normal_(layer.weight, std=math.sqrt(2 / (layer.kernel_size[0] * layer.out_channels)))
    elif isinstance(layer, nn.Linear):
        nn.init.normal_(layer.weight, std=0.001)
    if isinstance(layer, nn.Conv1d | nn.Linear) and layer.bias is not None:
        nn.init.zeros_(layer.bias)
