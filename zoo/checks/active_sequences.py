"""Sequences on which a model says much: random ones, and what becomes of them when mutations that it likes are kept.

Random DNA is much alike to a model; two networks that learned the same are told from two that did not where activities
are far apart. The same for the same weights, on every machine but for rounding.
"""

from __future__ import annotations

import numpy as np

from zoo.prediction.session import Session
from zoo.spec import ALPHABET

NUMBER = 48
"""Random sequences, and as many evolved ones."""

ROUNDS = 20
CHILDREN = 8
"""Mutants of each sequence in each round, of which the best is kept if it is better."""

MUTATIONS = 4
"""Bases that a mutant has anew."""

SEED = 1


def active_sequences(running: Session) -> np.ndarray:
    """Base codes, uint8 (2 NUMBER, L): each target is driven up in as many sequences as any other."""
    random = np.random.default_rng(SEED)
    length, targets = running.spec.sequence_length, len(running.spec.targets)
    start = random.integers(0, len(ALPHABET), (NUMBER, length), np.uint8)
    rows, goals = np.arange(NUMBER), np.arange(NUMBER) % targets
    best, activity = start.copy(), running.predict(start)[rows, goals]
    for _ in range(ROUNDS):
        children = np.repeat(best[:, None], CHILDREN, axis=1)
        places = random.integers(0, length, (NUMBER, CHILDREN, MUTATIONS))
        bases = random.integers(0, len(ALPHABET), places.shape, np.uint8)
        np.put_along_axis(children, places, bases, axis=2)
        predicted = running.predict(children.reshape(-1, length)).reshape(NUMBER, CHILDREN, targets)
        reached = predicted[rows, :, goals]
        chosen = reached.argmax(axis=1)
        better = reached[rows, chosen] > activity
        best[better] = children[rows, chosen][better]
        activity[better] = reached[rows, chosen][better]
    return np.concatenate([start, best])
