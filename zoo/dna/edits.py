"""Where edited sequences differ from the sequences that they are made from."""

from __future__ import annotations

import numpy as np


def stretches(codes: np.ndarray, edited: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last position in which two arrays of base codes, uint8 (N, L), differ, both intp (N,); rows without a
    difference have L and -1."""
    differ = codes != edited
    length = codes.shape[1]
    some = differ.any(axis=1)
    first = np.where(some, differ.argmax(axis=1), length)
    return first, np.where(some, length - 1 - differ[:, ::-1].argmax(axis=1), -1)
