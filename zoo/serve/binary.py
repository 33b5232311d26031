"""The binary tensor extension of the Open Inference Protocol: JSON first, then the bytes of the tensors behind it.

The header Inference-Header-Content-Length says how long the JSON is, the parameter `binary_data_size` of a tensor how
many bytes are its own. Numbers are little-endian, row-major; an element of BYTES has its length before it, uint32.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from zoo.serve.refused import bad

HEADER = "Inference-Header-Content-Length"

ASGI_HEADER = HEADER.lower().encode()
"""The same as ASGI has it."""

SIZE = "binary_data_size"

LENGTH = struct.Struct("<I")


def split(body: bytes, header_length: str | None) -> tuple[memoryview, memoryview]:
    """The JSON and the bytes behind it; all of it is JSON where the header is missing.

    Raises Refused unless the header is a number of bytes that the body has.
    """
    view = memoryview(body)
    if header_length is None:
        return view, view[len(view) :]
    digits = header_length.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) < 16 and int(digits) <= len(view)):
        raise bad(f"{HEADER}: expected a number of bytes up to the {len(view):,} of the body, got {header_length!r}")
    return view[: int(digits)], view[int(digits) :]


class Buffers:
    """The bytes behind the JSON, handed out tensor by tensor in the order in which these stand there."""

    def __init__(self, rest: memoryview) -> None:
        self._rest = rest

    def take(self, name: str, size: Any) -> memoryview:
        """Raises Refused unless `size` is a number of bytes that are left."""
        if type(size) is not int or not 0 <= size <= len(self._rest):
            raise bad(f"{name}: {SIZE}: expected a number of bytes, {len(self._rest):,} are left, got {size!r:.40}")
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def check_end(self) -> None:
        """Raise Refused if bytes are left that no tensor claims."""
        if len(self._rest):
            raise bad(f"the body has {len(self._rest):,} bytes that no input claims by {SIZE}")


def texts(name: str, buffer: memoryview, count: int) -> list[str]:
    """The elements of a tensor of BYTES. Raises Refused unless there are exactly `count`."""
    found: list[str] = []
    at = 0
    while at < len(buffer) and len(found) < count:
        if at + LENGTH.size > len(buffer):
            break
        (length,) = LENGTH.unpack_from(buffer, at)
        at += LENGTH.size + length
        if at > len(buffer):
            break
        found.append(str(buffer[at - length : at], "utf-8", "replace"))
    if len(found) != count or at != len(buffer):
        raise bad(
            f"{name}: expected {count:,} elements, each behind its length, which its {len(buffer):,} bytes are not"
        )
    return found


def array(name: str, buffer: memoryview, kind: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of a type and shape, an array of its own. Raises Refused unless there are as many bytes as they take."""
    count = 1
    for size in shape:
        count *= size
    if len(buffer) != count * kind.itemsize:
        raise bad(f"{name}: expected {count * kind.itemsize:,} bytes for the shape {list(shape)}, got {len(buffer):,}")
    return np.frombuffer(buffer, kind.newbyteorder("<")).astype(kind).reshape(shape)
