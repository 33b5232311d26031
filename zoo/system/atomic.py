"""Outputs are whole or absent: written beside the target, flushed to disk, renamed at the end."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
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
    # named before it is made, and made within the block that removes it: an interrupt may come at any point
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part{path.suffix}")
    try:
        _make(path, lambda: partial.touch(0o600, exist_ok=False))
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.chmod(0o666 & ~_umask())
        check_target(path, overwrite)
        partial.replace(path)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ZooError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        partial.unlink(missing_ok=True)


def check_folder_target(path: Path, overwrite: bool = False, ours: tuple[str, ...] = ()) -> None:
    """Raise ZooError if the folder `path` exists, unless `overwrite` and all that it holds matches a pattern in `ours`.

    The patterns, such as "*.png", keep a slip of the hand from replacing a folder of something else.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise ZooError(f"{path}: expected a folder to write to, this is a file or a link")
    if path.exists() and not overwrite:
        raise ZooError(f"{path}: exists already; give another name or --overwrite")
    if path.is_dir():
        for held in sorted(path.iterdir()):
            if held.is_dir() or not any(held.match(pattern) for pattern in ours):
                raise ZooError(f"{path}: is not overwritten, it holds {held.name}; give another name")
    elif not path.absolute().parent.is_dir():
        raise ZooError(f"{path}: the folder {path.parent} does not exist; make it first")


@contextlib.contextmanager
def replacing_folder(path: Path, overwrite: bool = False, ours: tuple[str, ...] = ()) -> Iterator[Path]:
    """Give a temporary folder beside `path` to fill; it becomes `path` when the block ends well, else it is removed.

    Raises ZooError as check_folder_target does, or if the folder cannot be written to.
    """
    check_folder_target(path, overwrite, ours)
    target = path.absolute()
    partial = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    before = partial.with_suffix(".before")
    try:
        _make(path, lambda: partial.mkdir(0o700))
        yield partial
        partial.chmod(0o777 & ~_umask())
        check_folder_target(path, overwrite, ours)
        if target.is_dir():
            target.replace(before)
        partial.replace(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if before.is_dir() and not target.exists():
            before.replace(target)
        shutil.rmtree(before, ignore_errors=True)


def _make(path: Path, make: Callable[[], None]) -> None:
    try:
        make()
    except OSError as error:
        raise ZooError(f"{path}: cannot be written ({error.strerror})") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
