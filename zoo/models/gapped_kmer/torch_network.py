"""Gapped k-mer counts with a linear readout in PyTorch: index arithmetic and sums of embeddings.

For each mask, each window is numbered by its informative bases, and its weight is looked up. The weights of one mask
are a few hundred kilobytes, so the lookups and the sums of their gradients stay in a core's cache. Axes: N sequences, L
positions, P windows, T targets.
"""

from __future__ import annotations

import functools

import torch
from torch import nn

from zoo.models.gapped_kmer import Config, words
from zoo.models.gapped_kmer.words import BASES


class Readout(nn.Module):
    """weight: (T, features), activity per occurrence of a gapped word.  bias: (T,).  Both are initially zero."""

    def __init__(self, features: int, targets: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(targets, features))
        self.bias = nn.Parameter(torch.zeros(targets))


class GappedKmer(nn.Module):
    """See zoo/models/gapped_kmer/__init__.py."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.readout = Readout(words.features(config), len(config.targets))
        self._blocks = words.blocks(config.word_length, config.informative)
        self._columns = [block.columns for block in self._blocks]
        # not a buffer, since a moving average of the weights would average it too
        self._pairs = torch.from_numpy(words.pairs(config.informative))

    def forward(self, one_hot: torch.Tensor) -> torch.Tensor:
        """One-hot DNA, float (N, 4, L), channels in the order A, C, G, T -> activities, float (N, T)."""
        # integers from the start, since a low precision would round them
        bases = one_hot.long()
        codes = bases[:, 1] + 2 * bases[:, 2] + 3 * bases[:, 3]
        known = bases.sum(1)
        sums = self._window_sums(codes).view(-1, codes.shape[0], self.config.positions)
        whole = functools.reduce(torch.mul, _shifted(known, self.config))
        return (sums * whole).sum(2).t() / self.config.choices + self.readout.bias

    def _window_sums(self, codes: torch.Tensor) -> torch.Tensor:
        """Base codes, int64 (N, L) -> sum of the weights of each window, (T, N P)."""
        numbers = _Numbers(codes, self.config)
        other_numbers = _Numbers(BASES - 1 - codes.flip(1), self.config)
        pairs = self._pairs.to(codes.device)
        own = other = codes.new_zeros((), dtype=self.readout.weight.dtype)
        # one split, since the gradient of a slice would be as large as all weights
        for block, table in zip(self._blocks, self.readout.weight.split(self._columns, 1), strict=True):
            number = numbers.of(block.mask)
            if block.symmetric:
                own = own + _looked_up(table, pairs[number])
            else:
                own = own + _looked_up(table, number)
                other = other + _looked_up(table, other_numbers.of(block.mask))
        if other.ndim == 0:  # all masks are their own mirror images
            return own
        other_strand = other.view(-1, codes.shape[0], self.config.positions).flip(2)
        return own + other_strand.flatten(1)


def _looked_up(table: torch.Tensor, number: torch.Tensor) -> torch.Tensor:
    """Look weights up: (T, columns) and int64 (N, P) -> (T, N P).

    The gradient of `gather` is a plain sum, on a CPU twenty times as fast as that of an embedding.
    """
    return table.gather(1, number.reshape(1, -1).expand(len(table), -1))


def _shifted(values: torch.Tensor, config: Config) -> list[torch.Tensor]:
    """Values (N, L) -> for each position of a word, the value at that position in every window, (N, P)."""
    return [values[:, place : place + config.positions] for place in range(config.word_length)]


class _Numbers:
    """Numbers of windows, made from their bases at the positions of a mask.

    The two halves of a window are numbered separately, since many masks share a half.
    """

    def __init__(self, codes: torch.Tensor, config: Config) -> None:
        self._bases, self._half = _shifted(codes, config), config.word_length // 2
        self._parts: dict[tuple[int, ...], torch.Tensor] = {}

    def of(self, mask: tuple[int, ...]) -> torch.Tensor:
        """Number of every window, int64 (N, P), with the first base in the highest digit."""
        left = tuple(position for position in mask if position < self._half)
        right = mask[len(left) :]
        if not left or not right:
            return self._part(mask)
        return torch.add(self._part(right), self._part(left), alpha=BASES ** len(right))

    def _part(self, positions: tuple[int, ...]) -> torch.Tensor:
        if positions not in self._parts:
            *before, last = positions
            number = self._bases[last]
            if before:
                number = torch.add(number, self._part(tuple(before)), alpha=BASES)
            self._parts[positions] = number
        return self._parts[positions]
