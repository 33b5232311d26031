"""Augmentations of training sequences, as base codes. TrainConfig turns them on and sets their strengths.

Targets are not changed, so each augmentation assumes that the activity hardly depends on it. Mutation, insertion,
deletion, translocation, inversion and noise are those of EvoAug (Lee et al. 2023, doi:10.1186/s13059-023-02941-w).
Random DNA has each base with probability 1/4. Axes: N sequences, L positions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from zoo.dna.encoding import COMPLEMENT, reverse_complement
from zoo.spec import ALPHABET, UNKNOWN_BASE

LARGEST_SHIFT = 10
"""Largest shift in bases. Small shifts keep an enhancer's motifs inside the window."""

STRAND = "reverse-complement"
"""The augmentation that is exact: STARR-seq measures both orientations with nearly the same result."""

NOISE = "noise"
"""The augmentation of the one-hot, not of base codes."""


def augment(
    codes: np.ndarray, strengths: Mapping[str, float], generator: np.random.Generator, per_sequence: int = 0
) -> tuple[np.ndarray, np.ndarray | None]:
    """A fresh draw: base codes, uint8 (N, L) -> uint8 (N, L), and noise for the one-hot, float32 (N, L, 4) or None.

    strengths: augmentation -> its strength: the largest number of bases, the rate of mutation, or the standard
        deviation of the noise. reverse-complement has none. They are applied in the order of this list:
    reverse-complement: each sequence on the other strand with probability 1/2; STARR-seq measures enhancers in both
        orientations with nearly the same result (Arnold et al. 2013, doi:10.1126/science.1232542).
    shift: each sequence moved, the gap filled with N; the position of a summit is not exact to the base (Kelley et al.
        2018, doi:10.1101/gr.227819.117).
    deletion, insertion, translocation, inversion, mutation: see the functions of this file.
    noise: Gaussian noise on the one-hot.
    per_sequence: number of augmentations of a sequence, drawn among those given; 0 for all. reverse-complement is not
        counted.
    """
    if STRAND in strengths:
        flip = generator.random(len(codes)) < 0.5
        codes = np.where(flip[:, None], reverse_complement(codes), codes)
    names = [name for name in (*_OF_CODES, NOISE) if name in strengths]
    chosen = _choose(len(codes), len(names), per_sequence, generator)
    noise = None
    for name, rows in zip(names, chosen, strict=True):
        if name == NOISE:
            noise = np.zeros((*codes.shape, len(ALPHABET)), np.float32)
            noise[rows] = strengths[name] * generator.standard_normal((rows.sum(), *noise.shape[1:]), np.float32)
        else:
            codes = codes.copy()
            codes[rows] = _OF_CODES[name](codes[rows], strengths[name], generator)
    return codes, noise


def _choose(number: int, kinds: int, per_sequence: int, generator: np.random.Generator) -> np.ndarray:
    """Which sequences each augmentation changes, bool (kinds, number): per_sequence of them for each, 0 for all."""
    if not 0 < per_sequence < kinds:
        return np.ones((kinds, number), bool)
    order = generator.random((kinds, number)).argsort(0)
    return order.argsort(0) < per_sequence


def mutate(codes: np.ndarray, rate: float | np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Replace a share `rate`, one or (N, 1), of the known bases by one of the other three, uint8 (N, L) -> (N, L)."""
    hit = (generator.random(codes.shape, np.float32) < rate) & (codes < UNKNOWN_BASE)
    step = generator.integers(1, len(ALPHABET), int(hit.sum()), np.uint8)
    out = codes.copy()
    out[hit] = (out[hit] + step) % len(ALPHABET)
    return out


def shift(codes: np.ndarray, longest: float, generator: np.random.Generator) -> np.ndarray:
    """Move each sequence by up to `longest` bases to either side; the gap becomes N."""
    by = generator.integers(-int(longest), int(longest) + 1, (len(codes), 1))
    source = np.arange(codes.shape[1]) + by
    return _take(codes, source, np.full(codes.shape, UNKNOWN_BASE, np.uint8))


def delete(codes: np.ndarray, longest: float, generator: np.random.Generator) -> np.ndarray:
    """Delete up to `longest` bases inside each sequence. Random DNA at both ends, as much at each, keeps the length."""
    lengths, starts = _segments(codes, longest, generator)
    kept = np.arange(codes.shape[1]) - lengths // 2
    source = np.where(kept < starts, kept, kept + lengths)
    return _take(codes, np.where(kept < 0, -1, source), _random(codes, generator))


def insert(codes: np.ndarray, longest: float, generator: np.random.Generator) -> np.ndarray:
    """Insert up to `longest` bases of random DNA into each sequence. What leaves the window, as much at each end, is
    cut off, which keeps the length."""
    size = codes.shape[1]
    lengths = generator.integers(0, int(longest) + 1, (len(codes), 1))
    starts = generator.integers(0, size, (len(codes), 1))
    position = np.arange(size) + lengths // 2
    inside = (position >= starts) & (position < starts + lengths)
    source = np.where(position < starts, position, position - lengths)
    return _take(codes, np.where(inside, -1, source), _random(codes, generator))


def translocate(codes: np.ndarray, longest: float, generator: np.random.Generator) -> np.ndarray:
    """Cut up to `longest` bases off one end of each sequence and join them to the other end."""
    by = generator.integers(0, int(longest) + 1, (len(codes), 1)) * generator.choice([-1, 1], (len(codes), 1))
    return np.take_along_axis(codes, (np.arange(codes.shape[1]) - by) % codes.shape[1], 1)


def invert(codes: np.ndarray, longest: float, generator: np.random.Generator) -> np.ndarray:
    """Replace a segment of up to `longest` bases of each sequence by its reverse complement."""
    lengths, starts = _segments(codes, longest, generator)
    position = np.arange(codes.shape[1])
    inside = (position >= starts) & (position < starts + lengths)
    mirrored = np.take_along_axis(codes, np.where(inside, 2 * starts + lengths - 1 - position, position), 1)
    return np.where(inside, COMPLEMENT[mirrored], codes)


_OF_CODES: dict[str, Callable[[np.ndarray, float, np.random.Generator], np.ndarray]] = {
    "shift": shift,
    "deletion": delete,
    "insertion": insert,
    "translocation": translocate,
    "inversion": invert,
    "mutation": mutate,
}
"""Augmentation -> its function of base codes, in the order in which they are applied."""


def _segments(codes: np.ndarray, longest: float, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Lengths, 0 to `longest`, and starts of a segment inside each sequence, int (N, 1) each. Starts are as likely at
    every place that the longest one has, as in EvoAug."""
    size = codes.shape[1]
    most = min(int(longest), size)
    shape = (len(codes), 1)
    return generator.integers(0, most + 1, shape), generator.integers(0, size - most + 1, shape)


def _random(codes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return generator.integers(0, len(ALPHABET), codes.shape, np.uint8)


def _take(codes: np.ndarray, source: np.ndarray, fill: np.ndarray) -> np.ndarray:
    """The base at position `source`, int (N, L), of each sequence; that of `fill` where it is outside."""
    inside = (source >= 0) & (source < codes.shape[1])
    return np.where(inside, np.take_along_axis(codes, np.where(inside, source, 0), 1), fill)
