"""Effects of mutants by predicting each, and checks of edits: for engines without a faster way, and for tests.

predict: base codes, uint8 (N, L) -> activities, float32 (N, T).  codes: uint8 (N, L).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zoo.errors import ZooError
from zoo.spec import ALPHABET

Predict = Callable[[np.ndarray], np.ndarray]

MUTANTS = 8192
"""Mutants predicted together, at least those of one sequence: enough to keep a GPU busy."""


def mutants(predict: Predict, codes: np.ndarray, targets: int) -> np.ndarray:
    """Effects of all substitutions, float32 (N, L, 4, T); see Session.mutants. Apart from the result, memory does not
    grow with N."""
    out = np.zeros((*codes.shape, len(ALPHABET), targets), np.float32)
    block = max(MUTANTS // (codes.shape[1] * len(ALPHABET)), 1)
    for first in range(0, len(codes), block):
        part = codes[first : first + block]
        row, position, base = np.nonzero(part[:, :, None] != np.arange(len(ALPHABET)))
        mutated = part[row]
        mutated[np.arange(len(row)), position] = base
        activities = predict(np.concatenate([part, mutated]))
        out[first + row, position, base] = activities[len(part) :] - activities[row]
    return out


def check_rows(rows: np.ndarray, edited: int, sequences: int) -> None:
    """Raise ZooError unless `rows` has the number of a sequence for each edited one."""
    good = isinstance(rows, np.ndarray) and rows.shape == (edited,) and rows.dtype.kind in "iu"
    if not good or (edited and not 0 <= rows.min() <= rows.max() < sequences):
        raise ZooError(f"rows: expected {edited} integers from 0 to {sequences - 1}, one for each edited sequence")
