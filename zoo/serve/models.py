"""The served models, by name. They are loaded once, at the start; later changes of a file have no effect."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from zoo.errors import did_you_mean, nearest_first
from zoo.options import RunOptions
from zoo.prediction.model import Model, load
from zoo.serve.batching import Batcher
from zoo.serve.limits import Admission
from zoo.serve.options import ServeOptions
from zoo.serve.protocol import RequestError
from zoo.spec import UNKNOWN_BASE
from zoo.weights import ensembles

WARM_UP = 64
"""Sequences predicted before the first request, which therefore does not wait for an engine to start."""

REPEATS = 8
"""Measurements of the time of one sequence."""

STANDSTILL = 1e-3
"""Longest computation in the event loop, in seconds, during which no request is read; a longer one gets a thread."""


@dataclasses.dataclass(frozen=True)
class Served:
    """A model and its name."""

    name: str
    model: Model
    batcher: Batcher
    admission: Admission


class Models:
    """All served models, by name."""

    def __init__(self, served: Sequence[Served]) -> None:
        self._served = {one.name: one for one in served}

    def __iter__(self) -> Iterator[Served]:
        return iter(self._served.values())

    def get(self, name: str) -> Served:
        """Raises RequestError, status 404, that lists the models."""
        if name not in self._served:
            near = did_you_mean(name[:100], self._served)
            known = ", ".join(nearest_first(name[:100], self._served))
            raise RequestError(404, f"unknown model {name!r:.100}{near}; known models: {known}")
        return self._served[name]

    def close(self) -> None:
        """Wait until every model has finished its batch."""
        for one in self:
            one.batcher.close()


def open_models(
    weights: Sequence[str],
    runtime: str,
    running: RunOptions,
    options: ServeOptions,
    computed: Callable[[str, int], None],
) -> Models:
    """Load models by name or from files; the default model if none is given.

    computed: called with the name of a model and the number of sequences of each batch.
    Raises ZooError as zoo.load does, and for two models of one name.
    """
    settings = dataclasses.asdict(running)
    served = []
    for name, one in ensembles.by_name(weights).items():
        model = load(None, one, runtime, **settings)
        each = _warm_up(model)
        most, in_place = options.max_batch or model.batch_size, int(STANDSTILL / each)
        count = functools.partial(computed, name)
        batcher = Batcher(model.each, most, options.wait_seconds, count, in_place)
        served.append(Served(name, model, batcher, Admission(name, options.max_requests)))
    return Models(served)


def _warm_up(model: Model) -> float:
    """Seconds to predict one sequence with an N, the slowest kind."""
    model.settle()  # no request waits for tables, and bits do not depend on earlier requests
    random = np.random.default_rng(0)
    codes = random.integers(0, UNKNOWN_BASE, (WARM_UP, model.spec.sequence_length), np.uint8)
    model.predict_codes(codes)
    codes[0, 0] = UNKNOWN_BASE
    took = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        model.predict_codes(codes[:1])
        took.append(time.perf_counter() - began)
    return min(took)
