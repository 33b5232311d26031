"""Sequences whose activity depends on the order and the spacing of motifs, which counts of motifs cannot express.

    python -m benchmarks.grammar -o grammar.tsv
    zoo compare-models --data grammar.tsv --models original,motif-counts --epochs 10 -o compared

Every sequence has the two motifs of each target three times, as pairs. A pair adds to the activity if it is in order:
the first motif before the second, with 3 to 5 bases between them. In half of the pairs the order is reversed or the
motifs are farther apart. Each target also has 0 to 2 sites of a third motif, which add a little each: this is what
counts of motifs can learn. All else is random bases. The largest possible r is 0.92, and 0.39 for counts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from zoo.data.splits import SIDES
from zoo.dna.encoding import ASCII_TO_CODE
from zoo.models.motif_counts.fly_motifs import CONSENSUS
from zoo.spec import ALPHABET

LENGTH = 249

PAIRS = {"dev": ("AP-1", "GATA", "CREB"), "hk": ("Ohler1", "ETS", "DRE")}
"""Target -> the two motifs whose arrangement counts, and the one whose sites are counted."""

COPIES = 3
"""Pairs of a target in each sequence."""

GAPS = range(3, 6)
"""Bases between the motifs of a pair that counts."""

FARTHER = 10
"""Additional bases between the motifs of a pair that is in order and does not count."""

OF_PAIR, OF_SITE, NOISE = 1.0, 0.5, 0.4
"""Activity of a pair in order, of a site of the third motif, and the standard deviation of the noise."""

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}

IUPAC = {"R": "AG", "W": "AT", "Y": "CT"}


def word(motif: str, generator: np.random.Generator) -> np.ndarray:
    """Base codes of a site of a motif of the zoo, uint8 (W,)."""
    letters = (generator.choice(list(IUPAC.get(letter, letter))) for letter in CONSENSUS[motif])
    return ASCII_TO_CODE[list("".join(letters).encode())]


def draw(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Base codes, uint8 (N, L), activities, float32 (N, T), and the number of pairs in order, int (N, T)."""
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, len(ALPHABET), (count, LENGTH)).astype(np.uint8)
    in_order = generator.random((count, len(PAIRS), COPIES)) < 0.5
    sites = generator.integers(0, 3, (count, len(PAIRS)))
    for row in range(count):
        parts = []
        for (first, second, third), active, number in zip(PAIRS.values(), in_order[row], sites[row], strict=True):
            parts += [_pair(word(first, generator), word(second, generator), bool(one), generator) for one in active]
            parts += [word(third, generator) for _ in range(number)]
        _plant(codes[row], parts, generator)
    pairs = in_order.sum(axis=2)
    activities = OF_PAIR * pairs + OF_SITE * sites + NOISE * generator.standard_normal(pairs.shape)
    return codes, activities.astype(np.float32), pairs


def _pair(first: np.ndarray, second: np.ndarray, active: bool, generator: np.random.Generator) -> np.ndarray:
    """Two sites and the bases between them, which are 4: the background stays."""
    gap = int(generator.choice(GAPS))
    if not active and generator.random() < 0.5:
        gap += FARTHER
    elif not active:
        first, second = second, first
    return np.concatenate([first, np.full(gap, len(ALPHABET), np.uint8), second])


def _plant(background: np.ndarray, parts: list[np.ndarray], generator: np.random.Generator) -> None:
    """Write parts into a sequence in random order, at random places that do not overlap."""
    free = len(background) - sum(map(len, parts))
    starts = np.sort(generator.integers(0, free + 1, len(parts)))
    for place in generator.permutation(len(parts)):
        part, start = parts[place], starts[0]
        starts = starts[1:] + len(part)
        known = part < len(ALPHABET)
        background[start : start + len(part)][known] = part[known]


def write(path: Path, count: int, seed: int = 0) -> None:
    """Write a table with columns name, sequence, split, and one for each target."""
    codes, activities, _ = draw(count, seed)
    ends = (np.cumsum(list(SHARES.values())) * count).round().astype(int)
    letters = np.frombuffer(ALPHABET.encode(), "S1")[codes]
    with path.open("w", encoding="utf-8") as file:
        file.write("\t".join(["name", "sequence", "split", *PAIRS]) + "\n")
        for row, (sequence, values) in enumerate(zip(letters, activities, strict=True)):
            side = SIDES[int(np.searchsorted(ends, row, "right"))]
            numbers = "\t".join(f"{value:.4f}" for value in values)
            file.write(f"simulated_{row}\t{sequence.tobytes().decode()}\t{side}\t{numbers}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--sequences", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write(arguments.output, arguments.sequences, arguments.seed)
