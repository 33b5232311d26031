"""The machine a process runs on: its name, CPU cores, GPU driver, memory, and installed libraries.

Nothing here imports an engine, and importing this module needs no library. The command line imports it at its start:
larger modules of Python are imported inside the functions.
"""

from __future__ import annotations

import math
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import BadSetting, counted

if TYPE_CHECKING:
    import numpy as np

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Identifies the running kernel. All containers on one kernel share it, and see each other's file locks."""

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""CPU time that a Linux container may use: microseconds of every period of microseconds."""

SPINS = 2000
"""Turns of the loop in which a waiting OpenMP thread holds its core before it sleeps. GNU's default is 300,000."""

INSTRUCTION_SETS = ("avx512", "avx2", "baseline")
"""Instruction sets that compiled modules are built for, the fastest first. Every processor has its baseline."""

LINE = 64
"""Bytes of a cache line, and of the widest register."""

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def machine_id() -> str:
    """Eight hex digits that differ between machines, and between two boots of one machine on Linux."""
    import hashlib

    try:
        name = BOOT_ID.read_text()
    except OSError:
        name = platform.node()
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def cores() -> int:
    """CPU cores that a scheduler or a container grants this process."""
    return max(1, min(_granted(), _quota()))


def _granted() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota() -> int:
    try:
        allowed, period = CPU_QUOTA.read_text().split()
        return sys.maxsize if allowed == "max" else math.ceil(int(allowed) / int(period))
    except (OSError, ValueError):  # no control group of version 2, so no quota
        return sys.maxsize


def sleep_soon() -> None:
    """Make PyTorch's threads sleep soon after they begin to wait, instead of holding their cores for milliseconds.

    Compiled parts of a training step need those cores meanwhile: a step on two cores gets 1.3 times faster. Call this
    before PyTorch is imported. Settings of the user are kept.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = str(SPINS)


def instruction_set() -> str | None:
    """Instruction set that ZOO_INSTRUCTION_SET demands of our compiled modules; None for the fastest that works here.

    Raises BadSetting for an unknown name. A module raises it for a set that this processor does not have.
    """
    name = os.environ.get("ZOO_INSTRUCTION_SET") or None
    if name is not None and name not in INSTRUCTION_SETS:
        raise BadSetting(f"ZOO_INSTRUCTION_SET: expected one of {', '.join(INSTRUCTION_SETS)}, got {name}")
    return name


def driver_missing() -> str | None:
    """Return why no engine can use an NVIDIA GPU here, or None if the driver is installed."""
    import ctypes

    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(library)
    except OSError:
        return f"there is no NVIDIA driver on this machine ({library} cannot be loaded)"
    return None


def version(distribution: str) -> str | None:
    """Version of an installed distribution, by its name in pip; None if it is not installed."""
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def memory_limit_note() -> str:
    """What to add to an error that lack of memory may have caused; empty if the memory of this process has no limit."""
    if sys.platform == "win32":
        return ""
    try:
        import resource
    except ImportError:  # the memory left is too small to load even this small module
        return "; this process may use too little memory (ulimit -v)"
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return ""
    return f"; this process may use {limit / 1e6:,.0f} MB of memory (ulimit -v), perhaps too little"


def out_of_memory(batch: int) -> str:
    """Message for a batch of sequences that did not fit into memory."""
    advice = "; a smaller --batch-size helps" if batch > 1 else ""
    return f"out of memory over {counted(batch, 'sequences')} at once{advice}"


def keep_memory() -> None:
    """Make the C library keep memory that this process frees, for loops that use large buffers again and again.

    Otherwise each round fetches new pages from the system, which takes longer than many computations, in a virtual
    machine ten times as long. Has no effect unless the C library is GNU's.
    """
    import ctypes

    allocator: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(allocator, "mallopt"):
        for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1)):
            allocator.mallopt(parameter, value)


def aligned(*shape: int) -> np.ndarray:
    """Uninitialised float32 array that begins at a multiple of LINE bytes."""
    import numpy as np

    size = int(np.prod(shape))
    floats = LINE // 4
    room = np.empty(size + floats, np.float32)
    first = -room.ctypes.data // room.itemsize % floats
    return room[first : first + size].reshape(shape)
