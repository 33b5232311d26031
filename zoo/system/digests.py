"""Digests of files in hex, as `sha256sum` and `md5sum` print them. A file is read a piece at a time."""

from __future__ import annotations

import hashlib
from pathlib import Path


def sha256(file: Path) -> str:
    """Raises OSError if the file cannot be read."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def md5(file: Path) -> str:
    """What published files are known by, no proof against intent. Raises OSError if the file cannot be read."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
