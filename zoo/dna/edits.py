"""Edited sequences: where they differ from the sequences that they are made from, and their effects by prediction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def stretches(codes: np.ndarray, edited: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last position in which two arrays of base codes, uint8 (N, L), differ, both intp (N,); rows without a
    difference have L and -1."""
    differ = codes != edited
    length = codes.shape[1]
    some = differ.any(axis=1)
    first = np.where(some, differ.argmax(axis=1), length)
    return first, np.where(some, length - 1 - differ[:, ::-1].argmax(axis=1), -1)


def effects(
    predict: Callable[[np.ndarray], np.ndarray], codes: np.ndarray, edited: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Activities of edited sequences, uint8 (M, L), minus those of codes[rows], float32 (M, T), M >= 1; exactly 0 where
    nothing is edited. predict: uint8 (N, L), N >= 1 -> float32 (N, T)."""
    used, number = np.unique(rows, return_inverse=True)
    activities = predict(np.concatenate([codes[used], edited]))
    found = activities[len(used) :] - activities[number]
    found[(edited == codes[rows]).all(axis=1)] = 0
    return found
