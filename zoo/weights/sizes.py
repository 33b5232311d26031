"""What is refused before it is read: files and arrays too large to be weights, JSON too long or too deep to be ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo.errors import ZooError

LARGEST = 2_000_000_000
"""Bytes of a weights file, and of the arrays that it declares, as float32. A hundred times the largest network here."""

LONGEST_JSON = 1_000_000
"""Characters of JSON: of a model spec, or of the graph of a Keras model."""

DEEPEST_JSON = 100
"""Objects and lists in one another."""


def check_file(path: Path, what: str = "a weights file") -> None:
    """Raise ZooError unless it is a regular file of a size that weights can have. what: it should be, for messages."""
    if not path.is_file():
        raise ZooError(f"{path}: {f'expected {what}, this is a folder' if path.is_dir() else 'no such file'}")
    check_bytes(path.stat().st_size, str(path), "has")


def check_bytes(number: int, where: str, verb: str = "declares arrays of") -> None:
    """Raise ZooError for more bytes than weights can have."""
    if number > LARGEST:
        raise ZooError(f"{where}: {verb} {number:,} bytes, weights have at most {LARGEST:,}")


def parse_json(text: str | bytes) -> Any:
    """JSON -> plain types. Raises ValueError if it is none, or longer or deeper than any that the zoo knows of."""
    if len(text) > LONGEST_JSON:
        raise ValueError(f"{len(text):,} characters, at most {LONGEST_JSON:,} make sense")
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
