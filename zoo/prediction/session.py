"""Sessions: a model on a runtime, with checks, batching and shorter ways for all engines; and the names of runtimes.

zoo/contracts.py says what a runtime offers. Base codes go in, float32 arrays come out; tensors stay inside the engine.
Axes: N sequences, L positions, T targets.
"""

from __future__ import annotations

import copy
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from zoo import registry
from zoo.contracts import Engine
from zoo.dna import edits, windows
from zoo.dna.encoding import check_codes
from zoo.errors import MissingDependency, ZooError, did_you_mean, nearest_first
from zoo.options import RunOptions
from zoo.prediction import by_prediction
from zoo.spec import ALPHABET, ModelSpec
from zoo.system import futures, machine
from zoo.weights import lookup, spread
from zoo.weights.checkpoint import SUFFIX, Checkpoint, profiles_of

FORKED = (
    "this process was forked after the model was loaded, and the model's threads do not survive a fork; start "
    "processes with spawn, as in multiprocessing.get_context('spawn') or DataLoader(multiprocessing_context='spawn'), "
    "or load the model in each process"
)

WINDOW_BASES = 1 << 18
"""Bases of a contig in one block, for an engine that shares work between windows. Where two blocks overlap, the work is
done twice."""

WINDOWS = 4096
"""Windows in one block, rounded up to whole batches, for an engine that predicts each window by itself."""

GENERAL_WAYS = ("windows", "mutants", "edits")
"""Methods of contracts.ShorterWays that the Session computes with `run` for an engine without them."""


