"""Prediction as the authors' Keras script does it: the whole file at once, a dictionary a base, batches of 32.

Written from its published behaviour: keras_script.py MODEL.json MODEL.h5 SEQUENCES.fa OUT.tsv
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
from tf_keras.models import model_from_json

BASES = {"A": [1, 0, 0, 0], "C": [0, 1, 0, 0], "G": [0, 0, 1, 0], "T": [0, 0, 0, 1], "N": [0, 0, 0, 0]}


def read_fasta(path: str) -> tuple[list[str], list[str]]:
    names, sequences = [], []
    with open(path) as file:  # noqa: PTH123
        for line in file:
            if line.startswith(">"):
                names.append(line[1:].strip())
                sequences.append("")
            else:
                sequences[-1] += line.strip().upper()
    return names, sequences


def main(graph: str, weights: str, fasta: str, output: str) -> None:
    names, sequences = read_fasta(fasta)
    one_hot = np.nan_to_num(np.array([[BASES[base] for base in sequence] for sequence in sequences]))
    with open(graph) as file:  # noqa: PTH123
        model = model_from_json(file.read())
    model.load_weights(weights)
    predicted = model.predict(one_hot, verbose=0)
    table = pd.DataFrame({"name": names, "dev": predicted[0].squeeze(1), "hk": predicted[1].squeeze(1)})
    table.to_csv(output, sep="\t", index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
