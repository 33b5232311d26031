"""kmer-cpu: the first layers compiled into tables over k-mers, exact up to rounding, and the rest computed.

The input is DNA, so most of the arithmetic becomes a lookup. tables.py compiles the leading convolutions into tables
over short words of DNA (k-mers); kernel.py runs tables and remaining layers in compiled code, numpy_network.py does so
if that was not built. It knows no architecture: a model describes itself as plain convolutions and matrices
(zoo/layers/plain.py).

Each core has a worker thread, which computes blocks of sequences that fit its second-level cache. A sequence with an N
has no k-mers and is computed in full. The first few sequences do not wait for whole tables: only the rows that they
look up are built, with the same bits. Overlapping windows share work if that takes less time (sharing.py).
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import registry
from zoo.dna import edits, windows
from zoo.layers.plain import PlainLayers
from zoo.spec import ALPHABET, UNKNOWN_BASE, ModelSpec
from zoo.system import machine
from zoo_runtimes.kmer import kernel, numpy_network, sharing, tables

if TYPE_CHECKING:
    from zoo.options import RunOptions
    from zoo.weights.checkpoint import Checkpoint

DEVICES = ("cpu",)
PRECISIONS = {"cpu": ("fp32",)}
AUTOMATIC = {"cpu": 20}
SHORTER_WAYS = ("windows", "mutants", "edits", "contributions", "gradient")

BATCH_SIZE = 4096
BLOCK = 64
"""Sequences that a worker computes together: their activations fit a second-level cache."""

WARM_UP = 512
"""Number of sequences predicted before whole tables are built; building them takes about as long. These first sequences
get only the table rows that they need or, where numbers may differ by rounding, are computed in full."""

MUTANTS = 32
"""All mutants of a sequence take as long as the prediction of this many sequences in full."""

EDIT = 0.25
"""An edited sequence takes as long as the prediction of this many sequences in full."""

EDITS = 192
"""Edited sequences that a worker computes together: the sums of an original that they share take as long as ten."""

WIDE = 0.4
"""Edits of at least this share of the sequence are predicted in full, which takes less time."""

REFERENCE = 2
"""Contributions of a sequence against one reference take as long as the prediction of this many sequences in full."""

PART_BASES = 1 << 14
"""Bases of a stretch of windows for one thread; its start costs as much as a whole window does. It does not depend on
the number of threads, and neither do the results."""

LEAST = 8
"""Minimum number of blocks in such a stretch."""

Along = Callable[[np.ndarray, int], np.ndarray]
"""Base codes without N, uint8 (B,), and the number of windows -> activities, float32 (W, T)."""


def missing(device: str) -> str | None:  # noqa: ARG001
    """None: the base install has all it needs."""
    return None


def refuses(spec: ModelSpec) -> str | None:
    """Why a model cannot be compiled into tables; None if it can."""
    plugin = registry.load("models", spec.architecture)
    plain_shape = getattr(plugin, "plain_shape", None)
    if plain_shape is None:
        return f"expected an architecture of plain convolutions and matrices, got {spec.architecture}; use onnx-cpu"
    shape = plain_shape(plugin.Config(**spec.config))
    if not all(shape.same) or set(shape.pools) != {tables.POOL}:
        return (
            f"expected 'same' convolutions, each followed by pooling by {tables.POOL}, which {spec.architecture} does "
            "not have; use onnx-cpu"
        )
    if shape.sigmoid:
        return f"expected linear outputs, this network of {spec.architecture} predicts probabilities; use onnx-cpu"
    return tables.refuses(shape)


def start(weights: Checkpoint, device: str, options: RunOptions, budget: int = tables.BUDGET) -> KmerEngine:  # noqa: ARG001
    """Compile a checkpoint into tables of at most `budget` bytes. Raises ZooError if the smallest are larger."""
    plugin = registry.load("models", weights.spec.architecture)
    layers = plugin.plain_layers(weights.config, weights.arrays)
    return KmerEngine(weights.spec, layers, options, tables.plan(layers.shape, budget))


def findings() -> dict[str, str]:
    """The compiled kernel that runs here. Raises BadSetting as kernel.instruction_sets does."""
    sets, used = kernel.compiled_sets(), kernel.instruction_sets()
    if not sets:
        return {"k-mer tables": "not built; install a C compiler, then reinstall deepstarr-zoo"}
    return {"k-mer tables": f"{used[0]}; ZOO_INSTRUCTION_SET chooses one of {', '.join(sets)}"}


class KmerEngine:
    """Tables, the layers after them, and the whole network for sequences without k-mers; see zoo.contracts.Engine."""

    def __init__(self, spec: ModelSpec, layers: PlainLayers, options: RunOptions, plan: tables.Plan) -> None:
        self.spec = spec
        self.batch_size = options.batch_size or BATCH_SIZE
        self.concurrent_batches = 1
        self._instruction_set = next(iter(kernel.instruction_sets()), None)
        self.provider = f"cpu, {self._instruction_set or 'NumPy and ONNX Runtime'}"
        self._layers = layers
        self._plan = plan
        self._threads = options.threads or machine.cores()
        self._pool = ThreadPoolExecutor(self._threads, "kmer")
        self._build = threading.Lock()
        self._tables: tables.Tables | None = None
        self._networks: dict[tuple[type, bool], Any] = {}
        self._sharing: dict[int, sharing.Sharing | None] = {}
        self._along: dict[int, Along] = {}
        self._computed = 0.0

    def run(self, codes: np.ndarray) -> np.ndarray:
        out = np.empty((len(codes), len(self.spec.targets)), np.float32)
        known = codes.max(axis=1) < UNKNOWN_BASE
        for fast, rows in _split(known):
            few = codes[rows] if fast and self._computed + len(rows) < WARM_UP else None
            self._in_blocks(self._network(kernel.Kernel, fast, few), [codes], rows, BLOCK, out)
        self._computed += int(known.sum())
        return out

    def settle(self) -> None:
        """Use whole tables from the first sequence on, for mutants and contributions too."""
        self._computed = WARM_UP

    def mutants(self, codes: np.ndarray) -> np.ndarray:
        out = np.empty((*codes.shape, len(ALPHABET), len(self.spec.targets)), np.float32)
        for fast, rows in self._parts(codes, MUTANTS):
            self._in_blocks(self._network(kernel.Kernel, fast).mutants, [codes], rows, 1, out)
        return out

    def edits(self, codes: np.ndarray, edited: np.ndarray, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(edited), len(self.spec.targets)), np.float32)
        order = np.argsort(rows, kind="stable")
        originals = codes[rows]
        first, last = edits.stretches(originals, edited)
        wide = last - first >= WIDE * codes.shape[1]
        for fast, found in self._parts(np.maximum(originals, edited)[order], EDIT):
            network, found = self._network(kernel.Kernel, fast), order[found]
            self._in_blocks(network.edits, [originals, edited], found[~wide[found]], EDITS, out)
            found = found[wide[found]]
            if len(found):
                predict = functools.partial(self._predicted, network)
                out[found] = edits.effects(predict, codes, edited[found], rows[found])
        return out

    def contributions(self, codes: np.ndarray, references: np.ndarray, target: int) -> np.ndarray:
        out = np.empty((*codes.shape, len(ALPHABET)), np.float32)
        everything = np.concatenate([codes[:, None], references], axis=1).reshape(len(codes), -1)
        for fast, rows in self._parts(everything, REFERENCE * references.shape[1]):
            contributions = self._network(kernel.Backward, fast).contributions
            self._in_blocks(functools.partial(contributions, target=target), [codes, references], rows, 1, out)
        return out

    def gradient(self, codes: np.ndarray, target: int) -> np.ndarray:
        out = np.empty((*codes.shape, len(ALPHABET)), np.float32)
        gradient = self._network(kernel.Backward, False).gradient  # tables hardly make this faster
        self._in_blocks(functools.partial(gradient, target=target), [codes], np.arange(len(codes)), 1, out)
        return out

    def _predicted(self, network: Callable[[np.ndarray], np.ndarray], codes: np.ndarray) -> np.ndarray:
        out = np.empty((len(codes), len(self.spec.targets)), np.float32)
        self._in_blocks(network, [codes], np.arange(len(codes)), BLOCK, out)
        return out

    def _parts(self, codes: np.ndarray, worth: float) -> list[tuple[bool, np.ndarray]]:
        """Whether to use tables, and for which rows. worth: number of predictions that take as long as one row."""
        known = codes.max(axis=1) < UNKNOWN_BASE
        self._computed += worth * int(known.sum())
        if self._computed < WARM_UP:
            return [(False, np.arange(len(codes)))]
        return _split(known)

    def _in_blocks(
        self, compute: Callable[..., np.ndarray], arrays: list[np.ndarray], rows: np.ndarray, size: int, out: np.ndarray
    ) -> None:
        """Fill `rows` of `out` by a function of the same rows of the arrays, `size` at a time on every thread."""

        def block(first: int) -> None:
            part = rows[first : first + size]
            out[part] = compute(*(np.ascontiguousarray(array[part]) for array in arrays))

        firsts = range(0, len(rows), size)
        if len(firsts) == 1:
            block(0)
            return
        with self._one_thread_each():
            list(self._pool.map(block, firsts))

    def _network(self, kind: type, fast: bool, few: np.ndarray | None = None) -> Any:
        """The kernel of a kind, or the network in NumPy if no kernel was built. fast: use tables, which are whole
        unless the few sequences that need them are given."""
        with self._build:
            if fast:
                self._tables = self._tables or tables.Tables(self._layers, self._plan, self._pool.map)
                self._tables.fill(few)
            if (kind, fast) not in self._networks:
                arguments = (self._layers, self._tables if fast else None)
                self._networks[kind, fast] = (
                    kind(*arguments, self._instruction_set)
                    if self._instruction_set
                    else numpy_network.Network(*arguments)
                )
            return self._networks[kind, fast]

    def windows(self, codes: np.ndarray, stride: int) -> np.ndarray:
        """Every window of a stretch of DNA, see zoo.contracts.ShorterWays; work is shared if that takes less time."""
        length = self.spec.sequence_length
        each = windows.cut(codes, length, stride)
        if stride not in self._sharing:
            self._sharing[stride] = sharing.sharing(self._layers, self._plan, stride)
        shared = self._sharing[stride]
        if shared is None or len(each) < WARM_UP or not shared.pays(len(each)):
            firsts = range(0, len(each), self.batch_size)
            return np.concatenate([self.run(np.ascontiguousarray(each[one : one + self.batch_size])) for one in firsts])
        fast, full = (self._network(kernel.Kernel, with_tables) for with_tables in (True, False))
        out = np.empty((len(each), len(self.spec.targets)), np.float32)
        ns = windows.unknown_bases(codes, length, stride)
        clean = [(first, stop) for first, stop in _stretches(ns == 0) if shared.pays(stop - first)]
        self._share(shared, codes, clean, out)
        left = np.ones(len(each), bool)
        for first, stop in clean:
            left[first:stop] = False
        self._in_blocks(fast, [each], np.flatnonzero(left & (ns == 0)), BLOCK, out)
        self._in_blocks(full, [each], np.flatnonzero((ns > 0) & (ns < length)), BLOCK, out)
        unknown = np.flatnonzero(ns == length)
        if len(unknown):
            out[unknown] = full(np.ascontiguousarray(each[unknown[:1]]))
        return out

    def _share(
        self, shared: sharing.Sharing, codes: np.ndarray, stretches: list[tuple[int, int]], out: np.ndarray
    ) -> None:
        """Fill stretches of consecutive windows without N, [first, stop), in parts on every thread."""
        along = self._run_along(shared)

        def fill(part: tuple[int, int]) -> None:
            first, stop = part
            last = (stop - 1) * shared.stride + self.spec.sequence_length
            out[first:stop] = along(codes[first * shared.stride : last], stop - first)

        parts = []
        for first, stop in stretches:
            number = max(1, (stop - first) // max(LEAST * shared.block, PART_BASES // shared.stride))
            size = -(-(stop - first) // (number * shared.block)) * shared.block
            parts += [(one, min(one + size, stop)) for one in range(first, stop, size)]
        with self._one_thread_each():
            list(self._pool.map(fill, parts))

    def _one_thread_each(self) -> AbstractContextManager[object]:
        """A context in which each worker uses one thread. Compiled code always does; NumPy starts threads of its
        own."""
        return contextlib.nullcontext() if self._instruction_set else tables.one_thread_each()

    def _run_along(self, shared: sharing.Sharing) -> Along:
        fast = self._network(kernel.Kernel, True)
        with self._build:
            if shared.stride not in self._along:
                if isinstance(fast, kernel.Kernel):
                    self._along[shared.stride] = kernel.Windows(fast, shared)
                else:
                    self._along[shared.stride] = numpy_network.Windows(self._layers, fast.tables, shared)
            return self._along[shared.stride]


def _split(known: np.ndarray) -> list[tuple[bool, np.ndarray]]:
    """Whether to use tables, and the rows: with tables where `known` is true, without them elsewhere."""
    return [(fast, rows) for fast in (True, False) if len(rows := np.flatnonzero(known == fast))]


def _stretches(wanted: np.ndarray) -> list[tuple[int, int]]:
    """[first, stop) of every run of true values."""
    edges = np.flatnonzero(np.diff(wanted, prepend=False, append=False))
    return [(int(first), int(stop)) for first, stop in edges.reshape(-1, 2)]
