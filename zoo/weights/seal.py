"""A seal on a file: one digest over all its bytes, arrays, graph and labels alike, in .safetensors, .onnx and .h5.

The digest stands in the file itself, under the metadata key DIGEST_KEY; what it is taken over is the file with
PLACEHOLDER in its place. A file is written with the placeholder and sealed before it gets its name.
"""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

from zoo.errors import ZooError, ZooWarning

DIGEST_KEY = "deepstarr_zoo_sha256"
"""Metadata key under which a file carries the digest over its bytes."""

PLACEHOLDER = hashlib.sha256(DIGEST_KEY.encode()).hexdigest()
"""What stands for the digest while it is taken; as long as one, and found nowhere else."""


def seal(path: Path) -> None:
    """Put the digest of a file, written with PLACEHOLDER under DIGEST_KEY, in the place of the placeholder."""
    content = path.read_bytes()
    before, found, _ = content.partition(PLACEHOLDER.encode())
    if not found or content.count(PLACEHOLDER.encode()) != 1:
        raise RuntimeError(f"{path}: expected the placeholder of the digest once")
    with path.open("r+b") as file:
        file.seek(len(before))
        file.write(hashlib.sha256(content).hexdigest().encode())


def check(path: Path, digest: str | None) -> None:
    """Raise ZooError unless `digest`, read from the metadata of the file, is that of its bytes.

    None, a file of a release before there were digests, is a ZooWarning.
    """
    if digest is None:
        warnings.warn(
            ZooWarning(f"{path}: was written by an earlier release, without a digest that would show changes to it"),
            stacklevel=2,
        )
        return
    content = path.read_bytes()
    parts = content.split(digest.encode()) if digest else []
    whole = hashlib.sha256(PLACEHOLDER.encode().join(parts)).hexdigest()
    if len(parts) != 2 or whole != digest:
        raise ZooError(f"{path}: was changed after it was written, its sha256 is not the one that it carries")
