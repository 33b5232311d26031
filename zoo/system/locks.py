"""Locks on files (filelock) that end with the process that holds them, however it ends; the files stay.

Network file systems share such locks only within one machine, or among all if they support it. On file systems without
locks, nothing is locked and no process waits.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Wait for the lock on the file `path`, which is created if missing, and hold it."""
    with contextlib.ExitStack() as stack:
        # without a fallback to marker files, which stay when a process is killed
        with contextlib.suppress(OSError, NotImplementedError):
            stack.enter_context(FileLock(path, fallback_to_soft=False))
        yield


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock on `path`. False if the file does not exist."""
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0, fallback_to_soft=False):
            return False
    except Timeout:
        return True
