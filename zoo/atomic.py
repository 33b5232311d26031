"""Outputs are whole or absent: written beside the target, flushed to disk, renamed at the end."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import ZooError


def check_target(path: Path, overwrite: bool = False) -> None:
    """Raise ZooError if `path` exists (unless `overwrite`), is a folder, or lies in a folder that does not exist."""
    if path.is_dir():
        raise ZooError(f"{path}: expected a file name to write to, this is a folder")
    if path.exists() and not overwrite:
        raise ZooError(f"{path}: exists already; give another name or --overwrite")
    if not path.parent.is_dir():
        raise ZooError(f"{path}: the folder {path.parent} does not exist; make it first")


@contextlib.contextmanager
def replacing(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; it becomes `path` when the block ends well, else it is removed.

    Raises ZooError as check_target does, or if the folder cannot be written to or the disk is full.
    """
    check_target(path, overwrite)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=f".part{path.suffix}", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise ZooError(f"{path}: cannot be written ({error.strerror})") from None
    partial = Path(name)
    try:
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        os.chmod(partial, 0o666 & ~_umask())
        check_target(path, overwrite)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
