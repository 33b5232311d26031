"""Small files of labelled sequences, in every form, and how the zoo reads or refuses them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
from refusals import refuses

from zoo.data import dataset
from zoo.dna.encoding import ASCII_TO_CODE, reverse_complement

LENGTH = 40
TARGETS = ("dev", "hk")
COLUMNS = ("Dev_log2_enrichment", "Hk_log2_enrichment")
"""Of the published labels, in the order of TARGETS."""


def dna(count: int, seed: int = 0, length: int = LENGTH) -> list[str]:
    letters = np.random.default_rng(seed).integers(0, 4, (count, length))
    return ["".join(row) for row in np.array(list("ACGT"))[letters]]


def other_strand(sequence: str) -> str:
    return "".join("ACGTN"[code] for code in reverse_complement(ASCII_TO_CODE[list(sequence.encode())]))


def write_published(folder: Path, side: str, sequences: list[str], labels: list[str] | None = None) -> None:
    fasta = "".join(f">chr2L_{n}_{n + 39}_+_class\n{sequence}\n" for n, sequence in enumerate(sequences))
    (folder / f"Sequences_{side}.fa").write_text(fasta)
    rows = labels or [f"{n}.5\t{-n}" for n in range(len(sequences))]
    (folder / f"Sequences_activity_{side}.txt").write_text("\n".join(["dev\thk", *rows]) + "\n")


def table(path: Path, sequences: list[str], **more: list) -> Path:
    count = len(sequences)
    frame = pandas.DataFrame({"sequence": sequences, "dev": np.arange(count) / 3, "hk": np.arange(count), **more})
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, sep="," if ".csv" in path.name else "\t", index=False)
    return path


def read(path: Path, **settings) -> dataset.Dataset:
    return dataset.read(path, TARGETS, length=LENGTH, **settings)


def read_split(path: Path, split: str = "test", **settings) -> dataset.Split:
    return dataset.read_split(path, split, TARGETS, length=LENGTH, **settings)


def check_refused(path: Path, *facts: object, **settings) -> None:
    """Reading raises ZooError with these facts."""
    with refuses(*facts):
        read(path, **settings)
