"""How fast models predict: each on every runtime that `auto` may take, measured in turns, and the fastest of each."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from zoo.checks.bench import in_turns
from zoo.errors import ZooError
from zoo.prediction import session
from zoo.prediction.model import Model, load

SECONDS = 0.5
"""Time for each model on each runtime, and for each at least two turns."""

TURN_SECONDS = 0.1
"""A turn has as many sequences as fit into this time."""

CALLS = (32, 1024)
"""Fewest and most sequences in a turn."""


def fastest(weights: Mapping[str, Path], codes: np.ndarray, threads: int | None = None) -> dict[str, tuple[str, float]]:
    """Label -> the runtime that predicts fastest here, and its sequences per second.

    weights: label -> weights file or run folder.  codes: base codes, uint8 (N, L), N >= 1, repeated as needed.
    threads: CPU threads, by default all cores. A model that no runtime runs is left out.
    """
    running: dict[tuple[str, str], Model] = {}
    for label, path in weights.items():
        for runtime in session.automatic():
            if session.missing(runtime) is None:
                with contextlib.suppress(ZooError):  # a runtime that does not run this model
                    running[label, runtime] = load(weights=path, runtime=runtime, threads=threads)
    calls = {name: _call(model, codes) for name, model in running.items()}
    turns = {name: partial(model.predict_codes, calls[name]) for name, model in running.items()}
    seconds = in_turns(turns, SECONDS * len(turns)) if turns else {}
    found: dict[str, tuple[str, float]] = {}
    for (label, runtime), best in seconds.items():
        rate = len(calls[label, runtime]) / best
        if label not in found or rate > found[label][1]:
            found[label] = runtime, rate
    return found


def _call(model: Model, codes: np.ndarray) -> np.ndarray:
    """Sequences for one turn: a power of two that takes about TURN_SECONDS."""
    fewest, most = CALLS
    first = np.resize(codes, (fewest, codes.shape[1]))
    model.predict_codes(first)  # tables are built, and the tuning of the first use is done
    began = time.perf_counter()
    model.predict_codes(first)
    number = TURN_SECONDS / (time.perf_counter() - began) * fewest
    size = 2 ** int(np.log2(min(max(number, fewest), most)))
    return np.resize(codes, (size, codes.shape[1]))
