"""The cache folder, and digests of files in hex as `sha256sum` and `md5sum` print them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """A folder, such as "exports" or "pulled", for files that can be made or fetched again; created if missing."""
    path = cache_path(name)
    path.mkdir(parents=True, exist_ok=True)
    return path


def cache_path(name: str) -> Path:
    """The path of `cache_folder(name)`, which may not exist: in ZOO_HOME, else in the user's cache folder (XDG on
    Linux)."""
    from platformdirs import user_cache_path

    home = os.environ.get("ZOO_HOME")
    return (Path(home) if home else user_cache_path("deepstarr-zoo", appauthor=False)) / name


def file_sha256(file: Path) -> str:
    """Read a file piece by piece. Raises OSError if it cannot be read."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def file_md5(file: Path) -> str:
    """The digest that publishers give; it does not protect against forgery. Raises OSError as `file_sha256` does."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
