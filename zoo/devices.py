"""What this machine offers to every runtime: CPU cores and an NVIDIA driver. Asked without importing an engine."""

from __future__ import annotations

import ctypes
import os
import sys


def cores() -> int:
    """CPU cores that this process may use: the affinity that a scheduler such as Slurm grants, not the machine's."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def driver_missing() -> str | None:
    """Why no NVIDIA GPU can be used by any engine here; None if the driver is there."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(library)
    except OSError:
        return f"there is no NVIDIA driver on this machine ({library} cannot be loaded)"
    return None
