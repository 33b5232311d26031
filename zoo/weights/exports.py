"""Exports that are made once and kept in the cache, for every runtime that runs another form than a checkpoint.

A kept file is found by a digest of all that it was made from, the ModelSpec included, and carries the digest of its own
bytes in its name: KEY.DIGEST.onnx. One that was damaged is made anew. Exporters are asked for by name.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import zoo
from zoo import registry
from zoo.system.atomic import temporary_folder
from zoo.system.files import cache_folder
from zoo.weights import checkpoint
from zoo.weights.checkpoint import Checkpoint

DIGITS = 32
"""Hexadecimal digits of a digest in a file's name: 128 bits."""


def exported(weights: Checkpoint, name: str, **settings: Any) -> Path:
    """The file that the exporter `name` makes of these weights with these settings.

    Processes that make it at once write the same; the last one wins. Raises what the exporter raises.
    """
    exporter = registry.load("exporters", name)
    folder = cache_folder("exports")
    key = _key(weights, name, getattr(exporter, "GRAPH_VERSION", 0), settings)
    for kept in folder.glob(f"{key}.*{exporter.SUFFIX}"):
        if _digest(kept.read_bytes()) == kept.name.split(".")[1]:
            return kept
        kept.unlink(missing_ok=True)
    with temporary_folder(folder) as room:
        made = room / f"made{exporter.SUFFIX}"
        exporter.export(weights, made, **settings)
        return made.replace(folder / f"{key}.{_digest(made.read_bytes())}{exporter.SUFFIX}")


def _key(weights: Checkpoint, name: str, version: int, settings: dict[str, Any]) -> str:
    made_from = [checkpoint.digest(weights), name, version, zoo.__version__, settings]
    return _digest(json.dumps(made_from, sort_keys=True).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGITS]
