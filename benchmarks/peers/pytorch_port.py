"""Prediction as PyTorch ports do it: Biopython, a dictionary a base, a Dataset in a DataLoader, eager Conv1d.

Written from their published behaviour: pytorch_port.py STATE_DICT.pt SEQUENCES.fa OUT.tsv
"""

from __future__ import annotations

import sys

import pandas as pd
import torch
from Bio import SeqIO
from torch.utils.data import DataLoader, Dataset

from benchmarks.peers.training_loop import BATCH_SIZE, port
from zoo.models.deepstarr import VARIANTS

BASES = {"A": [1, 0, 0, 0], "C": [0, 1, 0, 0], "G": [0, 0, 1, 0], "T": [0, 0, 0, 1], "N": [0, 0, 0, 0]}


class Sequences(Dataset):
    """One-hot (4, L) float32 of each record."""

    def __init__(self, path: str) -> None:
        self.records = list(SeqIO.parse(path, "fasta"))

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, item: int) -> torch.Tensor:
        rows = [BASES[base] for base in str(self.records[item].seq).upper()]
        return torch.tensor(rows, dtype=torch.float32).T


def main(weights: str, fasta: str, output: str) -> None:
    config = VARIANTS["original"]
    model = port(config.filters, config.kernel_sizes, config.dense_units)
    model.load_state_dict(torch.load(weights, weights_only=True))
    model.eval()
    data = Sequences(fasta)
    with torch.no_grad():
        predicted = torch.cat([model(batch) for batch in DataLoader(data, BATCH_SIZE)]).numpy()
    names = [record.id for record in data.records]
    pd.DataFrame({"name": names, "dev": predicted[:, 0], "hk": predicted[:, 1]}).to_csv(output, sep="\t", index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
