"""Where the zoo keeps what it can make or fetch again: ZOO_HOME, else the user's cache folder (XDG on Linux)."""

from __future__ import annotations

import os
from pathlib import Path


def folder(name: str) -> Path:
    """The cache folder `name` ("exports", "pulled"), made if it is not there."""
    from platformdirs import user_cache_path

    home = os.environ.get("ZOO_HOME")
    path = (Path(home) if home else user_cache_path("deepstarr-zoo", appauthor=False)) / name
    path.mkdir(parents=True, exist_ok=True)
    return path
