"""Overlapping windows in compiled code: the plan that _windows.c runs (_windows.h), and its memory.

Only where the kernel was built; shared_numpy.py is the same in NumPy.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np

from zoo.system.machine import aligned
from zoo_runtimes.kmer import kernel
from zoo_runtimes.kmer.kernel import Kernel
from zoo_runtimes.kmer.packing import Arrays
from zoo_runtimes.kmer.sharing import Layer, Sharing

ROWS = 12
"""Rows of the largest tile of a product, as ROWS in _each_set.h."""


class Windows:
    """Windows of one stride along a contig; threads may call it at the same time."""

    def __init__(self, network: Kernel, sharing: Sharing) -> None:
        self._network = network
        self._sharing = sharing
        self._arrays = Arrays()
        self._plan = np.array(self._steps(), np.int64)
        self._rooms = threading.local()

    def __call__(self, codes: np.ndarray, windows: int) -> np.ndarray:
        """Base codes without N from the start of the first window on, uint8 (B,) -> float32 (windows, T)."""
        sharing = self._sharing
        whole = sharing.padded(codes, windows)
        out = np.empty((windows, sharing.dense[-1].bias.size), np.float32)
        name, program = self._network.instruction_set, self._network.program
        kernel._kernel.windows(name, program, self._plan, whole, sharing.before, self._room(), out)
        return out

    def _room(self) -> np.ndarray:
        """This thread's working memory; finite from the start: what lies behind the last channel is computed with."""
        if not hasattr(self._rooms, "room"):
            self._rooms.room = aligned(kernel._kernel.room_of_windows(self._network.program, self._plan))
            self._rooms.room[:] = 0
        return self._rooms.room

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
            steps.append(len(bundle.products))
            steps.append(len(bundle.outputs))
            for windows in (*bundle.outputs, {})[:2]:
                offsets = [window * max(sharing.run, 1) for window in windows]
                steps += self._combination(offsets, windows.values())
        top = sharing.layers[-1]
        apart = top.scale // sharing.grid(top.scale)
        for product in (product for bundle in products.bundles for product in bundle.products):
            steps += self._combination([(top.low + tap) * apart for tap in product.inputs], product.inputs.values())
            steps.append(self._arrays.packed(product.weight))
            steps.append(self._arrays.address(np.array(product.sums, np.float32)))
        return steps

    def _combination(self, offsets: list[int], factors: Iterable[float]) -> list[int]:
        """Number, offsets and factors."""
        numbers = np.array(offsets, np.int32), np.array([*factors], np.float32)
        return [len(offsets), *(self._arrays.address(array) for array in numbers)]

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
        steps += [layer.scale, grid, front, keep, first, rows + ROWS]
        planes = (1 if sharing.plan.projected else 0) if number == 0 else layer.taps
        sum_keep = _kept(layer, sharing, front) if number else front
        sum_rows = max((step - 1) * stride + sum_front, step * stride + sum_front - sum_keep) // sum_grid
        return [*steps, layer.sum_scale, sum_grid, sum_front, sum_keep, planes, sum_rows + ROWS]


def _kept(layer: Layer, sharing: Sharing, front: int) -> int:
    """The first base from the start of the last window at which the next step needs sums."""
    bases = [front]
    if layer.low:
        bases.append((1 + sharing.lead) * sharing.stride)
    if layer.high < layer.positions:
        bases.append(sharing.stride + layer.scale * layer.high)
    return min(bases)
