"""Reads the metadata of an .onnx file without the onnx package, whose import takes most of a second.

A tensor may keep its numbers in another file, which ONNX Runtime would open. Files of the zoo never do, and this is
checked before another library opens a file. Field numbers are those of onnx.proto3 in github.com/onnx/onnx.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from zoo.errors import ZooError
from zoo.weights import file_checks

INSIDE = {
    "model": {7: "graph", 14: "property", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
}
"""Message -> its fields that contain tensors, graphs or metadata."""

EXTERNAL_DATA, DATA_LOCATION = 13, 14
"""Fields of a tensor whose numbers are in another file."""

KEY, VALUE = 1, 2
"""Fields of a property."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types of protocol buffers."""

DEEPEST = 100
"""Maximum depth of nested messages, as in the library."""


def metadata(path: Path) -> dict[str, str]:
    """The `metadata_props` of a file.

    Raises ZooError for a file that does not exist, is not ONNX, or keeps numbers in other files.
    """
    file_checks.check_file(path)
    try:
        content = memoryview(path.read_bytes())
        return _metadata(content, path)
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ZooError(f"{path}: expected a whole ONNX file ({error})") from None


def _metadata(content: memoryview, path: Path) -> dict[str, str]:
    found = {}
    nodes = 0
    todo = [("model", content, 0)]
    while todo:
        kind, message, depth = todo.pop()
        if depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST} nested messages")
        if kind == "property":
            texts = {number: bytes(value) for number, value in _fields(message) if not isinstance(value, int)}
            found[texts.get(KEY, b"").decode()] = texts.get(VALUE, b"").decode()
            continue
        nodes += kind == "node"
        for number, value in _fields(message):
            if kind == "tensor" and (number == EXTERNAL_DATA or (number == DATA_LOCATION and value != 0)):
                raise ZooError(
                    f"{path}: some numbers are in another file, which files of the zoo never have; export it again"
                )
            inside = INSIDE.get(kind, {}).get(number)
            if inside and isinstance(value, int):
                raise ValueError(f"expected a {inside}, got a number")
            if inside and not isinstance(value, int):
                todo.append((inside, value, depth + 1))
    if not nodes:
        raise ValueError("it has no graph")
    return found


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field: an int for a varint, else bytes. Raises ValueError for anything else."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire not in (FIXED64, BYTES, FIXED32) or number == 0:
            raise ValueError(f"no field begins at byte {at}")
        size, at = _varint(message, at) if wire == BYTES else ({FIXED64: 8, FIXED32: 4}[wire], at)
        if size > len(message) - at:
            raise ValueError(f"a field declares {size:,} bytes, {len(message) - at:,} are left")
        yield number, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of up to 64 bits, and the place after it."""
    value = 0
    for place in range(10):
        if at + place >= len(message):
            raise ValueError("it ends inside a number")
        byte = message[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value & (2**64 - 1), at + place + 1
    raise ValueError("a number has more than 64 bits")
