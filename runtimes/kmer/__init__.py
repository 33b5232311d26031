"""kmer-cpu: the first layers compiled into tables over k-mers, exact up to rounding, and the rest computed.

The input is DNA, so most of the arithmetic of the network is a lookup. tables.py compiles the leading convolutions into
tables over short words of DNA (k-mers), kernel.py runs tables and remaining layers in compiled code, portable.py does
where that was not built. Knows no architecture: a model says itself what it is as plain
convolutions and matrices (zoo/layers/plain.py).
Blocks of sequences that fit a core's second-level cache go to one worker thread a core. A sequence with an N has no
k-mers and is computed in full; so are the first few sequences, which should not wait for tables to be built.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from runtimes.kmer import kernel, tables
from runtimes.kmer.portable import Portable
from zoo import contracts, registry
from zoo.layers.plain import PlainLayers
from zoo.spec import ALPHABET, UNKNOWN_BASE, ModelSpec
from zoo.system import devices

if TYPE_CHECKING:
    from zoo.contracts import RunOptions
    from zoo.weights.checkpoint import Checkpoint

DEVICES = ("cpu",)
PRECISIONS = {"cpu": ("fp32",)}
AUTOMATIC = {"cpu": 20}
SHORTER_WAYS = ("mutants",)

BATCH_SIZE = 4096
BLOCK = 64
"""Sequences that a worker takes through the network at once: their activations fit a second-level cache."""

WARM_UP = 512
"""Sequences computed in full before tables are built: about as long as building them takes."""

MUTANTS = 32
"""Sequences whose prediction in full takes as long as all mutants of one."""


Network = kernel.Kernel | Portable

Compute = Callable[[np.ndarray], np.ndarray]
"""Base codes, uint8 (N, L) -> float32 (N, ...)."""


def missing(device: str) -> str | None:  # noqa: ARG001
    """None: the base install brings everything."""
    return None


def refuses(spec: ModelSpec) -> str | None:
    """Why a model cannot be compiled into tables; None if it can."""
    plugin = registry.load("models", spec.architecture)
    plain_shape = contracts.extra(plugin, "plain_shape")
    if plain_shape is None:
        return f"expected plain convolutions and matrices, the architecture {spec.architecture} is not; use onnx-cpu"
    shape = plain_shape(plugin.Config(**spec.config))
    if not all(shape.same) or set(shape.pools) != {tables.POOL}:
        return (
            f"expected convolutions that keep the length, each with a pooling by {tables.POOL}; those of "
            f"{spec.architecture} are others; use onnx-cpu"
        )
    return tables.refuses(shape)


def start(weights: Checkpoint, device: str, options: RunOptions, budget: int = tables.BUDGET) -> KmerEngine:  # noqa: ARG001
    """Compile a checkpoint into tables of at most `budget` bytes. Raises ZooError if none is as small."""
    plugin = registry.load("models", weights.spec.architecture)
    layers = plugin.plain_layers(weights.config, weights.arrays)
    return KmerEngine(weights.spec, layers, options, tables.plan(layers.shape, budget))


def findings() -> dict[str, str]:
    """Which compiled kernel runs here."""
    built = next(iter(kernel.instruction_sets()), "not built; install again where there is a C compiler")
    return {"k-mer tables": built}


class KmerEngine:
    """Tables, the layers after them, and the whole network for what has no k-mers; see zoo.contracts.Engine."""

    def __init__(self, spec: ModelSpec, layers: PlainLayers, options: RunOptions, plan: tables.Plan) -> None:
        self.spec = spec
        self.batch_size = options.batch_size or BATCH_SIZE
        self.concurrent_batches = 1
        self._instruction_set = next(iter(kernel.instruction_sets()), None)
        self.provider = f"cpu, {self._instruction_set or 'NumPy and ONNX Runtime'}"
        self._layers = layers
        self._plan = plan
        self._threads = options.threads or devices.cores()
        self._pool = ThreadPoolExecutor(self._threads, "kmer")
        self._build = threading.Lock()
        self._full: Network | None = None
        self._fast: Network | None = None
        self._seen = 0

    def run(self, codes: np.ndarray) -> np.ndarray:
        out = np.empty((len(codes), len(self.spec.targets)), np.float32)
        for network, rows in self._shared_out(codes, 1):
            self._in_blocks(network, codes, rows, BLOCK, out)
        return out

    def mutants(self, codes: np.ndarray) -> np.ndarray:
        out = np.empty((*codes.shape, len(ALPHABET), len(self.spec.targets)), np.float32)
        for network, rows in self._shared_out(codes, MUTANTS):
            self._in_blocks(network.mutants, codes, rows, 1, out)
        return out

    def _shared_out(self, codes: np.ndarray, worth: int) -> list[tuple[Network, np.ndarray]]:
        """Networks, and the rows of `codes` for each. worth: sequences whose prediction takes as long as one row."""
        known = codes.max(axis=1) < UNKNOWN_BASE
        self._seen += worth * int(known.sum())
        if self._seen < WARM_UP:
            return [(self._in_full(), np.arange(len(codes)))]
        shared = [(self._by_tables, np.flatnonzero(known)), (self._in_full, np.flatnonzero(~known))]
        return [(network(), rows) for network, rows in shared if len(rows)]

    def _in_blocks(
        self,
        compute: Callable[[np.ndarray], np.ndarray],
        codes: np.ndarray,
        rows: np.ndarray,
        size: int,
        out: np.ndarray,
    ) -> None:
        """Fill `rows` of `out`, a block of `size` at a time on every thread."""

        def block(first: int) -> None:
            part = rows[first : first + size]
            out[part] = compute(codes[part])

        firsts = range(0, len(rows), size)
        if len(firsts) == 1:
            block(0)
        else:
            list(self._pool.map(block, firsts))

    def _in_full(self) -> Network:
        with self._build:
            if self._full is None:
                self._full = self._network(None)
            return self._full

    def _by_tables(self) -> Network:
        with self._build:
            if self._fast is None:
                self._fast = self._network(tables.Tables(self._layers, self._plan))
            return self._fast

    def _network(self, built: tables.Tables | None) -> Network:
        if self._instruction_set:
            return kernel.Kernel(self._layers, built, self._instruction_set)
        return Portable(self._layers, built)
