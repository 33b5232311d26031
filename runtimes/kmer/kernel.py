"""The compiled kernel, where it was built: tables and the layers after them from base codes to activities.

Owns the program (_program.h) that the C files run and every array whose address is in it. Without a compiler at
installation the module _kernel is not there, `instruction_sets` is empty and nobody makes a Kernel.
"""

from __future__ import annotations

import threading

import numpy as np

from runtimes.kmer.packing import Arrays
from runtimes.kmer.tables import Tables
from zoo.layers.plain import PlainLayers
from zoo.system.memory import aligned

try:
    from runtimes.kmer import _kernel
except ImportError:
    BUILT = False
else:
    BUILT = True


def instruction_sets() -> list[str]:
    """Names of the compiled versions that this processor can run, the fastest first; empty where none was built."""
    return _kernel.instruction_sets() if BUILT else []


class Kernel:
    """The whole network in compiled code; threads may call it at the same time.

    tables: look the first layers up; None computes them from one-hot bases, N included.
    """

    def __init__(self, layers: PlainLayers, tables: Tables | None, instruction_set: str) -> None:
        self._instruction_set = instruction_set
        self._targets = layers.shape.targets
        self._arrays = Arrays()
        left = layers.convolutions[tables.plan.convolutions if tables else 0 :]
        steps = [layers.shape.sequence_length, len(left), len(layers.dense), *self._lookup(tables)]
        for layer in left:
            taps, channels, filters = layer.weight.shape
            steps += [layer.positions, channels, taps, layer.left, filters]
            steps += self._weights(layer.weight.reshape(taps * channels, filters), layer.bias)
        for matrix in layers.dense:
            steps += [*matrix.weight.shape, matrix.relu, *self._weights(matrix.weight, matrix.bias)]
        self._program = np.array(steps, np.int64)
        self._padding = (tables.plan.rows, tables.plan.left, len(tables.starts), tables.plan.taps) if tables else None
        self._rooms = threading.local()

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L), C-contiguous, without N if there are tables -> activities, float32 (N, T)."""
        out = np.empty((len(codes), self._targets), np.float32)
        _kernel.forward(self._instruction_set, self._program, codes, self._room(), out)
        return out

    def _room(self) -> np.ndarray:
        """This thread's working memory. Padding is written here once: the kernel never touches it."""
        if not hasattr(self._rooms, "room"):
            room = aligned(_kernel.room(self._program))
            room[:] = 0
            if self._padding:
                zeros, left, windows, taps = self._padding
                rows = room.view(np.int32)[: windows + taps - 1]
                rows[:left] = rows[left + windows :] = zeros
            self._rooms.room = room
        return self._rooms.room

    def _lookup(self, tables: Tables | None) -> list[int]:
        if tables is None:
            return [0] * 11
        plan = tables.plan
        addresses = [
            self._arrays.address(array) for array in (tables.table, tables.starts, tables.lengths, tables.offsets)
        ]
        shape = [len(tables.starts), plan.taps, plan.left, plan.pool, plan.positions, plan.channels, plan.width]
        return addresses + shape

    def _weights(self, weight: np.ndarray, bias: np.ndarray) -> list[int]:
        return [self._arrays.packed(weight), self._arrays.padded(bias)]
