"""Outputs are whole or absent: written beside the target in a folder of their own, flushed to disk, renamed at the end.

That folder is called `.NAME.zoo-MACHINE-RANDOM.part` and stands where its target will. The process that made it holds a
lock on it (flock) as long as it lives, whatever ends it: so who next writes there tells what a dead process left from
what a living one is writing, and clears it. The lock is on a folder since some libraries write a file by replacing it.
MACHINE is where it was made: over a network locks on folders hold on one machine only, so what another machine left is
cleared when nothing has touched it for a day.

A folder that replaces another needs two renames: the old one is called `.before` for that moment. Where a process died
within it, the old folder comes back. Files that belong together are renamed one right after the other, the one whose
presence says that all are there last. Python on Windows has no such locks: what a killed process left stays there.
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
"""Files and folders that are read, which no output may replace: paths, "-" for standard input, None for nothing."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says when no more can be written: the disk, the user's share of it or the largest file is full."""

UNTOUCHED_SECONDS = 24 * 3600
"""After which what another machine left is taken for dead, if no lock is seen on it."""

PARTIAL = re.compile(r"\.(?P<target>.+)\.zoo-(?P<machine>[0-9a-f]{8})-[0-9a-f]{16}\.(?P<kind>part|before)", re.DOTALL)

KINDS = {stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def check_target(path: Path, overwrite: bool = False, inputs: Inputs = ()) -> None:
    """Raise ZooError unless `path` can become a new file, or with `overwrite` replace a regular one.

    A link is followed: what it leads to is checked, and replaced; the link stays. Never replaced are folders, devices,
    pipes, links to nothing, and whatever is one of `inputs` under any name.
    Clears what dead processes left in the folder, see the head of this file.
    """
    if path.is_dir():
        raise ZooError(f"{path}: expected a file name to write to, this is a folder")
    if path.is_symlink() and not path.exists():
        raise ZooError(f"{path}: is a link to nothing; remove it or give another name")
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
    """Give a temporary path beside `path` to write to; it becomes `path` when the block ends well, else it is removed.

    Raises ZooError as check_target does, or if the folder cannot be written to or the disk is full.
    """
    with replacing_together({path: overwrite}, inputs) as (partial,):
        yield partial


@contextlib.contextmanager
def replacing_together(overwrite: Mapping[Path, bool], inputs: Inputs = ()) -> Iterator[tuple[Path, ...]]:
    """As `replacing`, for files that belong together: all appear, in this order, or none. overwrite: of each path.

    A process that is killed between two renames leaves the first without the last: the first should say what it belongs
    to, for instance by a digest, and the last should be the one that people look for.
    """
    inputs = tuple(inputs)
    for path, replaced in overwrite.items():
        check_target(path, replaced, inputs)
    # named before they are made, and made within the block that removes them: an interrupt may come at any point
    rooms = {path: _beside(_followed(path)) for path in overwrite}
    partials = {path: room / path.name for path, room in rooms.items()}
    try:
        with contextlib.ExitStack() as locks, _full_disk_is_told(list(overwrite)[-1]):
            for path, room in rooms.items():
                locks.enter_context(_made(room, path))
            yield tuple(partials.values())
            for partial in partials.values():
                with partial.open("r+b") as written:  # Windows flushes no file that is open for reading only
                    os.fsync(written.fileno())
                partial.chmod(0o666 & ~_umask())
            for path, replaced in overwrite.items():
                check_target(path, replaced, inputs)
            _rename({partial: _followed(path) for path, partial in partials.items()})
    finally:
        for room in rooms.values():
            shutil.rmtree(room, ignore_errors=True)


def _rename(targets: Mapping[Path, Path]) -> None:
    """Give files their names; if that fails or is interrupted before the last, take the others away again."""
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
    """Raise ZooError if the folder `path` exists, unless `overwrite` and it holds nothing but regular files of ours.

    The patterns in `ours`, such as "*.png", keep a slip of the hand from replacing a folder of something else; a folder
    that is one of `inputs` or holds one is never replaced. Clears what dead processes left beside it.
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
    """A folder is if it holds files and all of them are, by a pattern such as "logos/*.png"."""
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
    """Give a temporary folder beside `path` to fill; it becomes `path` when the block ends well, else it is removed.

    Raises ZooError as check_folder_target does, or if the folder cannot be written to or the disk is full.
    """
    inputs = tuple(inputs)
    check_folder_target(path, overwrite, ours, inputs)
    target = path.absolute()
    partial = _beside(target)
    before = partial.with_suffix(".before")
    try:
        with _full_disk_is_told(path), _made(partial, path):
            yield partial
            partial.chmod(0o777 & ~_umask())
            check_folder_target(path, overwrite, ours, inputs)
            with _held(target) if target.is_dir() else contextlib.nullcontext():
                if target.is_dir():
                    target.replace(before)
                partial.replace(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if before.is_dir() and not target.exists():
            before.replace(target)
        shutil.rmtree(before, ignore_errors=True)


@contextlib.contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A folder in `parent` that is removed at the end; one that a killed process left, by who next writes there."""
    clear_left_over(parent)
    room = _beside(parent / "room")
    try:
        with _made(room, parent):
            yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


def clear_left_over(folder: Path) -> None:
    """Remove what processes that are dead left in `folder`; a `.before` whose folder is missing gets its name back."""
    with contextlib.suppress(OSError):  # a folder that cannot be listed
        for name in os.listdir(folder):  # noqa: PTH208 - as text: a folder may hold very many files
            if name.startswith(".") and (found := PARTIAL.fullmatch(name)):
                # one that is locked, already gone or another user's is none of our business
                with contextlib.suppress(OSError):
                    _clear(folder / name, found)


def _clear(path: Path, found: re.Match[str]) -> None:
    """Raises OSError, BlockingIOError among them, if it lives."""
    if sys.platform == "win32":  # no locks on folders: nobody can tell the dead from the living
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
def _made(partial: Path, path: Path) -> Iterator[None]:
    """Make the folder `partial`, for `path`, and hold its lock."""
    while True:
        try:
            partial.mkdir(0o700)
        except OSError as error:
            raise ZooError(f"{path}: cannot be written ({error.strerror})") from None
        with _held(partial) as whole:
            if whole:
                yield
                return


@contextlib.contextmanager
def _held(path: Path) -> Iterator[bool]:
    """Hold the lock on a folder. False: before it was locked, somebody took it for left over and removed it."""
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
        # a file system without locks: nobody can lock it, and nobody will remove it
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield path.exists() and os.path.samestat(os.fstat(handle), path.stat())
    finally:
        os.close(handle)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.zoo-{machine_id()}-{secrets.token_hex(8)}.part")


def _followed(path: Path) -> Path:
    """What a link leads to; the path itself if it is none."""
    return path.resolve() if path.is_symlink() else path


def _same(path: Path, read: str | Path | None) -> bool:
    """Whether `read`, an input, is the file or folder `path`, under whatever name."""
    if read is None:
        return False
    try:
        return os.path.samestat(path.stat(), os.fstat(0) if str(read) == "-" else os.stat(read))  # noqa: PTH116
    except OSError:  # one of them is not there
        return False


def _kind(path: Path) -> str:
    return KINDS.get(stat.S_IFMT(path.stat().st_mode), "no regular file")


@contextlib.contextmanager
def _full_disk_is_told(path: Path) -> Iterator[None]:
    """Turn what any library raises when nothing more can be written into a ZooError that names `path`."""
    try:
        yield
    except Exception as error:
        for number in FULL:
            # libraries that write files without Python raise errors of their own, with the system's text in them
            if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
                raise ZooError(f"{path}: cannot be written ({os.strerror(number)})") from None
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
