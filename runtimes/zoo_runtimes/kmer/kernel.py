"""The compiled kernel, where it was built: tables and the layers after them from base codes to activities.

Owns the program (_program.h) that the C files run and every array whose address is in it. Without a compiler at
installation the module _kernel is not there, `instruction_sets` is empty and nobody makes a Kernel.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np

from zoo.layers.plain import Convolution, PlainLayers
from zoo.spec import ALPHABET
from zoo.system.machine import aligned
from zoo_runtimes.kmer.packing import Arrays
from zoo_runtimes.kmer.tables import Tables

try:
    from zoo_runtimes.kmer import _kernel
except ImportError:
    BUILT = False
else:
    BUILT = True


def instruction_sets() -> list[str]:
    """Names of the compiled versions that this processor can run, the fastest first; empty where none was built."""
    return _kernel.instruction_sets() if BUILT else []


class Compiled:
    """A program and the memory to run it in; threads may use it at the same time.

    convolutions: those that the program holds, beside tables, if there are any, and matrices.
    """

    def __init__(
        self,
        layers: PlainLayers,
        tables: Tables | None,
        convolutions: Sequence[Convolution],
        instruction_set: str,
    ) -> None:
        self.instruction_set = instruction_set
        self._targets = layers.shape.targets
        self._arrays = Arrays()
        steps = [layers.shape.sequence_length, len(convolutions), len(layers.dense), *self._lookup(tables)]
        self._convolutions = []
        for layer in convolutions:
            taps, channels, filters = layer.weight.shape
            self._convolutions.append(self._weights(layer.weight.reshape(taps * channels, filters), layer.bias))
            steps += [layer.positions, channels, taps, layer.left, filters, *self._convolutions[-1]]
        for matrix in layers.dense:
            steps += [*matrix.weight.shape, matrix.relu, *self._weights(matrix.weight, matrix.bias)]
        self.program = np.array(steps, np.int64)
        self._padding = (tables.plan.rows, tables.plan.left, len(tables.starts), tables.plan.taps) if tables else None
        self._rooms = threading.local()

    def convolution(self, number: int) -> list[int]:
        """Addresses of weight and bias of a convolution that is not looked up, counted from 1."""
        return self._convolutions[number - 1]

    def _room(self, floats: Callable[[np.ndarray], int]) -> np.ndarray:
        """This thread's working memory, of the size that a function of the kernel tells. Padding is written here once:
        the kernel never touches it."""
        rooms = self._rooms.__dict__
        if floats.__name__ not in rooms:
            room = aligned(floats(self.program))
            room[:] = 0
            if self._padding:
                zeros, left, windows, taps = self._padding
                rows = room.view(np.int32)[: windows + taps - 1]
                rows[:left] = rows[left + windows :] = zeros
            rooms[floats.__name__] = room
        return rooms[floats.__name__]

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


class Kernel(Compiled):
    """The whole network, forwards.

    tables: look the first layers up; None computes them from one-hot bases, N included.
    """

    def __init__(self, layers: PlainLayers, tables: Tables | None, instruction_set: str) -> None:
        left = layers.convolutions[tables.plan.convolutions if tables else 0 :]
        super().__init__(layers, tables, left, instruction_set)

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L), C-contiguous, without N if there are tables -> activities, float32 (N, T)."""
        out = np.empty((len(codes), self._targets), np.float32)
        _kernel.forward(self.instruction_set, self.program, codes, self._room(_kernel.room), out)
        return out

    def mutants(self, codes: np.ndarray) -> np.ndarray:
        """What each base in each place adds to the activities, float32 (N, L, 4, T); codes as in a call."""
        out = np.empty((*codes.shape, len(ALPHABET), self._targets), np.float32)
        _kernel.mutants(self.instruction_set, self.program, codes, self._room(_kernel.room_of_mutants), out)
        return out


class Backwards(Compiled):
    """The whole network, back from an activity to the bases: contributions and gradient.

    tables: look the second convolution up; None, or tables of other layers, computes it, N included.
    """

    def __init__(self, layers: PlainLayers, tables: Tables | None, instruction_set: str) -> None:
        second = tables is not None and tables.plan.depth == 1 and tables.plan.projected
        super().__init__(layers, tables if second else None, layers.convolutions, instruction_set)
        positions = layers.shape.positions[-1]
        kernels = [layer.weight for layer in layers.convolutions[1:]]
        for matrix in layers.dense:
            # as a convolution with a tap for each position; behind the first matrix there is but one
            kernels.append(matrix.weight.reshape(positions, -1, matrix.weight.shape[1]))
            positions = 1
        self._back = np.array([0, *map(self._reversed, kernels)], np.int64)

    def contributions(self, codes: np.ndarray, references: np.ndarray, target: int) -> np.ndarray:
        """As contracts.ShorterWays says; arrays are C-contiguous, without N if there are tables."""
        out = np.empty((*codes.shape, len(ALPHABET)), np.float32)
        room = self._room(_kernel.room_of_contributions)
        _kernel.contributions(self.instruction_set, self.program, self._back, codes, references, target, room, out)
        return out

    def gradient(self, codes: np.ndarray, target: int) -> np.ndarray:
        """As contracts.ShorterWays says; `codes` is C-contiguous, without N if there are tables."""
        return self.contributions(codes, np.empty((len(codes), 0, codes.shape[1]), np.uint8), target)

    def _reversed(self, weight: np.ndarray) -> int:
        """Address of a kernel for the way back, (taps, in, out) -> (taps in reverse order, out, in)."""
        turned = weight[::-1].transpose(0, 2, 1)
        return self._arrays.packed(turned.reshape(-1, turned.shape[2]))
