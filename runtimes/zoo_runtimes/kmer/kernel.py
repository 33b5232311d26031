"""The compiled kernel: tables and the layers after them, from base codes to activities, also for overlapping windows.

Owns the programs (_program.h, _windows.h) that the C files run, and every array whose address is in them. Without a
compiler at installation there is no module _kernel, and `instruction_sets` is empty.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from zoo.errors import BadSetting
from zoo.layers.plain import Convolution, PlainLayers
from zoo.spec import ALPHABET
from zoo.system import machine
from zoo.system.machine import aligned
from zoo_runtimes.kmer.sharing import Layer, Sharing
from zoo_runtimes.kmer.tables import Tables

try:
    from zoo_runtimes.kmer import _kernel
except ImportError:
    BUILT = False
else:
    BUILT = True

PANEL = 32
"""Columns of a weight matrix that are stored together, as PANEL in _program.h. _product.h explains the layout."""

TILE_ROWS = 12
"""Rows of the largest tile of a product, as ROWS in _each_set.h."""


def compiled_sets() -> list[str]:
    """Names of the compiled versions that this processor can run, the fastest first; empty if none was built."""
    return _kernel.instruction_sets() if BUILT else []


def instruction_sets() -> list[str]:
    """Those of compiled_sets() that may be used: all, or the one that ZOO_INSTRUCTION_SET names.

    Raises BadSetting if this processor does not have that one, or no kernel was built.
    """
    sets, wanted = compiled_sets(), machine.instruction_set()
    if wanted is None:
        return sets
    if wanted not in sets:
        here = ", ".join(sets) or "nothing, since the kernel was not built"
        raise BadSetting(f"ZOO_INSTRUCTION_SET: expected what kmer-cpu has on this machine ({here}), got {wanted}")
    return [wanted]


class Arrays:
    """Arrays for compiled code, which takes their addresses; keeps them alive."""

    def __init__(self) -> None:
        self._kept: list[np.ndarray] = []

    def address(self, array: np.ndarray) -> int:
        """Address of the first number of a C-contiguous array."""
        self._kept.append(array)
        return array.ctypes.data

    def packed(self, weight: np.ndarray) -> int:
        """Address of a copy of a matrix: (in, out) -> (panels, in, PANEL), with zeros after the last column."""
        panels = -(-weight.shape[1] // PANEL)
        copy = aligned(panels, len(weight), PANEL)
        copy[:] = 0
        for panel in range(panels):
            columns = weight[:, panel * PANEL : (panel + 1) * PANEL]
            copy[panel, :, : columns.shape[1]] = columns
        return self.address(copy)

    def padded(self, bias: np.ndarray) -> int:
        """Address of a copy of a vector, with zeros up to a whole panel."""
        copy = aligned(-(-len(bias) // PANEL) * PANEL)
        copy[:] = 0
        copy[: len(bias)] = bias
        return self.address(copy)


class Compiled:
    """A program and the memory to run it in; several threads may use it at the same time.

    convolutions: those that the program computes. If there are tables, they replace the convolutions before those.
    """

    def __init__(
        self, layers: PlainLayers, tables: Tables | None, convolutions: Sequence[Convolution], instruction_set: str
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
        self._memory = threading.local()

    def convolution(self, number: int) -> list[int]:
        """Addresses of weight and bias of a convolution of the program, counted from 1."""
        return self._convolutions[number - 1]

    def _room(self, floats: Callable[[np.ndarray], int]) -> np.ndarray:
        """This thread's working memory; a function of the kernel gives its size. The padding of table rows is written
        here once, since the kernel never changes it."""
        rooms = self._memory.__dict__
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
        arrays = (tables.table, tables.starts, tables.lengths, tables.offsets)
        shape = [len(tables.starts), plan.taps, plan.left, plan.pool, plan.positions, plan.channels, plan.width]
        return [*map(self._arrays.address, arrays), *shape]

    def _weights(self, weight: np.ndarray, bias: np.ndarray) -> list[int]:
        return [self._arrays.packed(weight), self._arrays.padded(bias)]


class Kernel(Compiled):
    """The forward pass of the whole network.

    tables: replace the first layers; None computes these from one-hot bases, which also works for sequences with an N.
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
        """What each base at each position adds to the activities, float32 (N, L, 4, T); codes as in a call."""
        out = np.empty((*codes.shape, len(ALPHABET), self._targets), np.float32)
        _kernel.mutants(self.instruction_set, self.program, codes, self._room(_kernel.room_of_edits), out)
        return out

    def edits(self, codes: np.ndarray, edited: np.ndarray) -> np.ndarray:
        """Activities of edited sequences, uint8 (N, L), minus those of the sequences that they are made from, uint8 (N,
        L), float32 (N, T). Work is shared between neighbours with the same sequence; it does not change the bits."""
        out = np.empty((len(edited), self._targets), np.float32)
        _kernel.edits(self.instruction_set, self.program, codes, edited, self._room(_kernel.room_of_edits), out)
        return out


