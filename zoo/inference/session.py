"""The one contract that every runtime fulfils, and the checks and the batching that none of them has to repeat.

A runtime is one file in runtimes/ (or an entry point), named after its engine, that offers

    DEVICES: tuple[str, ...]                    names "engine-device" follow from it: ("cpu", "cuda")
    FILES: tuple[str, ...]                      suffixes it runs as they are, such as (".onnx",)
    missing(device) -> str | None               why it cannot run here and the command that helps, None if it can
    start(weights, device, options) -> Engine   `weights` a Checkpoint, or a Path with a suffix in FILES

Heavy libraries are imported inside these functions. NumPy at the border: base codes in, float32 out.
Imports spec, registry, encoding and defaults, where alone runtimes have names.
"""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

import numpy as np

from zoo import registry
from zoo.defaults import AUTOMATIC
from zoo.dna.encoding import check_codes
from zoo.errors import MissingDependency, ZooError
from zoo.spec import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from zoo.weights.checkpoint import Checkpoint

PRECISIONS = ("fp32", "tf32", "bf16")


@dataclasses.dataclass(frozen=True)
class Options:
    """How to run, never what to compute.

    batch_size: sequences handed to the engine at once; None takes the engine's own.
    threads: CPU threads; None means one for each core that this process may use.
    precision: arithmetic, one of PRECISIONS; an engine refuses what it cannot give.
    """

    batch_size: int | None = None
    threads: int | None = None
    precision: str = "fp32"

    def __post_init__(self) -> None:
        for name in ("batch_size", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ZooError(f"{name.replace('_', ' ')}: expected at least 1, got {value}")
        if self.precision not in PRECISIONS:
            raise ZooError(f"precision: expected one of {', '.join(PRECISIONS)}, got {self.precision!r}")


class Engine(Protocol):
    """What a runtime starts.

    provider: what really computes, as the engine reports it.
    lanes: batches that should be under way at once, so that a device which is fed from here never waits for the next
        one; `run` is then called from that many threads. 1 for an engine that keeps all cores busy with one batch.
    """

    spec: ModelSpec
    provider: str
    batch_size: int
    lanes: int

    def run(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L), 1 <= N <= batch size, C-contiguous -> activities, float32 (N, T), an array of its
        own that no later run changes."""


class Session:
    """A model, ready to run: `session.predict(codes)`; the same numbers whichever runtime computes them."""

    def __init__(self, engine: Engine, runtime: str, batch_size: int | None = None) -> None:
        self._engine = engine
        self.runtime = runtime
        self.batch_size = batch_size or engine.batch_size
        self._lanes = ThreadPoolExecutor(engine.lanes, runtime) if engine.lanes > 1 else None

    @property
    def spec(self) -> ModelSpec:
        return self._engine.spec

    @property
    def provider(self) -> str:
        """The device or execution provider that computes, as the engine reports it."""
        return self._engine.provider

    def predict(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L) -> activities, float32 (N, T), a row for each sequence in order; N may be 0.

        Raises ZooError if the dtype, the length or a code is not what the model takes.
        """
        return self.begin(codes)()

    def begin(self, codes: np.ndarray) -> Callable[[], np.ndarray]:
        """Begin to predict; what is returned waits for the end and gives the activities. See `predict`.

        With an engine of one lane, the work is done when this returns; with several, what is begun later joins it on
        the device. `codes` must not change until the end.
        """
        check_codes(codes, self.spec.sequence_length)
        starts = range(0, len(codes), self.batch_size)
        parts = (np.ascontiguousarray(codes[start : start + self.batch_size]) for start in starts)
        if self._lanes is None:
            done = [self._engine.run(part) for part in parts]
            return lambda: self._joined(done)
        under_way = [self._lanes.submit(self._engine.run, part) for part in parts]

        def wait() -> np.ndarray:
            try:
                return self._joined([future.result() for future in under_way])
            finally:  # an error or an interruption ends the rest
                for future in under_way:
                    future.cancel()

        return wait

    def _joined(self, activities: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate(activities) if activities else np.empty((0, len(self.spec.targets)), np.float32)


def split_name(runtime: str) -> tuple[str, str]:
    """ "onnx-cpu" -> ("onnx", "cpu"). Raises ZooError if no runtime has that name, and lists those that exist."""
    engine, _, device = runtime.rpartition("-")
    if (
        not engine
        or engine not in registry.names("runtimes")
        or device not in registry.load("runtimes", engine).DEVICES
    ):
        raise ZooError(f"no runtime is called {runtime!r}; there are {', '.join(runtime_names())}")
    return engine, device


def runtime_names() -> list[str]:
    """All runtimes, usable here or not, sorted."""
    engines = registry.names("runtimes")
    return sorted(f"{name}-{device}" for name in engines for device in registry.load("runtimes", name).DEVICES)


def missing(runtime: str) -> str | None:
    """Why `runtime` cannot run on this machine, and the command that helps; None if it can."""
    engine, device = split_name(runtime)
    return registry.load("runtimes", engine).missing(device)


def open_session(weights: Checkpoint | Path, runtime: str, options: Options | None = None) -> Session:
    """Start `runtime` on a checkpoint, or on a file that the runtime runs as it is (see FILES above).

    Raises ZooError for an unknown runtime, MissingDependency if it cannot run here. There is no fallback.
    """
    options = options or Options()
    engine, device = split_name(runtime)
    module = registry.load("runtimes", engine)
    reason = module.missing(device)
    if reason:
        raise MissingDependency(f"{runtime} cannot run here: {reason}")
    return Session(module.start(weights, device, options), runtime, options.batch_size)


def open_automatic(find: Callable[[tuple[str, ...]], Checkpoint | Path], options: Options | None = None) -> Session:
    """Start the first of defaults.AUTOMATIC that can run these weights here; `Session.runtime` says which it is.

    find: suffixes of the files that a runtime runs as they are (see FILES above) -> the weights in a form for it.

    Raises what stopped the last of them, if none can.
    """
    *preferred, last = AUTOMATIC
    for runtime in preferred:
        if missing(runtime):
            continue
        try:
            return open_session(find(files(runtime)), runtime, options)
        except ZooError:
            # the device does not work, or this runtime does not take these weights or options: the next may
            continue
    return open_session(find(files(last)), last, options)


def files(runtime: str) -> tuple[str, ...]:
    """Suffixes of the files that `runtime` runs as they are."""
    engine, _ = split_name(runtime)
    return registry.load("runtimes", engine).FILES
