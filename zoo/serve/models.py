"""The models that are served, each under its name: loaded once, at the start, and warm.

What a file held when the service started is served until it ends; `weights.id` of the metadata says which it is.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from zoo.errors import did_you_mean
from zoo.options import RunOptions
from zoo.prediction.model import Model, load
from zoo.serve.batching import Batcher
from zoo.serve.limits import Admission
from zoo.serve.options import ServeOptions
from zoo.serve.refused import Refused
from zoo.spec import UNKNOWN_BASE
from zoo.weights import lookup

WARM_UP = 64
"""Sequences predicted before the first request, so that none waits for what an engine makes when it begins."""

TURNS = 8
"""In which the time of one sequence is taken."""

STANDSTILL = 1e-3
"""Seconds of computing for which nobody else is served, at most: longer takes a thread."""


@dataclasses.dataclass(frozen=True)
class Served:
    """A model under its name."""

    name: str
    model: Model
    batcher: Batcher
    admission: Admission


class Models:
    """All that are served, by name."""

    def __init__(self, served: Sequence[Served]) -> None:
        self._served = {one.name: one for one in served}

    def __iter__(self) -> Iterator[Served]:
        return iter(self._served.values())

    def get(self, name: str) -> Served:
        """Raises Refused, status 404, and names those that there are."""
        if name not in self._served:
            near = did_you_mean(name[:100], self._served)
            raise Refused(404, f"no model is called {name!r:.100}{near}; there are {', '.join(self._served)}")
        return self._served[name]

    def close(self) -> None:
        """Compute what waits, then end."""
        for one in self:
            one.batcher.close()


def open_models(
    weights: Sequence[str],
    runtime: str,
    running: RunOptions,
    options: ServeOptions,
    computed: Callable[[str, int], None],
) -> Models:
    """Load models by name or from files; the default one where none is given.

    computed: called with the name of a model and the sequences of each of its batches.
    Raises ZooError as zoo.load does, and for two of one name.
    """
    settings = dataclasses.asdict(running)
    served = []
    for name, one in lookup.by_name(weights).items():
        model = load(None, one, runtime, **settings)
        each = _warm(model)

        def tell(sequences: int, name: str = name) -> None:
            computed(name, sequences)

        most, in_place = options.max_batch or model.batch_size, int(STANDSTILL / each)
        batcher = Batcher(model.session, most, options.wait_seconds, tell, in_place)
        served.append(Served(name, model, batcher, Admission(name, options.max_requests)))
    return Models(served)


def _warm(model: Model) -> float:
    """The seconds that a sequence alone takes, of those that take longest: one with an N."""
    model.settle()  # what a page is answered does not depend on what was asked before, and nobody waits for tables
    random = np.random.default_rng(0)
    codes = random.integers(0, UNKNOWN_BASE, (WARM_UP, model.spec.sequence_length), np.uint8)
    model.predict_codes(codes)
    codes[0, 0] = UNKNOWN_BASE
    took = []
    for _ in range(TURNS):
        began = time.perf_counter()
        model.predict_codes(codes[:1])
        took.append(time.perf_counter() - began)
    return min(took)
