"""What the predictions of sequences rest on: the contributions of known motifs, and of words that no motif explains.

A feature has no position and no strand: it is the sum over all instances of a motif in a sequence (see matches.py), or
over all occurrences of a word and of its reverse complement outside of these instances. So each base counts in one
feature at most, and features are in the unit of the activity. Axes: N sequences, L positions, F features.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from zoo.motifs import matches
from zoo.spec import ALPHABET, UNKNOWN_BASE

WORD = 6
"""Bases of a word: long enough to be rare by chance, once in 8 sequences of 249 bases, and as long as a core."""

MOST_WORDS = 10
"""Words for each target, those with the largest contributions over all sequences."""


@dataclasses.dataclass(frozen=True)
class Feature:
    """target: whose contributions it sums.  name: of the motif, or the word.  known: whether it is a motif."""

    target: str
    name: str
    known: bool


@dataclasses.dataclass(frozen=True)
class Features:
    """features: F of them, motifs and then words of each target in turn.  values: contributions, float64 (N, F).
    present: whether the sequence has a match of the motif, or the word.  used: whether it has an instance of the motif,
    or the word outside of instances; bool (N, F) both."""

    features: tuple[Feature, ...]
    values: np.ndarray
    present: np.ndarray
    used: np.ndarray


def of(codes: np.ndarray, hypothetical: Mapping[str, np.ndarray], motifs: Mapping[str, np.ndarray]) -> Features:
    """The features of base codes, uint8 (N, L).

    hypothetical: target -> hypothetical contributions, float (N, L, 4).  motifs: name -> frequencies, float64 (W, 4).
    """
    frequencies = list(motifs.values())
    found = matches.find(codes, frequencies)
    words = _words(codes)
    parts = [_of_target(target, codes, scores, found, motifs, words) for target, scores in hypothetical.items()]
    features = tuple(feature for part in parts for feature in part.features)
    values, present, used = (
        np.concatenate([getattr(part, name) for part in parts], 1) for name in ("values", "present", "used")
    )
    return Features(features, values, present, used)


def _of_target(
    target: str,
    codes: np.ndarray,
    hypothetical: np.ndarray,
    found: matches.Matches,
    motifs: Mapping[str, np.ndarray],
    words: np.ndarray,
) -> Features:
    one_hot_place = np.minimum(codes, UNKNOWN_BASE - 1)[..., None]
    contributions = np.take_along_axis(hypothetical, one_hot_place, 2)[..., 0] * (codes < UNKNOWN_BASE)
    frequencies = list(motifs.values())
    numbers, contributed = matches.instances(found, frequencies, hypothetical, contributions)
    chosen = found.of(numbers)
    values = np.zeros((len(codes), len(motifs)))
    np.add.at(values, (chosen.sequence, chosen.motif), contributed)
    present, used = (np.zeros(values.shape, bool) for _ in range(2))
    present[found.sequence, found.motif] = True
    used[chosen.sequence, chosen.motif] = True
    free = np.ones(codes.shape, bool)
    for row, start, motif in zip(chosen.sequence, chosen.start, chosen.motif, strict=True):
        free[row, start : start + len(frequencies[motif])] = False
    names, of_words, words_used = _unexplained(words, contributions, free)
    words_present = np.stack([(words == _number(name)).any(1) for name in names], 1) if names else words_used
    return Features(
        (
            *(Feature(target, name, known=True) for name in motifs),
            *(Feature(target, name, known=False) for name in names),
        ),
        np.concatenate([values, of_words], 1),
        np.concatenate([present, words_present], 1),
        np.concatenate([used, words_used], 1),
    )


def _unexplained(
    words: np.ndarray, contributions: np.ndarray, free: np.ndarray
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The words with the largest contributions, either sign, over all sequences; their contributions, float64 (N, K),
    and whether a sequence has them, bool (N, K).

    free: positions that belong to nothing yet, bool (N, L). The best word takes its bases before the next is chosen, so
    that of words that overlap in a longer motif the others count less. Where occurrences overlap, the first one counts.
    """
    free = free.copy()
    names: list[str] = []
    values, used = [np.zeros((len(words), 0))], [np.zeros((len(words), 0), bool)]
    windows = np.lib.stride_tricks.sliding_window_view
    if not words.shape[1]:
        return names, values[0], used[0]
    contributed = windows(contributions, WORD, axis=1).sum(2, dtype=np.float64)
    for _ in range(MOST_WORDS):
        open_ = windows(free, WORD, axis=1).all(2) & (words >= 0)
        totals = np.bincount(words[open_], contributed[open_], len(ALPHABET) ** WORD)
        best = int(np.abs(totals).argmax())
        if totals[best] == 0:
            break
        value, has = np.zeros((len(words), 1)), np.zeros((len(words), 1), bool)
        for row, start in np.argwhere(open_ & (words == best)):
            if free[row, start : start + WORD].all():
                value[row] += contributed[row, start]
                free[row, start : start + WORD] = False
                has[row] = True
        names.append(_text(best))
        values.append(value)
        used.append(has)
    return names, np.concatenate(values, 1), np.concatenate(used, 1)


def _words(codes: np.ndarray) -> np.ndarray:
    """The number of the word at each place, int32 (N, L - WORD + 1): that of the word or of its reverse complement, the
    lower one; -1 with an N."""
    if codes.shape[1] < WORD:
        return np.zeros((len(codes), 0), np.int32)
    windows = np.lib.stride_tricks.sliding_window_view(codes, WORD, axis=1)
    numbers = [np.zeros(windows.shape[:2], np.int32) for _ in range(2)]
    for at in range(WORD):
        base = np.minimum(windows[..., at], UNKNOWN_BASE - 1).astype(np.int32)
        numbers[0] += base << 2 * (WORD - 1 - at)
        numbers[1] += (3 - base) << 2 * at
    lower: np.ndarray = np.minimum(*numbers)
    return np.where((windows < UNKNOWN_BASE).all(2), lower, -1)


def _number(word: str) -> int:
    return sum(ALPHABET.index(base) << 2 * (WORD - 1 - at) for at, base in enumerate(word))


def _text(number: int) -> str:
    return "".join(ALPHABET[number >> 2 * (WORD - 1 - at) & 3] for at in range(WORD))