class Session:
    """A model on a runtime. All runtimes give the same numbers, up to rounding.

    For a file with the members of an ensemble, the results are means over the members.
    """

    rc: str | None = None
    """Only the given strand counts; see strands.py for both."""

    _means = True
    """Whether numbers of members become means; False in `each`."""

    def __init__(self, engine: Engine, runtime: str, batch_size: int | None = None) -> None:
        self._engine = engine
        self.runtime = runtime
        self.batch_size = batch_size or engine.batch_size
        threads = engine.concurrent_batches
        self._threads = ThreadPoolExecutor(threads, runtime) if threads > 1 else None
        self._process = os.getpid()

    @property
    def spec(self) -> ModelSpec:
        return self._engine.spec

    @property
    def provider(self) -> str:
        """The device or execution provider that computes, as the engine reports it."""
        return self._engine.provider

    @property
    def concurrent_batches(self) -> int:
        """Number of submitted batches that keep the device busy."""
        return self._engine.concurrent_batches

    @property
    def each(self) -> Session:
        """The same session without means: its last axis has the numbers of all members, T of each, M x T."""
        if not self.spec.members:
            return self
        own = copy.copy(self)
        own._means = False
        return own

    def predict(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L) -> activities, float32 (N, T), a row for each sequence in order; N may be 0.

        Raises ZooError if the model does not take the dtype, the length or a code, and in a process that was forked
        after the session was opened.
        """
        future = self.submit(codes)
        try:
            return future.result()
        finally:
            future.cancel()  # after an interruption, the batches that wait do not start

    def submit(self, codes: np.ndarray) -> Future[np.ndarray]:
        """Start to predict: a Future of what `predict` returns.

        With an engine that runs one batch at a time, the Future is done on return; with others, later batches join it
        on the device. `codes` must not change until then.
        """
        check_codes(codes, self.spec.sequence_length)
        return self._run(codes)

    def _run(self, codes: np.ndarray) -> Future[np.ndarray]:
        return self._begin(lambda part: self._mean(self._engine.run(part)), self._batches(codes))

    def _mean(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers of the engine -> those of this session."""
        return spread.mean(numbers, self.spec) if self._means else numbers

    @property
    def _numbers(self) -> int:
        """Numbers of a sequence."""
        return len(self.spec.targets) if self._means else self.spec.numbers

    def profiles(self, codes: np.ndarray) -> dict[str, np.ndarray]:
        """Base codes, uint8 (N, L), N >= 1 -> name of each profile of the network -> float32 (N, S, P), S tracks and P
        positions (zoo.frame.Profile).

        Raises ZooError as `predict` does, and for a network without profiles.
        """
        check_codes(codes, self.spec.sequence_length)
        if not profiles_of(self.spec):
            raise ZooError("profiles: these weights have none; a frame names those of an imported network")
        compute: Callable[[np.ndarray], Any] | None = getattr(self._engine, "profiles", None)
        if compute is None:
            raise ZooError(f"{self.runtime}: computes no profiles; use --runtime auto")
        parts = [self._guarded(compute, part) for part in self._batches(codes)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def windows(self, codes: np.ndarray, stride: int = 1) -> np.ndarray:
        """Base codes along a contig, uint8 (B,) -> activities of every window, `stride` bases apart, float32 (W, T).

        Window i is [i * stride, i * stride + L); only whole windows count, W = (B - L) // stride + 1 or 0. The numbers
        are those of `predict` on each window, up to rounding; an engine may have a faster way. Raises ZooError as
        `predict` does, and if the stride is not a positive integer.
        """
        windows.check(codes, stride)
        length = self.spec.sequence_length
        total = windows.count(len(codes), length, stride)
        out = np.empty((total, self._numbers), np.float32)
        shorter = getattr(self._engine, "windows", None)
        batches = -(-WINDOWS // self.batch_size)
        step = max(WINDOW_BASES // stride, self.batch_size) if shorter else batches * self.batch_size
        pending: deque[tuple[int, Future[np.ndarray]]] = deque()

        def submit(first: int) -> Future[np.ndarray]:
            bases = codes[first * stride : (min(first + step, total) - 1) * stride + length]
            if shorter:
                return self._begin(lambda part: self._mean(shorter(part, stride)), [np.ascontiguousarray(bases)])
            return self._run(windows.cut(bases, length, stride))

        def collect() -> None:
            first, block = pending.popleft()
            out[first : first + step] = block.result()

        try:
            for first in range(0, total, step):
                pending.append((first, submit(first)))
                if len(pending) >= self._engine.concurrent_batches:  # more blocks would not keep the device busier
                    collect()
            while pending:
                collect()
        finally:
            for _, block in pending:
                block.cancel()
        return out

    def settle(self) -> None:
        """Make results bit-identical regardless of earlier batches, for work that is shared between processes.

        Some engines compute the first batches in another way to start sooner: "kmer-cpu" the first mutants and
        contributions.
        """
        settle = getattr(self._engine, "settle", None)
        if settle:
            settle()

    def _batches(self, codes: np.ndarray) -> Iterator[np.ndarray]:
        starts = range(0, len(codes), self.batch_size)
        return (np.ascontiguousarray(codes[start : start + self.batch_size]) for start in starts)

    def _begin(self, work: Callable[[np.ndarray], np.ndarray], parts: Iterable[np.ndarray]) -> Future[np.ndarray]:
        """A Future of the engine's work on all parts, with their results concatenated."""
        if os.getpid() != self._process:
            # the engine's threads are not in this process: it would wait for them forever
            raise ZooError(FORKED)
        if self._threads is None:
            return futures.done(self._joined([self._guarded(work, part) for part in parts]))
        begun = [self._threads.submit(self._guarded, work, part) for part in parts]
        return futures.joined(begun, self._joined)

    def mutants(self, codes: np.ndarray) -> np.ndarray:
        """In silico mutagenesis: base codes, uint8 (N, L) -> float32 (N, L, 4, T), N may be 0.

        The activity with base b at position p minus the activity of the sequence; 0 where the sequence has b. All four
        bases are substitutions of an N. Raises ZooError as `predict` does.
        """
        check_codes(codes, self.spec.sequence_length)
        shorter = getattr(self._engine, "mutants", None)
        if shorter is None or not len(codes):
            return self._mean(by_prediction.mutants(self.each.predict, codes, self.spec.numbers))
        return self._begin(lambda part: self._mean(shorter(part)), [np.ascontiguousarray(codes)]).result()

    def edits(self, codes: np.ndarray, edited: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Effects of edits: base codes, uint8 (N, L), edited sequences, uint8 (M, L), and the number of the sequence
        that each is made from, int (M,) -> float32 (M, T); M may be 0.

        Element [m, t] is the activity of edited[m] minus that of codes[rows[m]]. Raises ZooError as `predict` does, and
        for other arrays.
        """
        check_codes(codes, self.spec.sequence_length)
        check_codes(edited, self.spec.sequence_length)
        by_prediction.check_rows(rows, len(edited), len(codes))
        shorter = getattr(self._engine, "edits", None)
        if shorter is None or not len(edited):
            return edits.effects(self.predict, codes, edited, rows)
        whole = [np.ascontiguousarray(one) for one in (codes, edited, rows.astype(np.intp))]
        return self._begin(lambda part: self._mean(shorter(part, *whole[1:])), whole[:1]).result()

    def contributions(self, codes: np.ndarray, references: np.ndarray, target: int) -> np.ndarray:
        """DeepLIFT of one target: base codes, uint8 (N, L), and references, uint8 (N, R, L) -> float32 (N, L, 4).

        Hypothetical scores (rescale rule), averaged over the references: the contribution that base b would have at
        position p. Multiplied by the one-hot sequence, they sum to its activity minus the mean activity of its
        references. target: number of the target, from 0.

        Raises ZooError for other arrays, an unknown target, and a runtime that computes no contributions.
        """
        check_codes(codes, self.spec.sequence_length)
        dimensions: tuple[int, ...] = getattr(references, "shape", ())
        if len(dimensions) != 3 or dimensions[0] != len(codes) or not dimensions[1]:
            expected = f"expected a uint8 array ({len(codes)}, R, {self.spec.sequence_length}), R at least 1"
            raise ZooError(f"references: {expected}, got {dimensions or type(references).__name__}")
        check_codes(references.reshape(-1, dimensions[2]), self.spec.sequence_length)
        return self._explained("contributions", target, codes, references)

    def gradient(self, codes: np.ndarray, target: int) -> np.ndarray:
        """d activity / d one-hot: base codes, uint8 (N, L) -> float32 (N, L, 4). Raises as `contributions` does."""
        check_codes(codes, self.spec.sequence_length)
        return self._explained("gradient", target, codes)

    def runtime_of(self, way: str) -> str:
        """The runtime that computes a method of contracts.ShorterWays: this session's own.

        Raises ZooError if it cannot, MissingDependency if a library is not installed.
        """
        if not hasattr(self._engine, way) and way not in GENERAL_WAYS:
            if self.spec.frame is not None:
                raise no_way_of_graph(way)
            others = [name for name in runtimes_with(way) if refuses(name, self.spec) is None]
            raise ZooError(f"{self.runtime}: cannot compute {way}; use {' or '.join(['--runtime auto', *others])}")
        check_way = getattr(self._engine, "check_way", None)
        if check_way:
            check_way(way)
        return self.runtime

    def _explained(self, way: str, target: int, *arrays: np.ndarray) -> np.ndarray:
        if not 0 <= target < len(self.spec.targets):
            raise ZooError(f"target: expected a number from 0 to {len(self.spec.targets) - 1}, got {target}")
        self.runtime_of(way)
        if not len(arrays[0]):
            return np.empty((*arrays[0].shape, len(ALPHABET)), np.float32)
        compute = getattr(self._engine, way)
        whole = [np.ascontiguousarray(array) for array in arrays]
        return self._begin(lambda codes: compute(codes, *whole[1:], target), whole[:1]).result()

    def _guarded(self, work: Callable[[np.ndarray], np.ndarray], codes: np.ndarray) -> np.ndarray:
        try:
            return work(codes)
        except MemoryError:
            raise ZooError(f"{self.runtime}: {machine.out_of_memory(min(len(codes), self.batch_size))}") from None

    def _joined(self, activities: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(activities) if activities else np.empty((0, self._numbers), np.float32)


def no_way_of_graph(way: str) -> ZooError:
    """The error for a method of contracts.ShorterWays that needs the layers of an imported network."""
    return ZooError(
        f"{way}: an imported network is an ONNX graph, for which no runtime computes them; zoo explain --method ism "
        "needs only predictions"
    )


def split_name(runtime: str) -> tuple[str, str]:
    """ "onnx-cpu" -> ("onnx", "cpu"). Raises ZooError, with the known names, for another name."""
    engine, _, device = runtime.rpartition("-")
    if engine in registry.problems("runtimes"):
        registry.load("runtimes", engine)  # raises BadPlugin for one that does not work
    if not engine or device not in getattr(registry.working("runtimes").get(engine), "DEVICES", ()):
        known = runtime_names()
        listed = ", ".join(nearest_first(runtime, known))
        raise ZooError(f"unknown runtime {runtime!r}{did_you_mean(runtime, known)}; known: {listed}")
    return engine, device


def plugin(runtime: str) -> Any:
    """The module of a runtime. Raises ZooError as split_name does."""
    return registry.load("runtimes", split_name(runtime)[0])


def runtime_names() -> list[str]:
    """Names of all runtimes, usable here or not, sorted."""
    modules = registry.working("runtimes")
    return sorted(f"{engine}-{device}" for engine, module in modules.items() for device in module.DEVICES)


def missing(runtime: str) -> str | None:
    """Why `runtime` cannot run on this machine, and the command that helps; None if it can."""
    return plugin(runtime).missing(split_name(runtime)[1])


def check_here(runtime: str) -> None:
    """Raise MissingDependency if `runtime` cannot run on this machine."""
    reason = missing(runtime)
    if reason:
        raise MissingDependency(f"{runtime} cannot run here: {reason}")


def refuses(runtime: str, spec: ModelSpec) -> str | None:
    """Why `runtime` cannot run this model on any machine; None if it can."""
    if spec.frame is not None and runtime not in lookup.graph_runtimes():
        return "does not run imported networks, which are ONNX graphs"
    return plugin(runtime).refuses(spec)


def files(runtime: str) -> tuple[str, ...]:
    """Suffixes of files that `runtime` runs without conversion."""
    return getattr(plugin(runtime), "FILES", ())


def ways(runtime: str) -> tuple[str, ...]:
    """Methods of contracts.ShorterWays that the engines of `runtime` have."""
    return getattr(plugin(runtime), "SHORTER_WAYS", ())


def runtimes_with(way: str) -> list[str]:
    """Runtimes whose engines have a method of contracts.ShorterWays, usable here or not, sorted."""
    return [name for name in runtime_names() if way in ways(name)]


def automatic() -> list[str]:
    """Runtimes that "auto" tries, the fastest first, until one can do the job on this machine; see automatic.py."""
    return _ranked("AUTOMATIC")


def references() -> list[str]:
    """Runtimes that can be the reference of a comparison, the most trusted first."""
    return _ranked("TRUST")


def _ranked(name: str) -> list[str]:
    """Runtimes that declare a rank under this name, the highest first."""
    ranks = {
        f"{engine}-{device}": rank
        for engine, module in registry.working("runtimes").items()
        for device, rank in getattr(module, name, {}).items()
    }
    return sorted(ranks, key=lambda runtime: -ranks[runtime])


def open_session(weights: Checkpoint | Path, runtime: str, options: RunOptions | None = None) -> Session:
    """Start `runtime` on a checkpoint, or on a file that the runtime runs without conversion (see `files`).

    Warns of bundled weights. Raises ZooError for an unknown runtime, and for weights or a precision that it does not
    support; MissingDependency if it cannot run here. There is no fallback.
    """
    options = options or RunOptions()
    engine = start(weights, runtime, options)
    lookup.warn_of_imitation(engine.spec.weights_id)
    return Session(engine, runtime, options.batch_size)


def start(weights: Checkpoint | Path, runtime: str, options: RunOptions) -> Engine:
    """Start the engine of a session, see open_session."""
    check_here(runtime)
    module, device = plugin(runtime), split_name(runtime)[1]
    if options.precision not in module.PRECISIONS[device]:
        allowed = " or ".join(module.PRECISIONS[device])
        raise ZooError(f"{runtime}: expected the precision {allowed}, got {options.precision}")
    engine: Engine
    if isinstance(weights, Path):
        if weights.suffix.lower() not in files(runtime):
            raise ZooError(f"{weights}: {runtime} cannot run {weights.suffix} files; give it a {SUFFIX} file")
        engine = module.start_file(weights, device, options)
        return engine
    reason = module.refuses(weights.spec)
    if reason:
        raise ZooError(f"{runtime}: {reason}")
    engine = module.start(weights, device, options)
    return engine
