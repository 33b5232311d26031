"""Flanks: constant bases that a network sees on both sides of what the user gives. Needs PyTorch."""

from __future__ import annotations

import torch
from torch import nn

from zoo.spec import ALPHABET


class Flanks(nn.Module):
    """Put a constant sequence on each side: float (N, 4, L) -> (N, 4, left + L + right).

    left, right: bases, "" for none; an N is a position of zeros. The flanks are buffers that are not part of the state
    dict, since the Config of a model has them.
    """

    def __init__(self, left: str, right: str) -> None:
        super().__init__()
        for name, bases in (("left", left), ("right", right)):
            one_hot = torch.tensor([[float(base == letter) for letter in bases] for base in ALPHABET])
            self.register_buffer(name, one_hot.view(1, len(ALPHABET), len(bases)), persistent=False)

    def forward(self, one_hot: torch.Tensor) -> torch.Tensor:
        sides = [side.to(one_hot.dtype).expand(one_hot.shape[0], -1, -1) for side in (self.left, self.right)]
        return torch.cat([sides[0], one_hot, sides[1]], 2)
