"""Text files and standard input as plain bytes or as numbered lines.

gzip, bgzip, zstd, bzip2 and xz are recognised by their first bytes, and decompressed by xopen in the calling thread.
UTF-16, with or without a byte order mark, becomes UTF-8, a byte order mark is left out, and line ends of old Macs (CR)
become line feeds. Every failure is one line.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from zoo.errors import ZooError

STANDARD_INPUT = "-"

FORMATS = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz"}
"""First bytes of a file -> its format, as xopen names it."""

BYTE_ORDER_MARK = "starts with a byte order mark, which must go; sed -i '1s/^\\xEF\\xBB\\xBF//' removes it"
"""Message for files that are read by a library that accepts no byte order mark."""

BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
"""The empty gzip member that ends every bgzip file (SAM specification, section 4.1.2)."""

BLOCK_BYTES = 1 << 20
"""Bytes read at once."""

START_BYTES = 1 << 16
"""Bytes at the start of a text that decide on its encoding and its line ends."""

UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
"""Byte order mark -> encoding, as Python names it."""

LINE_BYTES = 16 << 20
"""Longest line, unless the format allows longer ones."""


class Digest(Protocol):
    """An object of hashlib."""

    def update(self, content: Any, /) -> None: ...


def title(path: str) -> str:
    """Name of `path` in messages."""
    return "standard input" if path == STANDARD_INPUT else path


def open_text(path: str | Path, digest: Digest | None = None) -> TextInput:
    """Open a file, or standard input for "-". Raises ZooError if it does not exist or cannot be read.

    digest: updated with the bytes of the file, as stored, while they are read; at the end of the text it has them all.
    """
    where = title(str(path))
    with contextlib.ExitStack() as stack:
        try:
            # not sys.stdin: a thread that still waits for input must not hold its lock when the program ends
            target: int | str = 0 if str(path) == STANDARD_INPUT else str(path)
            file = stack.enter_context(open(target, "rb", closefd=target != 0))
            start = file.peek(18)
        except IsADirectoryError:
            raise ZooError(f"{where}: expected a file, this is a folder") from None
        except FileNotFoundError:
            raise ZooError(f"{where}: no such file") from None
        except OSError as error:
            raise ZooError(f"{where}: cannot be read ({error.strerror})") from None
        _check_bgzip_end(file, start, where)
        stored: BinaryIO = file if digest is None else io.BufferedReader(_Digesting(file, digest))
        text = stored
        for magic, format_ in FORMATS.items():
            if start.startswith(magic):
                from xopen import xopen

                text = xopen(stored, "rb", threads=0, format=format_)
        stack.pop_all()
        return TextInput(where, file, stored, text)


def _check_bgzip_end(file: BinaryIO, start: bytes, where: str) -> None:
    # a bgzip file is many whole gzip members: cut off between two of them, it looks complete to a gzip reader
    if start[:4] != BGZIP_END[:4] or start[12:14] != BGZIP_END[12:14] or not file.seekable():
        return
    file.seek(max(0, file.seek(0, os.SEEK_END) - len(BGZIP_END)))
    if file.read() != BGZIP_END:
        raise ZooError(f"{where}: the bgzip file is cut off, its end marker is missing; copy or make it again")
    file.seek(0)


class _Digesting(io.RawIOBase):
    """The bytes of an open file, which update a digest while they are read."""

    def __init__(self, file: Any, digest: Digest) -> None:
        self._file, self._digest = file, digest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count: int = self._file.readinto(buffer)
        self._digest.update(memoryview(buffer)[:count])
        return count


class _Converted(io.RawIOBase):
    """A text whose pieces are converted while they are read."""

    def __init__(self, start: bytes, text: BinaryIO) -> None:
        """start: the bytes of `text` that were read already."""
        self._rest, self._text = self._convert(start), text

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = self._text.read(BLOCK_BYTES)
            self._rest = self._convert(piece, final=not piece)
            if not piece:
                break
        found, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        if not self.closed:
            self._text.close()
        super().close()

    def _convert(self, piece: bytes, final: bool = False) -> bytes:
        raise NotImplementedError


class _Utf16(_Converted):
    """UTF-16 as UTF-8."""

    def __init__(self, start: bytes, text: BinaryIO, encoding: str) -> None:
        self._decoder = codecs.getincrementaldecoder(encoding)()
        super().__init__(start, text)

    def _convert(self, piece: bytes, final: bool = False) -> bytes:
        return self._decoder.decode(piece, final).encode()


class _LineFeeds(_Converted):
    """Lines that end in CR, as lines that end in LF."""

    def _convert(self, piece: bytes, final: bool = False) -> bytes:  # noqa: ARG002
        return piece.replace(b"\r", b"\n")


def utf16_of(start: bytes) -> str | None:
    """The encoding, if the first bytes of a text are UTF-16, as Python names it; else None.

    Without a byte order mark, the first four characters must be ASCII, as in every format that the zoo reads.
    """
    if start[:2] in UTF16:
        return UTF16[start[:2]]
    low, high = start[:8:2], start[1:8:2]
    if len(start) >= 4 and not any(high) and all(low):
        return UTF16[codecs.BOM_UTF16_LE]
    return UTF16[codecs.BOM_UTF16_BE] if len(start) >= 4 and not any(low) and all(high) else None


class TextInput(io.RawIOBase):
    """The plain bytes of an open file, as a raw stream."""

    def __init__(self, where: str, file: BinaryIO, stored: BinaryIO, text: BinaryIO) -> None:
        """where: name of the file in messages.  stored: the file, or what digests it.  text: what decompresses it."""
        self._where, self._file, self._stored, self._text = where, file, stored, text
        self._size = _size(file)
        self._start: bytes | None = None  # of the text, still to be returned; None before the first read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes: fewer at the end of the text, none after it.

        Raises ZooError if the file is cut off or damaged, or, at the end, if its size has changed since it was opened:
        another program was writing it.
        """
        if size < 0:
            return self.readall()
        try:
            if self._start is None:
                self._start = self._begin()
            found, self._start = self._start[:size], self._start[size:]
            found += self._text.read(size - len(found))
            while not found and size and self._stored is not self._file and self._stored.read(BLOCK_BYTES):
                pass  # bytes after the compressed text count in the digest
        except EOFError:
            raise ZooError(f"{self._where}: the compressed file is cut off; copy or make it again") from None
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - each decompressor has errors of its own
            reason = " ".join(str(error).split())
            raise ZooError(f"{self._where}: cannot be read, the file may be damaged ({reason})") from None
        if not found and size and self._size != _size(self._file):
            raise ZooError(
                f"{self._where}: had {self._size:,} bytes when it was opened and {_size(self._file):,} at the end; "
                "wait until it is written"
            )
        return found

    def _begin(self) -> bytes:
        """The first bytes of the text, once it is known how to convert it."""
        start = self._text.read(START_BYTES)
        if encoding := utf16_of(start):
            self._text = io.BufferedReader(_Utf16(start, self._text, encoding))
            start = self._text.read(START_BYTES)
        # a CR at the very end may belong to a CR LF; binary files have zero bytes
        if b"\r" in start[:-1] and not (b"\n" in start or b"\0" in start):
            self._text = io.BufferedReader(_LineFeeds(start, self._text))
            start = self._text.read(START_BYTES)
        return start.removeprefix(codecs.BOM_UTF8)

    def consumed(self) -> int:
        """Bytes of the file, as stored, that have been read; 0 for a pipe."""
        return self._file.tell() if self._file.seekable() else 0

    def close(self) -> None:
        if not self.closed:
            self._text.close()
            self._file.close()
        super().close()


