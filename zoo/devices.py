"""What this machine offers to every runtime: CPU cores and an NVIDIA driver. Asked without importing an engine."""

from __future__ import annotations

import ctypes
import math
import os
import sys
from pathlib import Path

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Where a Linux container reads how much CPU time it may use: microseconds of every period of microseconds."""


def cores() -> int:
    """CPU cores that this process may use: those that a scheduler or a container grants it, not the machine's."""
    granted = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, min(granted, _quota()))


def _quota() -> int:
    try:
        allowed, period = CPU_QUOTA.read_text().split()
        return sys.maxsize if allowed == "max" else math.ceil(int(allowed) / int(period))
    except (OSError, ValueError):  # no control group of version 2: nothing is rationed this way
        return sys.maxsize


def driver_missing() -> str | None:
    """Why no NVIDIA GPU can be used by any engine here; None if the driver is there."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(library)
    except OSError:
        return f"there is no NVIDIA driver on this machine ({library} cannot be loaded)"
    return None
