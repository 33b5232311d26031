"""In silico mutagenesis the general way: every sequence with every base in every place is predicted.

For engines that know no shorter way (contracts.ShorterWays), and for tests to compare those with. Memory does not grow
with the number of sequences, but for the result. Axes: N sequences, L positions, T targets.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zoo.spec import ALPHABET

AT_ONCE = 8192
"""Mutants made at a time, or those of one sequence: enough to keep a GPU busy."""


def predicted(predict: Callable[[np.ndarray], np.ndarray], codes: np.ndarray, targets: int) -> np.ndarray:
    """What each base in each place adds to the activities, float32 (N, L, 4, T); 0 for the base that is there.

    predict: base codes, uint8 (N, L) -> activities, float32 (N, T).  codes: uint8 (N, L).
    """
    out = np.zeros((*codes.shape, len(ALPHABET), targets), np.float32)
    block = max(AT_ONCE // (codes.shape[1] * len(ALPHABET)), 1)
    for first in range(0, len(codes), block):
        part = codes[first : first + block]
        row, position, base = np.nonzero(part[:, :, None] != np.arange(len(ALPHABET)))
        mutated = part[row]
        mutated[np.arange(len(row)), position] = base
        activities = predict(np.concatenate([part, mutated]))
        out[first + row, position, base] = activities[len(part) :] - activities[row]
    return out
