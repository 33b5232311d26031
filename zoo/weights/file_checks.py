"""Checks of a weights file before its content is used: size, JSON that is too long or too deep, and an embedded digest.

The digest is a sha256 over all bytes of a .safetensors, .onnx or .h5 file. It is stored in the file itself, in the JSON
of the ModelSpec; while it is computed, PLACEHOLDER is in its place.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from pathlib import Path
from typing import Any

from zoo.errors import ZooError, ZooWarning

LARGEST = 2_000_000_000
"""Bytes of a weights file, and of the arrays that it declares, as float32. A hundred times our largest network."""

LONGEST_JSON = 1_000_000
"""Characters of JSON: a model spec, or the graph of a Keras model."""

DEEPEST_JSON = 100
"""Nested objects and lists."""

DIGEST = "sha256"
"""Field for the digest, in addition to those of the ModelSpec."""

PLACEHOLDER = hashlib.sha256(b"deepstarr_zoo digest").hexdigest()
"""Stands for the digest while it is computed; has its length and occurs nowhere else."""


def check_file(path: Path, what: str = "a weights file") -> None:
    """Raise ZooError unless `path` is a regular file of at most LARGEST bytes. what: expected kind, for the message."""
    if not path.is_file():
        raise ZooError(f"{path}: {f'expected {what}, this is a folder' if path.is_dir() else 'no such file'}")
    check_bytes(path.stat().st_size, str(path), "has")


def check_bytes(number: int, where: str, verb: str = "declares arrays of") -> None:
    """Raise ZooError for more than LARGEST bytes."""
    if number > LARGEST:
        raise ZooError(f"{where}: {verb} {number:,} bytes, weights have at most {LARGEST:,}")


def parse_json(text: str | bytes, longest: int = LONGEST_JSON) -> Any:
    """JSON -> plain types. Raises ValueError for text that is not JSON, too long, or too deeply nested."""
    if len(text) > longest:
        raise ValueError(f"{len(text):,} characters, expected at most {longest:,}")
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError(f"more than {DEEPEST_JSON} levels deep") from None
    level, depth = [content], 0
    while level:
        if depth > DEEPEST_JSON:
            raise ValueError(f"more than {DEEPEST_JSON} levels deep")
        inside = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level, depth = [value for values in inside for value in values], depth + 1
    return content


def spec_json(spec: dict[str, Any]) -> str:
    """Fields of a ModelSpec -> the JSON to store in a file; call `write_digest` when the file is complete."""
    return json.dumps({**spec, DIGEST: PLACEHOLDER}, sort_keys=True)


def write_digest(path: Path) -> None:
    """Replace the placeholder in a file by its digest."""
    content = path.read_bytes()
    if content.count(PLACEHOLDER.encode()) != 1:
        raise RuntimeError(f"{path}: expected the placeholder of the digest once")
    with path.open("r+b") as file:
        file.seek(content.index(PLACEHOLDER.encode()))
        file.write(hashlib.sha256(content).hexdigest().encode())


def check_digest(path: Path, digest: Any) -> None:
    """Raise ZooError unless `digest`, which a file carries, is that of its bytes. None, as in old files, passes."""
    if digest is None:
        return
    usable = isinstance(digest, str) and digest and digest.isascii()
    parts = path.read_bytes().split(digest.encode()) if usable else []
    if len(parts) != 2 or hashlib.sha256(PLACEHOLDER.encode().join(parts)).hexdigest() != digest:
        raise ZooError(f"{path}: was changed after it was written: its sha256 is not the one stored in it")


def check_unopened(path: Path) -> bool:
    """Check the digest of a file before a library opens it, which a damaged file could crash; False if none is found.

    Raises ZooError as `check_digest` does.
    """
    found = re.search(rf'"{DIGEST}": "([0-9a-f]*)"'.encode(), path.read_bytes())
    check_digest(path, None if found is None else found[1].decode())
    return found is not None


def warn_without_digest(path: Path, digest: Any) -> None:
    """Give a ZooWarning for a file of an earlier release, which carries no digest. Call it after all other checks."""
    if digest is None:
        message = f"{path}: carries no sha256, since an earlier release wrote it; changes to it cannot be detected"
        warnings.warn(ZooWarning(message), stacklevel=2)
