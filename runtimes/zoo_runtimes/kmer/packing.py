"""Arrays as compiled code takes them: by address, aligned, matrices in panels. _product.h explains the layout."""

from __future__ import annotations

import numpy as np

from zoo.system.machine import aligned

PANEL = 32
"""Columns of a weight matrix that lie together, as PANEL in _program.h."""


class Arrays:
    """Keeps every array alive whose address it gives."""

    def __init__(self) -> None:
        self._kept: list[np.ndarray] = []

    def address(self, array: np.ndarray) -> int:
        """Where the numbers of a C-contiguous array lie."""
        self._kept.append(array)
        return array.ctypes.data

    def packed(self, weight: np.ndarray) -> int:
        """A copy of a matrix, (in, out) -> (panels, in, PANEL), zeros behind the last column."""
        panels = -(-weight.shape[1] // PANEL)
        copy = aligned(panels, len(weight), PANEL)
        copy[:] = 0
        for panel in range(panels):
            columns = weight[:, panel * PANEL : (panel + 1) * PANEL]
            copy[panel, :, : columns.shape[1]] = columns
        return self.address(copy)

    def padded(self, bias: np.ndarray) -> int:
        """A copy of a vector, zeros behind it up to a whole panel."""
        copy = aligned(-(-len(bias) // PANEL) * PANEL)
        copy[:] = 0
        copy[: len(bias)] = bias
        return self.address(copy)
