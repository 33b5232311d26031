"""Outputs are complete or absent: written to a folder beside the target, flushed to disk, and renamed at the end.

The name of the folder is `.NAME.zoo-MACHINE-RANDOM.part`. The process that made it holds a lock on it (flock), which
ends with the process, even if that is killed. The next process that writes there removes folders without a lock. The
lock is on a folder because some libraries write a file by replacing it. Network file systems share such locks only
within one machine, so folders of another MACHINE are removed when they have been untouched for a day.

Replacing a folder takes two renames; between them the old folder has the suffix `.before`. If the process dies there,
the old folder gets its name back. Files that belong together are renamed one after the other, the one that people look
for last. Python on Windows has no such locks: folders of killed processes stay.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from zoo.errors import ZooError
from zoo.system.machine import machine_id

Inputs = Iterable[str | Path | None]
"""Files and folders that no output may replace: paths, "-" for standard input, None for nothing."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a full disk, of a used-up quota, and of a file that may not grow."""

UNTOUCHED_SECONDS = 24 * 3600
"""Age at which an unlocked folder of another machine counts as left over."""

PARTIAL = re.compile(r"\.(?P<target>.+)\.zoo-(?P<machine>[0-9a-f]{8})-[0-9a-f]{16}\.(?P<kind>part|before)", re.DOTALL)

