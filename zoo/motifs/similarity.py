"""Which known motif a pattern is like: TOMTOM (Gupta et al. 2007, doi:10.1186/gb-2007-8-2-r24) through memelite.

memelite comes with modisco-lite and is imported when it is used.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

FEW = 25
"""With fewer known motifs, p-values are rough: the scores that a match has by chance are taken from their columns."""


@dataclasses.dataclass(frozen=True)
class Match:
    """name: of the known motif.  p_value: that the best alignment with a random motif is as good.
    similarity: correlation of the frequencies, see `similarity`."""

    name: str
    p_value: float
    similarity: float


def best_matches(patterns: Sequence[np.ndarray], known: Mapping[str, np.ndarray]) -> list[Match]:
    """Frequencies, float64 (W, 4), of patterns, and of known motifs by name -> the likeliest motif of each pattern."""
    from memelite import tomtom

    names = list(known)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few motifs, which is said with the result
        p_values = tomtom([one.T for one in patterns], [known[name].T for name in names])[0]
    found = []
    for pattern, row in zip(patterns, np.asarray(p_values), strict=True):
        likeliest = np.flatnonzero(row == row.min())
        similarities = [similarity(pattern, known[names[number]]) for number in likeliest]
        best = int(np.argmax(similarities))
        found.append(Match(names[likeliest[best]], float(row.min()), similarities[best]))
    return found


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson correlation of frequencies, float64 (W, 4), where the shorter motif lies within the longer: the highest
    of all places and both strands."""
    short, long = sorted((first, second), key=len)
    values = short.ravel() - 1 / 4
    windows = [
        turned[start : start + len(short)].ravel() - 1 / 4
        for turned in (long, long[::-1, ::-1])
        for start in range(len(long) - len(short) + 1)
    ]
    # of frequencies minus a quarter the mean is 0, since those of a position sum to 1
    return max(_cosine(values, window) for window in windows)


def _cosine(first: np.ndarray, second: np.ndarray) -> float:
    size = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / size if size else 0.0
