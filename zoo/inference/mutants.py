"""In silico mutagenesis the general way: every sequence with every base in every place is predicted.

For engines that know no shorter way (contracts.EngineExtras), and for tests to compare those with. Memory does not grow
with the number of sequences: one is taken at a time. Axes: N sequences, L positions, T targets.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zoo.spec import ALPHABET


def predicted(predict: Callable[[np.ndarray], np.ndarray], codes: np.ndarray, targets: int) -> np.ndarray:
    """What each base in each place adds to the activities, float32 (N, L, 4, T); 0 for the base that is there.

    predict: base codes, uint8 (N, L) -> activities, float32 (N, T).  codes: uint8 (N, L).
    """
    out = np.zeros((*codes.shape, len(ALPHABET), targets), np.float32)
    for sequence, differences in zip(codes, out, strict=True):
        position, base = np.nonzero(sequence[:, None] != np.arange(len(ALPHABET)))
        mutated = np.repeat(sequence[None], 1 + len(position), axis=0)
        mutated[1 + np.arange(len(position)), position] = base
        activities = predict(mutated)
        differences[position, base] = activities[1:] - activities[0]
    return out
