"""A network built by hand, whose rules are known: motif A helps motif B within 30 bp, and no others do.

It runs on every runtime. Its first convolution finds words, its second one sums the As around each B, its dense layer
counts. `activities` says the same in plain Python. Motifs count on the strand on which they are written.
"""

from __future__ import annotations

import numpy as np

from zoo.dna.encoding import encode
from zoo.models import deepstarr
from zoo.weights import checkpoint
from zoo.weights.checkpoint import Checkpoint

MOTIFS = {"A": "GATTACA", "B": "CCGTAAG", "C": "TTGGCAC", "D": "AGCTCGA"}
WIDTH = 7

LENGTH = 122

TARGETS = ("helped", "plain")

EFFECTS = {"A": (0.5, 0.5), "B": (0.3, 0.3), "C": (-0.4, 0.4), "D": (0.2, -0.2)}
"""What an instance adds to each target; of A it is multiplied by its strength."""

HELP = (1.0, 0.0)
"""What an A near a B adds to each target, multiplied by the strength of the A."""

STRENGTHS = (0.8, 0.9, 1.1, 1.2)
"""Of an A after an A, C, G and T, on average 1; 1 at the beginning of a sequence."""

NEAR = 18
"""An A and a B are near if the halves of their first positions, rounded down, differ by at most so many: with at most
29 bases between them they always are, with 30 it depends on the parity, with more they never are."""

MOST = 16
"""As within the reach of a position beyond which the network would find help without a B; fewer fit."""


def network() -> Checkpoint:
    """The weights of the network."""
    config = deepstarr.Config(
        filters=(len(MOTIFS), len(MOTIFS) + 1),
        kernel_sizes=(WIDTH + 1, 2 * NEAR + 1),
        dense_units=(len(MOTIFS) + 1,),
        sequence_length=LENGTH,
        targets=TARGETS,
    )
    arrays = {name: np.zeros(shape, np.float32) for name, shape in deepstarr.array_shapes(config).items()}
    for name, array in arrays.items():
        if name.endswith("_norm.weight"):
            array[:] = 1
        if name.endswith("running_var"):
            array[:] = 1 - deepstarr.BATCH_NORM_EPSILON
    for row, site in enumerate(encode(list(MOTIFS.values()))):
        # a match gives 1, one wrong base at most 0
        arrays["conv1.weight"][row, site, np.arange(WIDTH) + 1] = 2
        arrays["conv1.bias"][row] = 1 - 2 * WIDTH
        arrays["conv2.weight"][row, row, NEAR] = 1
    arrays["conv1.weight"][0, :, 0] = np.array(STRENGTHS) - 1
    arrays["conv2.weight"][-1, 0] = 1
    arrays["conv2.weight"][-1, 1, NEAR] = MOST
    arrays["conv2.bias"][-1] = -MOST
    for unit in range(len(MOTIFS) + 1):
        arrays["dense1.weight"][unit].reshape(len(MOTIFS) + 1, -1)[unit] = 1
    arrays["head.weight"][:] = np.array([*EFFECTS.values(), HELP]).T
    return checkpoint.make("deepstarr", config, arrays, "built by hand", "none")


def instances(codes: np.ndarray) -> list[tuple[int, str, int]]:
    """The motifs in base codes, uint8 (N, L): the sequence, the motif, and its first position, from 0."""
    windows = np.lib.stride_tricks.sliding_window_view(codes, WIDTH, axis=1)
    sites = dict(zip(MOTIFS, encode(list(MOTIFS.values())), strict=True))
    return [
        (int(row), motif, int(start))
        for motif, site in sites.items()
        for row, start in np.argwhere((windows == site).all(2))
    ]


def near(first: int, second: int) -> bool:
    """Whether an A that begins at one position helps a B that begins at another."""
    return abs(first // 2 - second // 2) <= NEAR


def strength(sequence: np.ndarray, start: int) -> float:
    """The strength of an A in a sequence, uint8 (L,)."""
    return ([*STRENGTHS, 1.0])[sequence[start - 1]] if start else 1.0


def activities(codes: np.ndarray) -> np.ndarray:
    """What the network gives: base codes, uint8 (N, L) -> float64 (N, T)."""
    out = np.zeros((len(codes), len(TARGETS)))
    found = instances(codes)
    for row, motif, start in found:
        out[row] += np.array(EFFECTS[motif]) * (strength(codes[row], start) if motif == "A" else 1)
    for row, motif, start in found:
        for other, partner, place in found:
            if (motif, partner) == ("A", "B") and row == other and near(start, place):
                out[row] += np.array(HELP) * strength(codes[row], start)
    return out


def sequences(number: int, each: int = 2, seed: int = 0) -> np.ndarray:
    """Random sequences in which motifs are planted, `each` without overlap, uint8 (N, L)."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, 4, (number, LENGTH), np.uint8)
    sites = encode(list(MOTIFS.values()))
    for sequence in codes:
        places = random.permutation(LENGTH // (WIDTH + 1))[:each] * (WIDTH + 1)
        for start in places + random.integers(0, 2, each):
            sequence[start : start + WIDTH] = sites[random.integers(len(sites))]
    return codes
