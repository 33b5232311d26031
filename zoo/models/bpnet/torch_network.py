"""BPNet and ChromBPNet in PyTorch, see zoo/models/bpnet/__init__.py. Axes: N sequences, T targets, S strands of all
targets, P positions of a profile."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from zoo.models.bpnet import DILATED_KERNEL, Config
from zoo.spec import ALPHABET


class Trunk(nn.Module):
    """Convolutions: one-hot (N, 4, positions) -> (N, filters, positions), fewer without padding.

    Where no position that counts sees beyond the ends, padding makes no difference, and is left out.
    """

    def __init__(self, config: Config, filters: int, layers: int) -> None:
        super().__init__()
        self.config = config
        self.needed = config.profile_length + 2 * config.reach(layers)
        self.padded = config.padding == "same" and self.needed > config.sequence_length
        padding = "same" if self.padded else "valid"
        self.first = nn.Conv1d(len(ALPHABET), filters, config.first_kernel, padding=padding)
        self.relu = nn.ReLU()
        self.dilated = nn.ModuleList(
            nn.Conv1d(filters, filters, DILATED_KERNEL, dilation=2**number, padding=padding)
            for number in range(1, layers + 1)
        )
        self.relus = nn.ModuleList(nn.ReLU() for _ in range(layers))

    def forward(self, one_hot: torch.Tensor) -> torch.Tensor:
        after = self.config.activation == "after"
        if self.config.padding == "same" and not self.padded:
            one_hot = middle(one_hot, self.needed)
        hidden = self.first(one_hot)
        hidden = self.relu(hidden) if after else hidden
        for convolution, relu in zip(self.dilated, self.relus, strict=True):
            more = relu(convolution(hidden)) if after else convolution(relu(hidden))
            hidden = middle(hidden, more.shape[2]) + more
        return hidden if after else self.relu(hidden)


class BPNet(nn.Module):
    """A trunk with two heads, and in a ChromBPNet the same once more for the bias of the enzyme, which is not
    trained."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(config, config.filters, config.layers)
        if config.bias_filters:
            self.bias_trunk = Trunk(config, config.bias_filters, config.bias_layers)
            self.softplus = nn.Softplus()
        self.heads = nn.ModuleDict(self._heads("", config.filters))
        if config.bias_filters:
            self.heads.update(self._heads("bias_", config.bias_filters))
            for name, parameter in self.named_parameters():
                parameter.requires_grad = "bias_" not in name

    def _heads(self, start: str, filters: int) -> dict[str, nn.Module]:
        config, targets = self.config, len(self.config.targets)
        tracks = config.control_tracks
        return {
            f"{start}profile": nn.Conv1d(
                filters + tracks, targets * config.strands, config.profile_kernel, bias=config.profile_offset
            ),
            f"{start}count": nn.Linear(filters + (tracks > 0), targets, bias=config.count_offset),
        }

    def forward(self, one_hot: torch.Tensor) -> torch.Tensor:
        """One-hot DNA, float (N, 4, L), channels in the order A, C, G, T -> log counts, float (N, T)."""
        return self.log_counts_and_logits(one_hot, self.config.predicts == "with bias")[0]

    def with_profiles(self, one_hot: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The log counts, (N, T), and the profiles of `profiles`, (N, S, P): probabilities and expected counts."""
        log_counts, logits = self.log_counts_and_logits(one_hot, self.config.predicts == "with bias")
        shares = by_target(logits, len(self.config.targets)).softmax(2)
        counts = shares * log_counts.exp().unsqueeze(2)
        return log_counts, *(one.unflatten(2, (self.config.strands, -1)).flatten(1, 2) for one in (shares, counts))

    def trained_outputs(self, one_hot: torch.Tensor) -> torch.Tensor:
        """Log counts and logits with bias, as they are measured: (N, T + S P)."""
        log_counts, logits = self.log_counts_and_logits(one_hot, with_bias=True)
        return torch.cat([log_counts, logits.flatten(1)], 1)

    def log_counts_and_logits(self, one_hot: torch.Tensor, with_bias: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """One-hot DNA (N, 4, L) -> log counts, (N, T), and logits of the profiles, (N, S, P).

        With bias, logits are added and counts summed: log(a + b) = log b + softplus(log a - log b).
        """
        log_counts, logits = self._part(one_hot, self.trunk, "")
        if not with_bias or not self.config.bias_filters:
            return log_counts, logits
        bias_counts, bias_logits = self._part(one_hot, self.bias_trunk, "bias_")
        return bias_counts + self.softplus(log_counts - bias_counts), logits + bias_logits

    def _part(self, one_hot: torch.Tensor, trunk: Trunk, start: str) -> tuple[torch.Tensor, torch.Tensor]:
        config = self.config
        hidden = trunk(one_hot)
        seen = middle(hidden, config.profile_length + config.profile_kernel - 1)
        mean = (hidden if config.padding == "valid" else seen).mean(2)
        profile, count = self.heads[f"{start}profile"], self.heads[f"{start}count"]
        if not config.control_tracks:
            return count(mean), profile(seen)
        # a control of zeros adds nothing to the profile
        logits = functional.conv1d(seen, profile.weight[:, : hidden.shape[1]], profile.bias)
        log_counts = functional.linear(mean, count.weight[:, :-1], count.bias)
        return log_counts + config.control_log_counts * count.weight[:, -1], logits


def by_target(tracks: torch.Tensor, targets: int) -> torch.Tensor:
    """(N, S, P) -> (N, T, strands x P): all positions of a target, which share its counts."""
    return tracks.unflatten(1, (targets, -1)).flatten(2)


def middle(values: torch.Tensor, length: int) -> torch.Tensor:
    """(N, C, positions) -> those in the middle, (N, C, length)."""
    edge = (values.shape[2] - length) // 2
    return values[:, :, edge : edge + length] if edge else values