KINDS = {stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def check_target(path: Path, overwrite: bool = False, inputs: Inputs = ()) -> None:
    """Raise ZooError unless `path` can become a new file, or with `overwrite` replace a regular one.

    A link is followed: its target is checked and replaced, and the link stays. Folders, devices, pipes, broken links,
    and `inputs` under any name are never replaced. Removes files that dead processes left in the folder.
    """
    if path.is_dir():
        raise ZooError(f"{path}: expected a file name to write to, this is a folder")
    if path.is_symlink() and not path.exists():
        raise ZooError(f"{path}: is a broken link; remove it or give another name")
    if path.exists():
        if any(_same(path, one) for one in inputs):
            raise ZooError(f"{path}: is an input of this command, which is never replaced; give another name")
        if not path.is_file():
            raise ZooError(f"{path}: expected a file name to write to, this is {_kind(path)}")
        if not overwrite:
            raise ZooError(f"{path}: exists already; give another name or --overwrite")
    if not path.parent.is_dir():
        raise ZooError(f"{path}: the folder {path.parent} does not exist; make it first")
    clear_left_over(_followed(path).parent)


@contextlib.contextmanager
def replacing(path: Path, overwrite: bool = False, inputs: Inputs = ()) -> Iterator[Path]:
    """A temporary path beside `path`: renamed to `path` when the block ends without an error, else removed.

    Raises ZooError as check_target does, or if the folder cannot be written to or the disk is full.
    """
    with replacing_together({path: overwrite}, inputs) as (partial,):
        yield partial


@contextlib.contextmanager
def replacing_together(overwrite: Mapping[Path, bool], inputs: Inputs = ()) -> Iterator[tuple[Path, ...]]:
    """As `replacing`, for files that belong together: all appear, in this order, or none.

    overwrite: path -> whether a file of that name may be replaced.
    A process that is killed between two renames leaves the first file without the last: the first should identify the
    other, for example by a digest, and the last should be the one that people look for.
    """
    inputs = tuple(inputs)
    for path, replaced in overwrite.items():
        check_target(path, replaced, inputs)
    rooms = {path: _beside(_followed(path)) for path in overwrite}
    partials = {path: room / path.name for path, room in rooms.items()}
    with contextlib.ExitStack() as stack, _full_disk_named(list(overwrite)[-1]):
        for path, room in rooms.items():
            stack.enter_context(_made(room, path))
        yield tuple(partials.values())
        for partial in partials.values():
            with partial.open("r+b") as written:  # Windows cannot flush a file that is open for reading only
                os.fsync(written.fileno())
            partial.chmod(0o666 & ~_umask())
        for path, replaced in overwrite.items():
            check_target(path, replaced, inputs)
        _rename({partial: _followed(path) for path, partial in partials.items()})


def _rename(targets: Mapping[Path, Path]) -> None:
    """Give files their names; if that fails or is interrupted before the last, remove the others again."""
    last = list(targets)[-1]
    try:
        for partial, target in targets.items():
            partial.replace(target)
    except BaseException:
        if last.exists():
            for partial, target in targets.items():
                if not partial.exists():
                    target.unlink(missing_ok=True)
        raise


def check_folder_target(path: Path, overwrite: bool = False, ours: tuple[str, ...] = (), inputs: Inputs = ()) -> None:
    """Raise ZooError if the folder `path` exists, unless `overwrite` is set and it has only regular files of ours.

    ours: patterns such as "*.png", so that a mistyped path does not replace a folder of other files. A folder that is
    one of `inputs` or has one is never replaced. Removes folders that dead processes left beside it.
    """
    parent = path.absolute().parent
    if parent.is_dir():
        clear_left_over(parent)
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise ZooError(f"{path}: expected a folder to write to, this is a file or a link")
    if path.is_dir():
        inputs = tuple(inputs)
        held = sorted(path.iterdir())
        for one in (path, *held):
            if any(_same(one, read) for read in inputs):
                raise ZooError(f"{path}: holds an input of this command, {one.name}; give another name")
        if not overwrite:
            raise ZooError(f"{path}: exists already; give another name or --overwrite")
        for one in held:
            if not _is_ours(one, ours):
                raise ZooError(f"{path}: is not overwritten, it holds {one.name}; give another name")
    elif not parent.is_dir():
        raise ZooError(f"{path}: the folder {path.parent} does not exist; make it first")


def _is_ours(path: Path, patterns: Sequence[str]) -> bool:
    """Whether a file matches a pattern. A folder matches if all its files do, with a pattern such as "logos/*.png"."""
    if path.is_symlink():
        return False
    if path.is_dir():
        inside = [pattern for pattern in patterns if "/" in pattern]
        held = list(path.iterdir())
        return bool(held) and all(one.is_file() and _is_ours(one, inside) for one in held)
    return path.is_file() and any(path.match(pattern) for pattern in patterns)


@contextlib.contextmanager
def replacing_folder(
    path: Path, overwrite: bool = False, ours: tuple[str, ...] = (), inputs: Inputs = ()
) -> Iterator[Path]:
    """A temporary folder beside `path`: renamed to `path` when the block ends without an error, else removed.

    Raises ZooError as check_folder_target does, or if the folder cannot be written to or the disk is full.
    """
    inputs = tuple(inputs)
    check_folder_target(path, overwrite, ours, inputs)
    target = path.absolute()
    partial = _beside(target)
    before = partial.with_suffix(".before")
    try:
        with _full_disk_named(path), _made(partial, path):
            yield partial
            partial.chmod(0o777 & ~_umask())
            check_folder_target(path, overwrite, ours, inputs)
            with _locked(target) if target.is_dir() else contextlib.nullcontext():
                if target.is_dir():
                    target.replace(before)
                partial.replace(target)
    finally:
        if before.is_dir() and not target.exists():
            before.replace(target)
        shutil.rmtree(before, ignore_errors=True)


@contextlib.contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A folder in `parent` that is removed at the end, or, after a kill, by the next process that writes there."""
    clear_left_over(parent)
    room = _beside(parent / "room")
    with _made(room, parent):
        yield room


def clear_left_over(folder: Path) -> None:
    """Remove what dead processes left in `folder`; a `.before` folder whose target is missing gets its name back."""
    with contextlib.suppress(OSError):  # a folder that cannot be listed
        for name in os.listdir(folder):  # noqa: PTH208 - as text: a folder may hold very many files
            if name.startswith(".") and (found := PARTIAL.fullmatch(name)):
                # skip those that are locked, already removed, or another user's
                with contextlib.suppress(OSError):
                    _clear(folder / name, found)


def _clear(path: Path, found: re.Match[str]) -> None:
    """Remove or restore a left-over folder. Raises OSError, such as BlockingIOError, if its process is alive."""
    if sys.platform == "win32":  # without locks on folders, dead and living processes look the same
        return
    import fcntl

    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if found["machine"] != machine_id() and time.time() - os.fstat(handle).st_mtime < UNTOUCHED_SECONDS:
            return
        target = path.with_name(found["target"])
        if found["kind"] == "before" and not target.exists():
            path.rename(target)
        else:
            shutil.rmtree(path)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _made(room: Path, path: Path) -> Iterator[None]:
    """Make the folder `room`, for `path`, and hold its lock; remove it at the end, even after an interrupt."""
    try:
        while True:
            try:
                room.mkdir(0o700)
            except OSError as error:
                raise ZooError(f"{path}: cannot be written ({error.strerror})") from None
            with _locked(room) as exists:
                if exists:
                    yield
                    return
    finally:
        shutil.rmtree(room, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold the lock on a folder. False: another process took it for left over and removed it before it was locked."""
    if sys.platform == "win32":
        yield True
        return
    import fcntl

    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        yield False
        return
    try:
        # on a file system without locks nobody can lock the folder, so nobody will remove it
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield path.exists() and os.path.samestat(os.fstat(handle), path.stat())
    finally:
        os.close(handle)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.zoo-{machine_id()}-{secrets.token_hex(8)}.part")


def _followed(path: Path) -> Path:
    """The target of a link; the path itself if it is not a link."""
    return path.resolve() if path.is_symlink() else path


def _same(path: Path, read: str | Path | None) -> bool:
    """Whether the input `read` is the file or folder `path`, under any name."""
    if read is None:
        return False
    try:
        return os.path.samestat(path.stat(), os.fstat(0) if str(read) == "-" else os.stat(read))  # noqa: PTH116
    except OSError:  # one of them does not exist
        return False


def _kind(path: Path) -> str:
    return KINDS.get(stat.S_IFMT(path.stat().st_mode), "not a regular file")


@contextlib.contextmanager
def _full_disk_named(path: Path) -> Iterator[None]:
    """Turn the error of any library on a full disk into a ZooError that names `path`."""
    try:
        yield
    except Exception as error:
        for number in FULL:
            # libraries that write without Python raise their own errors, with the text of the system in them
            if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
                raise ZooError(f"{path}: cannot be written ({os.strerror(number)})") from None
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
