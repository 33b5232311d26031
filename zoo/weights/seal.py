"""A seal on a file: one digest over all its bytes, arrays, graph and labels alike, in .safetensors, .onnx and .h5.

The digest stands in the file itself, in the JSON of the ModelSpec under DIGEST; what it is taken over is the file with
PLACEHOLDER in its place. A file is written with the placeholder and sealed before it gets its name.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from pathlib import Path
from typing import Any

from zoo.errors import ZooError, ZooWarning

DIGEST = "sha256"
"""Field beside those of the ModelSpec."""

PLACEHOLDER = hashlib.sha256(b"deepstarr_zoo digest").hexdigest()
"""What stands for the digest while it is taken; as long as one, and found nowhere else."""


def unsealed(spec: dict[str, Any]) -> str:
    """Fields of a ModelSpec as the JSON that a file carries, to be sealed when the file is whole."""
    return json.dumps({**spec, DIGEST: PLACEHOLDER}, sort_keys=True)


def seal(path: Path) -> None:
    """Put the digest of a file in the place of its placeholder."""
    content = path.read_bytes()
    if content.count(PLACEHOLDER.encode()) != 1:
        raise RuntimeError(f"{path}: expected the placeholder of the digest once")
    with path.open("r+b") as file:
        file.seek(content.index(PLACEHOLDER.encode()))
        file.write(hashlib.sha256(content).hexdigest().encode())


def check(path: Path, digest: Any) -> None:
    """Raise ZooError unless `digest`, which a file carries, is that of its bytes; None is what an old file has."""
    if digest is None:
        return
    usable = isinstance(digest, str) and digest and digest.isascii()
    parts = path.read_bytes().split(digest.encode()) if usable else []
    if len(parts) != 2 or hashlib.sha256(PLACEHOLDER.encode().join(parts)).hexdigest() != digest:
        raise ZooError(f"{path}: was changed after it was written, its sha256 is not the one that it carries")


def check_unopened(path: Path) -> None:
    """As `check`, for a file whose digest is not known yet: the library that reads such files may not come back from a
    damaged one. Does nothing where no digest is found."""
    found = re.search(rf'"{DIGEST}": "([0-9a-f]*)"'.encode(), path.read_bytes())
    check(path, None if found is None else found[1].decode())


def note_absence(path: Path, digest: Any) -> None:
    """A ZooWarning for a file of a release before there were digests, once all else about it was found to be right."""
    if digest is None:
        message = f"{path}: was written by an earlier release, without a digest that would show changes to it"
        warnings.warn(ZooWarning(message), stacklevel=2)
