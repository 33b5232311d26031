"""Convolutional blocks with squeeze and excitation, which LegNet and the networks of the DREAM challenge share. Needs
PyTorch. Axes: N sequences, C channels, P positions."""

from __future__ import annotations

import math

import torch
from torch import nn


class Convolution(nn.Sequential):
    """Convolution of the same length without bias, batch norm, SiLU. groups: 1, or fewer inputs for each filter."""

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
    """Widen the channels, filter them in small groups, gate them, and narrow them to as many as the input has; `join`
    takes these and the input.

    inner: channels inside.  squeezed: units of the gate.  group: channels that a filter inside sees.  input_first:
    whether `join` has the channels of the input before the others.
    """

    def __init__(
        self, inputs: int, outputs: int, size: int, inner: int, squeezed: int, group: int, input_first: bool
    ) -> None:
        super().__init__()
        self.input_first = input_first
        self.expand = Convolution(inputs, inner, 1)
        self.depthwise = Convolution(inner, inner, size, groups=inner // group)
        self.gate = Gate(inner, squeezed)
        self.project = Convolution(inner, inputs, 1)
        self.join = Convolution(2 * inputs, outputs, size)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        inner = self.project(self.gate(self.depthwise(self.expand(hidden))))
        return self.join(torch.cat([hidden, inner] if self.input_first else [inner, hidden], 1))


def initialise(layer: nn.Module) -> None:
    """Random weights as in the authors' code, biases of zero; for `Module.apply`. Source: `initialize_weights` in
    autosome-ru/human_legnet and in the Prix Fixe benchmarks of the DREAM challenge."""
    if isinstance(layer, nn.Conv1d):
        nn.init.normal_(layer.weight, std=math.sqrt(2 / (layer.kernel_size[0] * layer.out_channels)))
    elif isinstance(layer, nn.Linear):
        nn.init.normal_(layer.weight, std=0.001)
    if isinstance(layer, nn.Conv1d | nn.Linear) and layer.bias is not None:
        nn.init.zeros_(layer.bias)
