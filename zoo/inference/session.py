"""A model on a runtime, ready to run, and which runtimes there are: names, checks and batching for all engines at once.

What a runtime offers is in zoo/contracts.py; what it must not have to repeat is here. NumPy at the border: base codes
in, float32 out. Axes: N sequences, L positions, T targets.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from zoo import contracts, registry
from zoo.contracts import Engine, RunOptions
from zoo.dna.encoding import check_codes
from zoo.errors import MissingDependency, ZooError, did_you_mean
from zoo.inference import mutants
from zoo.spec import ModelSpec
from zoo.system import futures, memory
from zoo.weights.checkpoint import SUFFIX, Checkpoint

FORKED = (
    "this process was forked after the model was loaded, and the model's threads do not survive a fork; start "
    "processes with spawn, as in multiprocessing.get_context('spawn') or DataLoader(multiprocessing_context='spawn'), "
    "or load the model in each process"
)


class Session:
    """A model, ready to run: `session.predict(codes)`; the same numbers whichever runtime computes them."""

    def __init__(self, engine: Engine, runtime: str, batch_size: int | None = None) -> None:
        self._engine = engine
        self.runtime = runtime
        self.batch_size = batch_size or engine.batch_size
        several = engine.concurrent_batches > 1
        self._threads = ThreadPoolExecutor(engine.concurrent_batches, runtime) if several else None
        self._process = os.getpid()

    @property
    def spec(self) -> ModelSpec:
        return self._engine.spec

    @property
    def provider(self) -> str:
        """The device or execution provider that computes, as the engine reports it."""
        return self._engine.provider

    def predict(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L) -> activities, float32 (N, T), a row for each sequence in order; N may be 0.

        Raises ZooError if the dtype, the length or a code is not what the model takes, and in a process that was forked
        after the session was opened.
        """
        future = self.submit(codes)
        try:
            return future.result()
        finally:
            future.cancel()  # an interruption ends what has not begun

    def submit(self, codes: np.ndarray) -> Future[np.ndarray]:
        """Begin to predict: a Future of what `predict` gives.

        With an engine of one batch at a time, it is done when this returns; with several, what is submitted later joins
        it on the device. `codes` must not change until the end.
        """
        self._check(codes)
        starts = range(0, len(codes), self.batch_size)
        parts = (np.ascontiguousarray(codes[start : start + self.batch_size]) for start in starts)
        if self._threads is None:
            return futures.done(self._joined([self._run(part) for part in parts]))
        return futures.joined([self._threads.submit(self._run, part) for part in parts], self._joined)

    def mutants(self, codes: np.ndarray) -> np.ndarray:
        """In silico mutagenesis: base codes, uint8 (N, L) -> float32 (N, L, 4, T), N may be 0.

        The activity with base b in position p instead of what is there, minus the activity as it is; 0 where b is there
        already, and an N has four alternatives. Raises ZooError as `predict` does.
        """
        self._check(codes)
        shorter = contracts.extra(self._engine, "mutants")
        if shorter is None or not len(codes):
            return mutants.predicted(self.predict, codes, len(self.spec.targets))
        return self._within_memory(shorter, np.ascontiguousarray(codes))

    def _check(self, codes: np.ndarray) -> None:
        if os.getpid() != self._process:
            # the engine's threads stayed behind: it would wait for them for ever
            raise ZooError(FORKED)
        check_codes(codes, self.spec.sequence_length)

    def _run(self, codes: np.ndarray) -> np.ndarray:
        return self._within_memory(self._engine.run, codes)

    def _within_memory(self, compute: Callable[..., np.ndarray], codes: np.ndarray, *arguments: Any) -> np.ndarray:
        try:
            return compute(codes, *arguments)
        except MemoryError:
            raise ZooError(f"{self.runtime}: {memory.exhausted(len(codes))}") from None

    def _joined(self, activities: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(activities) if activities else np.empty((0, len(self.spec.targets)), np.float32)


def split_name(runtime: str) -> tuple[str, str]:
    """ "onnx-cpu" -> ("onnx", "cpu"). Raises ZooError if no runtime has that name, and lists those that exist."""
    engine, _, device = runtime.rpartition("-")
    if engine in registry.problems("runtimes"):
        registry.load("runtimes", engine)  # raises what is wrong with it
    if not engine or device not in getattr(registry.working("runtimes").get(engine), "DEVICES", ()):
        there = runtime_names()
        raise ZooError(f"no runtime is called {runtime!r}{did_you_mean(runtime, there)}; there are {', '.join(there)}")
    return engine, device


def plugin(runtime: str) -> Any:
    """The module that a runtime belongs to. Raises ZooError as split_name does."""
    return registry.load("runtimes", split_name(runtime)[0])


def runtime_names() -> list[str]:
    """All runtimes, usable here or not, sorted."""
    modules = registry.working("runtimes")
    return sorted(f"{engine}-{device}" for engine, module in modules.items() for device in module.DEVICES)


def missing(runtime: str) -> str | None:
    """Why `runtime` cannot run on this machine, and the command that helps; None if it can."""
    return plugin(runtime).missing(split_name(runtime)[1])


def refuses(runtime: str, spec: ModelSpec) -> str | None:
    """Why `runtime` does not take this model on any machine; None if it does."""
    return plugin(runtime).refuses(spec)


def files(runtime: str) -> tuple[str, ...]:
    """Suffixes of the files that `runtime` runs as they are."""
    return contracts.extra(plugin(runtime), "FILES", ())


def automatic() -> list[str]:
    """What the runtime "auto" stands for: the first of these that can run the weights at hand on this machine."""
    return _ranked("AUTOMATIC")


def references() -> list[str]:
    """Runtimes that may be the reference of a comparison, the most trusted first."""
    return _ranked("TRUST")


def _ranked(name: str) -> list[str]:
    """Runtimes that declare a rank of that name, the highest first."""
    ranks = {
        f"{engine}-{device}": rank
        for engine, module in registry.working("runtimes").items()
        for device, rank in contracts.extra(module, name, {}).items()
    }
    return sorted(ranks, key=lambda runtime: -ranks[runtime])


def open_session(weights: Checkpoint | Path, runtime: str, options: RunOptions | None = None) -> Session:
    """Start `runtime` on a checkpoint, or on a file that the runtime runs as it is (see `files`).

    Raises ZooError for an unknown runtime, weights that it refuses or a precision that it has not, MissingDependency if
    it cannot run here. There is no fallback.
    """
    options = options or RunOptions()
    module, device = plugin(runtime), split_name(runtime)[1]
    reason = module.missing(device)
    if reason:
        raise MissingDependency(f"{runtime} cannot run here: {reason}")
    if options.precision not in module.PRECISIONS[device]:
        allowed = " or ".join(module.PRECISIONS[device])
        raise ZooError(f"{runtime}: expected the precision {allowed}, got {options.precision}")
    if isinstance(weights, Path):
        if weights.suffix.lower() not in files(runtime):
            raise ZooError(f"{weights}: {runtime} runs no files of this kind; give it a {SUFFIX} file")
        return Session(module.start_file(weights, device, options), runtime, options.batch_size)
    reason = module.refuses(weights.spec)
    if reason:
        raise ZooError(f"{runtime}: {reason}")
    return Session(module.start(weights, device, options), runtime, options.batch_size)


def open_automatic(find: Callable[[tuple[str, ...]], Checkpoint | Path], options: RunOptions | None = None) -> Session:
    """Start the first of `automatic()` that can run these weights here; `Session.runtime` says which it is.

    find: suffixes of the files that a runtime runs as they are (see `files`) -> the weights in a form for it.

    Raises what stopped the last of them, if none can.
    """
    *preferred, last = automatic()
    for runtime in preferred:
        if missing(runtime):
            continue
        try:
            return open_session(find(files(runtime)), runtime, options)
        except ZooError:
            # the device does not work, or this runtime does not take these weights or options: the next may
            continue
    return open_session(find(files(last)), last, options)
