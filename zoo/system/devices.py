"""What this machine offers to every runtime: CPU cores and an NVIDIA driver. Asked without importing an engine."""

from __future__ import annotations

import ctypes
import math
import os
import sys
from pathlib import Path

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Where a Linux container reads how much CPU time it may use: microseconds of every period of microseconds."""

SPINS = 2000
"""Turns of the loop in which a waiting OpenMP thread holds its core, then it sleeps. GNU's default is 300,000."""


def cores() -> int:
    """CPU cores that this process may use: those that a scheduler or a container grants it, not the machine's."""
    return max(1, min(_granted(), _quota()))


def _granted() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota() -> int:
    try:
        allowed, period = CPU_QUOTA.read_text().split()
        return sys.maxsize if allowed == "max" else math.ceil(int(allowed) / int(period))
    except (OSError, ValueError):  # no control group of version 2: nothing is rationed this way
        return sys.maxsize


def sleep_soon() -> None:
    """Have PyTorch's threads sleep soon when they wait for work, instead of holding their cores for milliseconds.

    Compiled parts of a training step need those cores meanwhile: with two threads on two cores the step gets 1.3 times
    faster. To be called before PyTorch is imported. What the user has set stands.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = str(SPINS)


def driver_missing() -> str | None:
    """Why no NVIDIA GPU can be used by any engine here; None if the driver is there."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(library)
    except OSError:
        return f"there is no NVIDIA driver on this machine ({library} cannot be loaded)"
    return None
