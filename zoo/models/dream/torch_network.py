"""The networks of the DREAM challenge in PyTorch, see zoo/models/dream/__init__.py. Axes: N sequences, T targets."""

from __future__ import annotations

import itertools

import torch
from torch import nn

from zoo.models._gated_blocks import Block, Convolution, initialise
from zoo.models.dream import Config
from zoo.models.dream.attention import AttentionBlock
from zoo.spec import ALPHABET


class Convolutions(nn.ModuleList):
    """Convolutions of several widths, side by side: (N, inputs, L) -> (N, filters, L)."""

    def __init__(self, inputs: int, filters: int, config: Config) -> None:
        each = filters // len(config.kernel_sizes)
        super().__init__(nn.Conv1d(inputs, each, size, padding="same") for size in config.kernel_sizes)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return torch.cat([layer(hidden) for layer in self], 1)


class Heads(nn.Module):
    """For each target a convolution of width 1, the mean over positions, and a dense layer."""

    def __init__(self, inputs: int, config: Config) -> None:
        super().__init__()
        self.mean = nn.AdaptiveAvgPool1d(1)
        self.flatten = nn.Flatten()
        self.numbers = range(1, len(config.targets) + 1)
        for number in self.numbers:
            self.add_module(f"mapper{number}", nn.Conv1d(inputs, config.head_filters, 1))
            self.add_module(f"linear{number}", nn.Linear(config.head_filters, 1))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        layers = [(self.get_submodule(f"mapper{n}"), self.get_submodule(f"linear{n}")) for n in self.numbers]
        return torch.cat([linear(self.flatten(self.mean(mapper(hidden)))) for mapper, linear in layers], 1)


class Dream(nn.Module):
    """Convolutions, a core (gated blocks, an LSTM with convolutions, or attention), and a head for each target."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        if config.core == "attn":
            self._add_attention(config)
        else:
            self.first = Convolutions(len(ALPHABET) + 1, config.first_filters, config)
            self.first_relu = nn.ReLU()
            self.first_dropout = nn.Dropout(config.dropout)
            (self._add_gated_blocks if config.core == "cnn" else self._add_lstm)(config)
        self.final = Heads(config.core_filters, config).apply(initialise)

    def _add_gated_blocks(self, config: Config) -> None:
        channels = (config.first_filters, *config.block_filters, config.core_filters)
        self.blocks = nn.Sequential(
            *(
                Block(
                    inputs,
                    outputs,
                    config.block_kernel,
                    outputs * config.widening,
                    inputs // config.squeezing,
                    group=config.group,
                    input_first=True,
                )
                for inputs, outputs in itertools.pairwise(channels)
            )
        ).apply(initialise)

    def _add_lstm(self, config: Config) -> None:
        self.lstm = nn.LSTM(config.first_filters, config.lstm_units, batch_first=True, bidirectional=True)
        self.core = Convolutions(2 * config.lstm_units, config.core_filters, config)
        self.core_relu = nn.ReLU()
        self.core_dropout = nn.Dropout(config.dropout)
        self.last_dropout = nn.Dropout(config.core_dropout)

    def _add_attention(self, config: Config) -> None:
        self.first = Convolution(len(ALPHABET) + 1, config.first_filters, config.kernel_sizes[0]).apply(initialise)
        self.position_embedding = nn.Parameter(torch.randn(config.sequence_length, config.first_filters))
        self.blocks = nn.Sequential(*(AttentionBlock(config) for _ in range(config.attention_blocks)))

    def forward(self, one_hot: torch.Tensor) -> torch.Tensor:
        """One-hot DNA, float (N, 4, L), channels in the order A, C, G, T -> activities, float (N, T)."""
        given = self._one_strand(one_hot, 0.0)
        if self.config.strand == "given":
            return given
        return (given + self._one_strand(one_hot.flip((1, 2)), 1.0)) / 2

    def _one_strand(self, one_hot: torch.Tensor, reverse: float) -> torch.Tensor:
        hidden = nn.functional.pad(one_hot, (0, 0, 0, 1), value=reverse)
        if self.config.core == "attn":
            hidden = self.first(hidden).transpose(1, 2) + self.position_embedding
            return self.final(self.blocks(hidden).transpose(1, 2))
        hidden = self.first_dropout(self.first_relu(self.first(hidden)))
        if self.config.core == "cnn":
            return self.final(self.blocks(hidden))
        hidden = self.lstm(hidden.transpose(1, 2))[0].transpose(1, 2)
        return self.final(self.last_dropout(self.core_dropout(self.core_relu(self.core(hidden)))))
