"""A training epoch as earlier PyTorch ports of DeepSTARR have it, written from their published behaviour.

Float one-hot tensors kept in memory, a Dataset that yields one item at a time, a DataLoader, eager float32 Conv1d, and
SciPy correlations of every batch.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import pearsonr
from torch import nn
from torch.utils.data import DataLoader, Dataset

BATCH_SIZE = 128


class OneHotDataset(Dataset):
    """Items (one-hot (4, L) float32, targets (T,) float32)."""

    def __init__(self, codes: np.ndarray, targets: np.ndarray) -> None:
        table = np.vstack([np.eye(4), np.zeros(4)]).astype(np.float32)
        self.sequences = torch.from_numpy(table[codes].transpose(0, 2, 1).copy())
        self.targets = torch.from_numpy(targets)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, item: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.sequences[item], self.targets[item]


def port(filters: tuple[int, ...], kernels: tuple[int, ...], dense: tuple[int, ...], length: int = 249) -> nn.Module:
    """The network as a Sequential of stock modules."""
    layers: list[nn.Module] = []
    channels = 4
    for filter_count, kernel in zip(filters, kernels, strict=True):
        layers += [nn.Conv1d(channels, filter_count, kernel, padding="same"), nn.BatchNorm1d(filter_count)]
        layers += [nn.ReLU(), nn.MaxPool1d(2)]
        channels, length = filter_count, length // 2
    layers.append(nn.Flatten())
    features = channels * length
    for units in dense:
        layers += [nn.Linear(features, units), nn.BatchNorm1d(units), nn.ReLU(), nn.Dropout(0.4)]
        features = units
    return nn.Sequential(*layers, nn.Linear(features, 2))


def epoch(model: nn.Module, data: OneHotDataset) -> list[float]:
    """One epoch of Adam; returns the correlations of the first target, one a batch."""
    optimiser = torch.optim.Adam(model.parameters(), lr=0.002)
    loss_function = nn.MSELoss()
    correlations = []
    model.train()
    for sequences, targets in DataLoader(data, BATCH_SIZE, shuffle=True):
        optimiser.zero_grad()
        predicted = model(sequences)
        loss = loss_function(predicted[:, 0], targets[:, 0]) + loss_function(predicted[:, 1], targets[:, 1])
        loss.backward()
        optimiser.step()
        first = [pearsonr(predicted[:, t].detach().numpy(), targets[:, t].numpy())[0] for t in range(2)]
        correlations.append(float(first[0]))
    return correlations