class Backward(Compiled):
    """The backward pass, from an activity to the bases: contributions and gradient.

    tables: replace the second convolution if they are tables of these two layers. Otherwise, and for None, it is
    computed, which also works for sequences with an N.
    """

    def __init__(self, layers: PlainLayers, tables: Tables | None, instruction_set: str) -> None:
        second = tables is not None and tables.plan.depth == 1 and tables.plan.projected
        super().__init__(layers, tables if second else None, layers.convolutions, instruction_set)
        positions = layers.shape.positions[-1]
        kernels = [layer.weight for layer in layers.convolutions[1:]]
        for matrix in layers.dense:
            # a matrix is a convolution with a tap for each position; after the first matrix there is one position
            kernels.append(matrix.weight.reshape(positions, -1, matrix.weight.shape[1]))
            positions = 1
        self._back = np.array([0, *map(self._reversed, kernels)], np.int64)

    def contributions(self, codes: np.ndarray, references: np.ndarray, target: int) -> np.ndarray:
        """See contracts.ShorterWays; arrays are C-contiguous, without N if there are tables."""
        out = np.empty((*codes.shape, len(ALPHABET)), np.float32)
        room = self._room(_kernel.room_of_contributions)
        _kernel.contributions(self.instruction_set, self.program, self._back, codes, references, target, room, out)
        return out

    def gradient(self, codes: np.ndarray, target: int) -> np.ndarray:
        """See contracts.ShorterWays; `codes` is C-contiguous, without N if there are tables."""
        return self.contributions(codes, np.empty((len(codes), 0, codes.shape[1]), np.uint8), target)

    def _reversed(self, weight: np.ndarray) -> int:
        """Address of a kernel for the backward pass: (taps, in, out) -> (taps in reverse order, out, in)."""
        turned = weight[::-1].transpose(0, 2, 1)
        return self._arrays.packed(turned.reshape(-1, turned.shape[2]))


class Windows:
    """Overlapping windows of one stride along a contig; several threads may use it at the same time."""

    def __init__(self, network: Kernel, sharing: Sharing) -> None:
        self._network = network
        self._sharing = sharing
        self._arrays = Arrays()
        self._plan = np.array(self._steps(), np.int64)
        self._memory = threading.local()

    def __call__(self, codes: np.ndarray, windows: int) -> np.ndarray:
        """Base codes without N from the start of the first window on, uint8 (B,) -> float32 (windows, T)."""
        sharing = self._sharing
        whole = sharing.padded(codes, windows)
        out = np.empty((windows, sharing.dense[-1].bias.size), np.float32)
        name, program = self._network.instruction_set, self._network.program
        _kernel.windows(name, program, self._plan, whole, sharing.before, self._room(), out)
        return out

    def _room(self) -> np.ndarray:
        """This thread's working memory. It starts as zeros, since the padding after the last channel takes part in the
        arithmetic."""
        if not hasattr(self._memory, "room"):
            self._memory.room = aligned(_kernel.room_of_windows(self._network.program, self._plan))
            self._memory.room[:] = 0
        return self._memory.room

    def _steps(self) -> list[int]:
        sharing = self._sharing
        products = sharing.products
        run, group = (sharing.run, sharing.group) if sharing.run else (sharing.block, sharing.block)
        steps = [sharing.stride, sharing.step, sharing.block, sharing.lead, sharing.kmer_length, sharing.kmer_left]
        most = max(len(bundle.products) for bundle in products.bundles)
        steps += [sharing.plan.rows, len(sharing.layers), len(products.bundles), most, run, group]
        for number in range(len(sharing.layers)):
            steps += self._level(number)
        for bundle in products.bundles:
            steps += [len(bundle.products), len(bundle.outputs)]
            for windows in (*bundle.outputs, {})[:2]:
                steps += self._combination([window * max(sharing.run, 1) for window in windows], windows.values())
        top = sharing.layers[-1]
        apart = top.scale // sharing.grid(top.scale)
        for product in (product for bundle in products.bundles for product in bundle.products):
            steps += self._combination([(top.low + tap) * apart for tap in product.inputs], product.inputs.values())
            steps.append(self._arrays.packed(product.weight))
            steps.append(self._arrays.address(np.array(product.sums, np.float32)))
        return steps

    def _combination(self, offsets: list[int], factors: Iterable[float]) -> list[int]:
        """Number of terms, address of their offsets, address of their factors."""
        arrays = np.array(offsets, np.int32), np.array([*factors], np.float32)
        return [len(offsets), *map(self._arrays.address, arrays)]

    def _level(self, number: int) -> list[int]:
        sharing = self._sharing
        layer, (sum_front, front) = sharing.layers[number], sharing.fronts[number]
        stride, step, block = sharing.stride, sharing.step, sharing.block
        grid, sum_grid = sharing.grid(layer.scale), sharing.grid(layer.sum_scale)
        is_top = number + 1 == len(sharing.layers)
        steps = [layer.low, layer.high, layer.positions, layer.channels, layer.taps, layer.left]
        steps += self._network.convolution(number) if number else [0, 0]
        if is_top:
            keep, first, rows = 0, 0, ((block - 1) * stride + front) // grid
        else:
            above, above_sums = sharing.layers[number + 1], sharing.fronts[number + 1][0]
            keep = above_sums - above.left * above.sum_scale
            first = -(above.left * above.sum_scale) // grid
            rows = max(-first + ((step - 1) * stride + front) // grid, (step * stride + front - keep) // grid)
        steps += [layer.scale, grid, front, keep, first, rows + TILE_ROWS]
        planes = (1 if sharing.plan.projected else 0) if number == 0 else layer.taps
        sum_keep = _kept(layer, sharing, front) if number else front
        sum_rows = max((step - 1) * stride + sum_front, step * stride + sum_front - sum_keep) // sum_grid
        return [*steps, layer.sum_scale, sum_grid, sum_front, sum_keep, planes, sum_rows + TILE_ROWS]


def _kept(layer: Layer, sharing: Sharing, front: int) -> int:
    """The first base, from the start of the last window, whose sums the next step needs."""
    bases = [front]
    if layer.low:
        bases.append((1 + sharing.lead) * sharing.stride)
    if layer.high < layer.positions:
        bases.append(sharing.stride + layer.scale * layer.high)
    return min(bases)
