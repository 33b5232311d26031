"""A block of `dream-attn`: a convolution, then attention between all positions, between two half steps of dense layers,
as in a Conformer (Gulati et al. 2020, arXiv:2005.08100). Needs PyTorch. Axes: N sequences, L positions, C channels."""

from __future__ import annotations

import math

import torch
from torch import nn

from zoo.models.dream import Config

LAYER_NORM_EPSILON = 1e-6


class AttentionBlock(nn.Module):
    """(N, L, C) -> (N, L, C).

    As in its authors' code, the second and third steps add to the normalised values, and not to the values themselves.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        channels = config.first_filters
        self.feed1 = FeedForward(config)
        self.conv_norm = nn.LayerNorm(channels, LAYER_NORM_EPSILON)
        self.depthwise = nn.Conv1d(channels, channels, config.block_kernel, padding="same", groups=channels, bias=False)
        self.pointwise = nn.Conv1d(channels, channels, 1)
        self.conv_relu = nn.ReLU()
        self.conv_dropout = nn.Dropout(config.dropout)
        self.attention_norm = nn.LayerNorm(channels, LAYER_NORM_EPSILON)
        self.attention = Attention(channels, config.heads)
        self.feed2 = FeedForward(config)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        hidden = hidden + self.feed1(hidden) / 2
        normal = self.conv_norm(hidden)
        local = self.conv_relu(self.pointwise(self.depthwise(normal.transpose(1, 2)))).transpose(1, 2)
        hidden = self.attention_norm(hidden + normal + self.conv_dropout(local))
        hidden = hidden + self.attention(hidden)
        return hidden + self.feed2(hidden) / 2


class FeedForward(nn.Module):
    """Layer norm and two dense layers of each position; one half of the channels between them gates the other (SwiGLU;
    Shazeer 2020, arXiv:2002.05202): (N, L, C) -> (N, L, C)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        channels, inner = config.first_filters, config.first_filters * config.widening
        self.norm = nn.LayerNorm(channels, LAYER_NORM_EPSILON)
        self.expand = nn.Linear(channels, inner, bias=False)
        self.silu = nn.SiLU()
        self.inner_dropout = nn.Dropout(config.dropout)
        self.project = nn.Linear(inner // 2, channels, bias=False)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        values, gate = self.expand(self.norm(hidden)).chunk(2, 2)
        return self.dropout(self.project(self.inner_dropout(values * self.silu(gate))))


class Attention(nn.Module):
    """Self-attention of several heads: (N, L, C) -> (N, L, C). The rows of `project` give queries, keys and values."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, 1 / math.sqrt(channels / heads)
        self.project = nn.Linear(channels, 3 * channels)
        self.softmax = nn.Softmax(-1)
        self.output = nn.Linear(channels, channels)
        # as nn.MultiheadAttention begins
        nn.init.xavier_uniform_(self.project.weight)
        nn.init.zeros_(self.project.bias)
        nn.init.zeros_(self.output.bias)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        # each (N, heads, L, channels of a head)
        queries, keys, values = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.project(hidden).chunk(3, 2)
        )
        weights = self.softmax(torch.matmul(queries * self.scale, keys.transpose(2, 3)))
        return self.output(torch.matmul(weights, values).transpose(1, 2).flatten(2))
