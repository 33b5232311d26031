"""Malinois in PyTorch, see zoo/models/malinois/__init__.py. Axes: N sequences, T targets."""

from __future__ import annotations

import math

import torch
from torch import nn

from zoo.layers.flanks import Flanks
from zoo.models.malinois import POOLS, Config
from zoo.spec import ALPHABET


class Branches(nn.Module):
    """A dense layer for each target: (N, T, inputs) -> (N, T, units)."""

    def __init__(self, targets: int, inputs: int, units: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(targets, inputs, units))
        self.bias = nn.Parameter(torch.empty(targets, 1, units))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(3))
        bound = 1 / math.sqrt(inputs * units)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return torch.matmul(hidden.unsqueeze(2), self.weight).squeeze(2) + self.bias.squeeze(1)


class Malinois(nn.Module):
    """Three convolutions with pooling, dense layers, and a tower of dense layers for each target."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.trunk = nn.Sequential()
        add = self.trunk.add_module
        add("flanks", Flanks(config.left_flank, config.right_flank))
        inputs = len(ALPHABET)
        for number, (filters, size, pool) in enumerate(zip(config.filters, config.kernel_sizes, POOLS, strict=True), 1):
            add(f"conv{number}", nn.Conv1d(inputs, filters, size, padding="same"))
            add(f"conv{number}_norm", nn.BatchNorm1d(filters))
            add(f"conv{number}_relu", nn.ReLU())
            # the last pooling sees a zero on each side
            add(f"conv{number}_pad", nn.ConstantPad1d(int(number == len(POOLS)), 0.0))
            add(f"conv{number}_pool", nn.MaxPool1d(pool))
            inputs = filters
        add("flatten", nn.Flatten())
        inputs *= config.positions
        for number, units in enumerate(config.dense_units, 1):
            add(f"dense{number}", nn.Linear(inputs, units))
            add(f"dense{number}_norm", nn.BatchNorm1d(units))
            add(f"dense{number}_relu", nn.ReLU())
            add(f"dense{number}_dropout", nn.Dropout(config.dropout))
            inputs = units
        targets, units = len(config.targets), config.branch_units
        layers = range(config.branch_layers)
        self.branches = nn.ModuleList(Branches(targets, units if layer else inputs, units) for layer in layers)
        activation = {"relu": nn.ReLU, "relu6": nn.ReLU6}[config.branch_activation]
        self.branch_activations = nn.ModuleList(activation() for _ in layers[1:])
        self.branch_dropout = nn.Dropout(config.branch_dropout)
        self.output = Branches(targets, units, 1)

    def forward(self, one_hot: torch.Tensor) -> torch.Tensor:
        """One-hot DNA without flanks, float (N, 4, L), channels in the order A, C, G, T -> activities, float (N, T)."""
        hidden = self.trunk(one_hot)
        hidden = self.branches[0](hidden.unsqueeze(1).expand(-1, len(self.config.targets), -1))
        for activation, branch in zip(self.branch_activations, self.branches[1:], strict=True):
            hidden = branch(self.branch_dropout(activation(hidden)))
        return self.output(hidden).squeeze(2)
