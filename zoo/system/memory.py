"""Memory for arithmetic: arrays on cache lines, pages that stay with the process, what to say without."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numpy as np

LINE = 64
"""Bytes of a cache line, and of the widest register."""

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def aligned(*shape: int) -> np.ndarray:
    """Uninitialised float32 array that begins at a multiple of LINE bytes."""
    size = int(np.prod(shape))
    floats = LINE // 4
    room = np.empty(size + floats, np.float32)
    first = -room.ctypes.data // room.itemsize % floats
    return room[first : first + size].reshape(shape)


def exhausted(batch: int) -> str:
    """That memory ran out over `batch` sequences at once, and what helps, if anything does."""
    advice = "; a smaller --batch-size helps" if batch > 1 else ""
    return f"out of memory over {batch:,} sequences at once{advice}"


def keep() -> None:
    """Have the C library keep what this process frees, for loops that need the same large buffers again and again.

    Each round would fetch new pages from the system otherwise, which takes longer than many a computation in them, in
    a virtual machine ten times as long. Without effect where the library is not GNU's.
    """
    allocator: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(allocator, "mallopt"):
        for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1)):
            allocator.mallopt(parameter, value)
