"""A text file or standard input as plain bytes, decompressed if its first bytes say so; every failure is one line.

gzip, bgzip, zstd, bzip2 and xz, through xopen; in the calling thread, no helper programs. A byte order mark, which
programs of Windows put before a text, is left out.
"""

from __future__ import annotations

import codecs
import contextlib
import lzma
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from zoo.errors import ZooError

STANDARD_INPUT = "-"

FORMATS = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz"}
"""First bytes of a file -> what xopen calls its format."""

MARKED = "begins with a byte order mark, which is no part of it; sed -i '1s/^\\xEF\\xBB\\xBF//' removes it"
"""What to say of a file that a library reads which takes none."""

BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
"""The empty gzip member that ends every bgzip file (SAM specification, section 4.1.2)."""


def title(path: str) -> str:
    """What error messages call `path`."""
    return "standard input" if path == STANDARD_INPUT else path


class Source:
    """An open file: plain bytes through `read`."""

    def __init__(self, path: str, file: BinaryIO, text: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._text = text
        self._size = _size(file)
        self._beginning: bytes | None = None  # of the text, as far as nobody has read it; None before any is

    def read(self, size: int) -> bytes:
        """At most `size` bytes, fewer at the end, none after it.

        Raises ZooError if they are cut off or damaged, and at the end of a file that has changed its size since it was
        opened: then it was being written, or was emptied, while it was read.
        """
        try:
            if self._beginning is None:
                self._beginning = self._text.read(len(codecs.BOM_UTF8)).removeprefix(codecs.BOM_UTF8)
            found, self._beginning = self._beginning[:size], self._beginning[size:]
            found += self._text.read(size - len(found))
        except EOFError:
            raise ZooError(f"{title(self._path)}: the compressed file is cut off; copy or make it again") from None
        except _errors() as error:
            reason = " ".join(str(error).split())
            raise ZooError(f"{title(self._path)}: cannot be read, damaged on the way? ({reason})") from None
        if not found and size and self._size != _size(self._file):
            raise ZooError(
                f"{title(self._path)}: had {self._size:,} bytes when it was opened and {_size(self._file):,} at the "
                "end; read it when it is written"
            )
        return found

    def consumed(self) -> int:
        """Bytes read so far of the file as it lies there; 0 where that cannot be told, as for a pipe."""
        return self._file.tell() if self._file.seekable() else 0


@contextlib.contextmanager
def opened(path: str) -> Iterator[Source]:
    """Open a file, or standard input for "-". Raises ZooError if it is not there or cannot be read."""
    where = title(path)
    with contextlib.ExitStack() as stack:
        try:
            # not sys.stdin: a thread that still waits for input must not hold its lock when the program ends
            target: int | str = 0 if path == STANDARD_INPUT else path
            file = stack.enter_context(open(target, "rb", closefd=path != STANDARD_INPUT))
            beginning = file.peek(18)
        except IsADirectoryError:
            raise ZooError(f"{where}: expected a file, this is a folder") from None
        except FileNotFoundError:
            raise ZooError(f"{where}: no such file") from None
        except OSError as error:
            raise ZooError(f"{where}: cannot be read ({error.strerror})") from None
        for magic, format_ in FORMATS.items():
            if beginning.startswith(magic):
                from xopen import xopen

                _check_bgzip_end(file, beginning, where)
                yield Source(path, file, stack.enter_context(xopen(file, "rb", threads=0, format=format_)))
                return
        yield Source(path, file, file)


def _size(file: BinaryIO) -> int | None:
    """Bytes of a regular file; None for a pipe or a device, which have no size."""
    status = os.fstat(file.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _check_bgzip_end(file: BinaryIO, beginning: bytes, where: str) -> None:
    # a bgzip file is many whole gzip members: cut off between two, it looks complete to a gzip reader
    if beginning[3:4] != BGZIP_END[3:4] or beginning[12:14] != BGZIP_END[12:14] or not file.seekable():
        return
    file.seek(max(0, file.seek(0, 2) - len(BGZIP_END)))
    if file.read() != BGZIP_END:
        raise ZooError(f"{where}: the bgzip file is cut off, its end marker is missing; copy or make it again")
    file.seek(0)


def _errors() -> tuple[type[Exception], ...]:
    """What the decompressors raise that xopen may have chosen from on this machine."""
    found: list[type[Exception]] = [OSError, zlib.error, lzma.LZMAError]
    for module, name in (
        ("compression.zstd", "ZstdError"),
        ("backports.zstd", "ZstdError"),
        ("zstandard", "ZstdError"),
        ("isal.isal_zlib", "error"),
        ("zlib_ng.zlib_ng", "error"),
    ):
        if module in sys.modules:
            found.append(getattr(sys.modules[module], name))
    return tuple(found)