def read_text(path: str | Path) -> str:
    """A whole file as text, such as settings. Raises ZooError as open_text does, and for text that is not Unicode."""
    with open_text(path) as source:
        content = source.readall()
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ZooError(f"{title(str(path))}: expected text in UTF-8 or UTF-16 ({error})") from None


def lines(path: str | Path, longest: int = LINE_BYTES, digest: Digest | None = None) -> Iterator[tuple[int, str]]:
    """Lines without their ends (LF, CR LF or CR), numbered from 1. Bytes that are not UTF-8 become surrogate escapes.

    digest: as for open_text.

    Raises ZooError as open_text and TextInput do, and for lines over `longest` bytes.
    """
    number, rest = 0, b""
    with open_text(path, digest) as source:
        while piece := source.read(BLOCK_BYTES):
            rest += piece
            end = rest.rfind(b"\n") + 1
            whole, rest = _decoded(rest[:end]), rest[end:]
            yield from enumerate(whole, number + 1)
            number += len(whole)
            if len(rest) > longest:
                raise ZooError(f"{title(str(path))}: line {number + 1}: expected at most {longest:,} bytes, got more")
        if rest:
            yield number + 1, _decoded(rest + b"\n")[0]


def _decoded(text: bytes) -> list[str]:
    return text.replace(b"\r\n", b"\n").decode("utf-8", "surrogateescape").split("\n")[:-1]


def _size(file: BinaryIO) -> int | None:
    """Bytes of a regular file; None for a pipe or a device, which have no size."""
    status = os.fstat(file.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None
