"""Augmentations of training sequences, as base codes. TrainConfig.augment turns them on.

Targets are not changed, so each augmentation assumes that the activity is invariant to it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from zoo.dna.encoding import reverse_complement
from zoo.spec import ALPHABET, UNKNOWN_BASE

LARGEST_SHIFT = 10
"""Largest shift in bases. Small shifts keep an enhancer's motifs inside the window."""

MUTATION_RATE = 0.02
"""Share of bases replaced by another base, drawn again for every sequence and step."""


def augment(codes: np.ndarray, names: Iterable[str], generator: np.random.Generator) -> np.ndarray:
    """Base codes, uint8 (N, L) -> uint8 (N, L), a fresh draw.

    reverse-complement: each sequence on the other strand with probability 1/2; STARR-seq measures enhancers in both
        orientations with nearly the same result (Arnold et al. 2013, doi:10.1126/science.1232542).
    shift: each sequence moved by up to LARGEST_SHIFT bases, the gap filled with N; the position of a summit is not
        exact to the base (Kelley et al. 2018, doi:10.1101/gr.227819.117).
    mutate: MUTATION_RATE of the bases replaced; most single mutations change little (the mutation augmentation of
        EvoAug, Lee et al. 2023, doi:10.1186/s13059-023-02941-w).
    """
    names = set(names)
    if "reverse-complement" in names:
        flip = generator.random(len(codes)) < 0.5
        codes = np.where(flip[:, None], reverse_complement(codes), codes)
    if "shift" in names:
        shift = generator.integers(-LARGEST_SHIFT, LARGEST_SHIFT + 1, (len(codes), 1))
        padded = np.pad(codes, ((0, 0), (LARGEST_SHIFT, LARGEST_SHIFT)), constant_values=UNKNOWN_BASE)
        columns = np.arange(codes.shape[1]) + LARGEST_SHIFT + shift
        codes = np.take_along_axis(padded, columns, 1)
    if "mutate" in names:
        codes = mutate(codes, MUTATION_RATE, generator)
    return codes


def mutate(codes: np.ndarray, rate: float | np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Replace a share `rate`, one or (N, 1), of the known bases by one of the other three, uint8 (N, L) -> (N, L)."""
    hit = (generator.random(codes.shape, np.float32) < rate) & (codes < UNKNOWN_BASE)
    step = generator.integers(1, len(ALPHABET), int(hit.sum()), np.uint8)
    out = codes.copy()
    out[hit] = (out[hit] + step) % len(ALPHABET)
    return out
