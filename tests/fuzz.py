"""Inputs that nobody would write by hand: how long a fuzz test goes on, and changes to bytes.

A round is given by its seed alone. ZOO_FUZZ_SECONDS sets the time of each fuzz test, ZOO_FUZZ_SEED the first seed: a
test that failed at seed 4711 fails again at once with ZOO_FUZZ_SEED=4711. What a test raises has to name the seed.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Iterator, Sequence

LEAST_ROUNDS = 50
"""Rounds on a machine that is too slow for more."""


def budget(seconds_default: float) -> Iterator[tuple[int, random.Random]]:
    """Seeds, and a generator made of each, until the time is over."""
    end = time.monotonic() + float(os.environ.get("ZOO_FUZZ_SECONDS", seconds_default))
    first = int(os.environ.get("ZOO_FUZZ_SEED", 0))
    for seed in itertools.count(first):
        if seed - first >= LEAST_ROUNDS and time.monotonic() > end:
            return
        yield seed, random.Random(seed)


def mutated(content: bytes, generator: random.Random, pieces: Sequence[bytes], most: int = 4) -> bytes:
    """Content after one to `most` changes: a byte or a piece put in, a span taken out or doubled, the end cut."""
    changed = bytearray(content)
    for _ in range(generator.randint(1, most)):
        start, stop = sorted(generator.randint(0, len(changed)) for _ in range(2))
        span = changed[start : min(stop, start + generator.choice((1, 2, 20, 1000)))]
        match generator.randrange(6):
            case 0:
                changed[start : start + 1] = bytes([generator.randrange(256)])
            case 1:
                changed[start:start] = generator.choice(pieces)
            case 2:
                changed[start : start + 1] = generator.choice(pieces)
            case 3:
                del changed[start : start + len(span)]
            case 4:
                place = generator.randint(0, len(changed))
                changed[place:place] = span
            case 5 if generator.random() < 0.3:
                del changed[start:]
    return bytes(changed)
